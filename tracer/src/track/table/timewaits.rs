//! The connections whose socket has given way to a timewait socket: in TIME_WAIT, or orphaned in
//! FIN_WAIT2. What becomes of them no event tells.

use std::{collections::HashSet, hash::BuildHasher as _};

use hashbrown::DefaultHashBuilder;
use tracer_common::{event::Waiting as TimewaitSocket, state as number};

use crate::{
    facts::snapshot::TimewaitByNetns,
    tcp::endpoint::Tuple,
    track::{
        connection::Connection,
        table::{
            index::Index,
            prefetch::{ahead, prefetch},
        },
    },
};

#[derive(Clone, Copy, Debug)]
struct Timewait {
    /// [`NOBODY`] where there is none.
    cookie: u64,
    /// When it was last known to be there, as it is.
    confirmed_ns: u64,
    /// How much earlier than told its present state may have begun.
    doubt_ns: u64,
    /// Of its tuple.
    hash: u64,
    netns: u32,
    /// In FIN_WAIT2, not in TIME_WAIT.
    is_orphan: bool,
}

const NOBODY: u64 = 0;

/// All of them.
#[derive(Debug, Default)]
pub struct Timewaits {
    entries: Vec<Timewait>,
    /// Places in `timewaits` that are free.
    free: Vec<u32>,
    /// Places by cookie.
    by_cookie: Index,
    /// Places by the tuple's hash; the tuple itself is in the connection. Tuples are chosen by
    /// strangers, so the hash has a secret of this run. It is no cryptographic one: who could choose
    /// collisions would have to know the secret, of which nothing that is printed tells.
    by_tuple: Index,
    by_netns: TimewaitByNetns,
    secret: DefaultHashBuilder,
}

impl Timewaits {
    /// Has those parts of the tables brought near that know of a connection with this tuple, which mostly
    /// say that there is none. See [`crate::track::Tracker::prefetch`].
    pub fn prefetch(&self, tuple: &Tuple) {
        self.by_tuple.prefetch(self.secret.hash_one(tuple));
    }

    /// Adds one that has just begun to timewait.
    pub fn add(&mut self, connection: &Connection) {
        self.remove(connection.cookie);
        let (cookie, netns) = (connection.cookie, connection.tuple.netns);
        let hash = self.secret.hash_one(connection.tuple);
        let is_orphan = connection.state == number::FIN_WAIT2;
        let timewait =
            Timewait { cookie, confirmed_ns: connection.last_ns, doubt_ns: 0, hash, netns, is_orphan };
        if self.by_cookie.is_full() {
            self.by_cookie.grow(present(&self.entries).map(|(timewait, place)| (timewait.cookie, place)));
        }
        if self.by_tuple.is_full() {
            self.by_tuple.grow(present(&self.entries).map(|(timewait, place)| (timewait.hash, place)));
        }
        let place = if let Some(place) = self.free.pop() {
            self.entries[place as usize] = timewait;
            place
        } else {
            self.entries.push(timewait);
            // More than four billion would fill more memory than there is.
            u32::try_from(self.entries.len() - 1).unwrap_or(u32::MAX)
        };
        self.by_cookie.insert(cookie, place);
        // The one that had the same tuple is found no longer by it.
        let entries = &self.entries;
        self.by_tuple.remove(hash, |place| entries[place as usize].hash == hash);
        self.by_tuple.insert(hash, place);
        *self.by_netns.entry(netns).or_default() += 1;
    }

    /// Removes it.
    pub fn remove(&mut self, cookie: u64) {
        let entries = &self.entries;
        let Some(place) = self.by_cookie.remove(cookie, |place| entries[place as usize].cookie == cookie)
        else {
            return;
        };
        let Timewait { hash, netns, .. } = entries[place as usize];
        self.by_tuple.remove(hash, |of_tuple| of_tuple == place);
        self.entries[place as usize].cookie = NOBODY;
        self.free.push(place);
        if let Some(count) = self.by_netns.get_mut(&netns) {
            *count -= 1;
            if *count == 0 {
                self.by_netns.remove(&netns);
            }
        }
    }

    fn place(&self, cookie: u64) -> Option<usize> {
        let place = self.by_cookie.find(cookie, |place| self.entries[place as usize].cookie == cookie)?;
        Some(place as usize)
    }

    fn get(&self, cookie: u64) -> Option<&Timewait> {
        self.place(cookie).map(|place| &self.entries[place])
    }

    fn get_mut(&mut self, cookie: u64) -> Option<&mut Timewait> {
        self.place(cookie).map(|place| &mut self.entries[place])
    }

    /// A look that began at `from_ns` has found these. Gives those that have turned from orphans in
    /// FIN_WAIT2 to TIME_WAIT since, with when each was last known to be the former.
    pub fn found(&mut self, sockets: &[TimewaitSocket], from_ns: u64) -> Vec<(u64, u64)> {
        let mut turned = Vec::new();
        for (index, TimewaitSocket { cookie, state }) in sockets.iter().enumerate() {
            ahead(
                sockets,
                index,
                |found| self.by_cookie.prefetch(found.cookie),
                |found| {
                    if let Some(place) = self.by_cookie.guess(found.cookie) {
                        prefetch(&self.entries[place as usize]);
                    }
                },
            );
            match self.get_mut(*cookie) {
                // What is not known, or younger than the look.
                None => {}
                Some(timewait) if timewait.confirmed_ns >= from_ns => {}
                Some(timewait) if timewait.is_orphan && *state == u64::from(number::TIME_WAIT) => {
                    turned.push((*cookie, timewait.confirmed_ns));
                }
                Some(timewait) => timewait.confirmed_ns = from_ns,
            }
        }
        turned
    }

    /// Those that have not been confirmed since `from_ns` in the namespaces that were looked at, and
    /// all in those that are gone; with when each was confirmed.
    #[must_use]
    pub fn missing(&self, from_ns: u64, looked_at: &HashSet<u32>, gone: &HashSet<u32>) -> Vec<(u64, u64)> {
        let is_missing = |timewait: &&Timewait| {
            let is_unconfirmed = timewait.confirmed_ns < from_ns && looked_at.contains(&timewait.netns);
            is_unconfirmed || gone.contains(&timewait.netns)
        };
        let entries = present(&self.entries).map(|(timewait, _)| timewait);
        entries.filter(is_missing).map(|timewait| (timewait.cookie, timewait.confirmed_ns)).collect()
    }

    /// An orphan has turned to TIME_WAIT, and was found so at this time; it may have been so much
    /// earlier.
    pub fn turn(&mut self, cookie: u64, at_ns: u64, doubt_ns: u64) {
        if let Some(timewait) = self.get_mut(cookie) {
            *timewait = Timewait { confirmed_ns: at_ns, doubt_ns, is_orphan: false, ..*timewait };
        }
    }

    /// It is known to be there, or to have been, at this time.
    pub fn confirm(&mut self, cookie: u64, at_ns: u64) {
        if let Some(timewait) = self.get_mut(cookie) {
            timewait.confirmed_ns = timewait.confirmed_ns.max(at_ns);
        }
    }

    /// How much earlier than told its state may have begun.
    #[must_use]
    pub fn doubt_ns(&self, cookie: u64) -> u64 {
        self.get(cookie).map_or(0, |timewait| timewait.doubt_ns)
    }

    /// When it was last known to be there.
    #[must_use]
    pub fn confirmed_ns(&self, cookie: u64) -> Option<u64> {
        self.get(cookie).map(|timewait| timewait.confirmed_ns)
    }

    /// One that may have these ends: whoever asks compares the tuple.
    #[must_use]
    pub fn at(&self, tuple: &Tuple) -> Option<u64> {
        let hash = self.secret.hash_one(tuple);
        let place = self.by_tuple.find(hash, |place| self.entries[place as usize].hash == hash)?;
        Some(self.entries[place as usize].cookie)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_cookie.is_empty()
    }

    /// How many there are in each network namespace.
    #[must_use]
    pub fn by_netns(&self) -> &TimewaitByNetns {
        &self.by_netns
    }
}

/// Those that are there, with their places.
fn present(entries: &[Timewait]) -> impl Iterator<Item = (&Timewait, u32)> {
    entries.iter().zip(0..).filter(|(timewait, _)| timewait.cookie != NOBODY)
}
