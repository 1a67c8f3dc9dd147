//! Connections whose full socket the kernel has replaced by a timewait socket: in TIME_WAIT, or as an orphan
//! in FIN_WAIT2. `inet_sock_set_state` does not report what happens to them.

use std::hash::BuildHasher as _;

use hashbrown::DefaultHashBuilder;
use tracer_common::{
    event::{REST_UNKNOWN, TimewaitSocket},
    state as number,
};

use crate::{
    facts::snapshot::{TimewaitByNetns, TimewaitSample},
    tcp::{endpoint::Tuple, netns::NetnsId},
    track::{
        connection::Connection,
        table::{
            index::Index,
            prefetch::{prefetch, prefetch_ahead},
        },
    },
};

/// A timewait socket.
#[derive(Clone, Copy, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
struct Timewait {
    /// [`NO_COOKIE`] if the entry is free.
    cookie: u64,
    /// When it was last known to exist in its present state.
    confirmed_ns: u64,
    /// How much earlier than emitted it may have entered its present state.
    uncertainty_ns: u64,
    /// When an orphan's time is over; [`NEVER`] if that is not known.
    due_ns: u64,
    /// When a hook told that it is gone; [`NEVER`] if none did.
    gone_ns: u64,
    /// Hash of its tuple.
    #[serde(skip)]
    hash: u64,
    netns: NetnsId,
    /// It is in FIN_WAIT2, not in TIME_WAIT.
    is_orphan: bool,
    /// The last sample of its namespace lacked it.
    is_missed: bool,
}

impl Timewait {
    fn confirm(&mut self, at_ns: u64) {
        (self.confirmed_ns, self.is_missed) = (at_ns, false);
    }
}

const NO_COOKIE: u64 = 0;
const NEVER: u64 = u64::MAX;

/// All timewait sockets that are followed. An entry's slot is its position in `entries`.
#[derive(Debug, Default)]
pub struct Timewaits {
    entries: Vec<Timewait>,
    /// Slots of free entries.
    free: Vec<u32>,
    /// Slots by cookie.
    by_cookie: Index,
    /// Slots by the hash of the tuple, which itself is in the connection's record. Peers choose addresses and
    /// ports, so the hash is keyed with a secret of this run. It need not be cryptographic: nothing that is
    /// printed depends on the secret, so nobody can find collisions from outside.
    by_tuple: Index,
    by_netns: TimewaitByNetns,
    secret: DefaultHashBuilder,
}

/// Timewait sockets, each at its place: the order of what is emitted depends on it.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct TimewaitPlaces {
    entries: Vec<Timewait>,
    free: Vec<u32>,
}

impl TimewaitPlaces {
    /// Keeps some of the sockets, by their cookies.
    pub(in crate::track) fn retain(&mut self, keeps: impl Fn(u64) -> bool) {
        for (entry, slot) in self.entries.iter_mut().zip(0..) {
            if entry.cookie != NO_COOKIE && !keeps(entry.cookie) {
                *entry = Timewait::default();
                self.free.push(slot);
            }
        }
    }
}

impl Timewaits {
    /// All sockets, each at its place.
    #[must_use]
    pub fn places(&self) -> TimewaitPlaces {
        TimewaitPlaces { entries: self.entries.clone(), free: self.free.clone() }
    }

    /// The same sockets at the same places. `tuple` gives the tuple of a cookie; a socket without one is left out.
    #[must_use]
    pub fn at(places: TimewaitPlaces, tuple: impl Fn(u64) -> Option<Tuple>) -> Self {
        let TimewaitPlaces { mut entries, mut free } = places;
        let mut all = Self::default();
        for entry in entries.iter_mut().filter(|entry| entry.cookie != NO_COOKIE) {
            match tuple(entry.cookie) {
                Some(tuple) => entry.hash = all.secret.hash_one(tuple),
                None => entry.cookie = NO_COOKIE,
            }
        }
        let mut is_free: Vec<bool> = entries.iter().map(|entry| entry.cookie == NO_COOKIE).collect();
        // Each once, in the same order.
        free.retain(|slot| is_free.get_mut(*slot as usize).is_some_and(std::mem::take));
        free.extend(is_free.iter().zip(0..).filter_map(|(is_free, slot)| is_free.then_some(slot)));
        all.by_cookie = Index::of(occupied(&entries).map(|(entry, slot)| (entry.cookie, slot)).collect());
        all.by_tuple = Index::of(occupied(&entries).map(|(entry, slot)| (entry.hash, slot)).collect());
        for (entry, _) in occupied(&entries) {
            *all.by_netns.entry(entry.netns).or_default() += 1;
        }
        (all.entries, all.free) = (entries, free);
        all
    }

    /// Prefetches the index entry of a tuple, which in most cases shows that no timewait socket has it. See
    /// [`crate::track::Tracker::prefetch`].
    pub fn prefetch(&self, tuple: &Tuple) {
        self.by_tuple.prefetch(self.secret.hash_one(tuple));
    }

    /// Adds a connection that has just got a timewait socket.
    pub fn add(&mut self, connection: &Connection) {
        self.remove(connection.cookie);
        let (cookie, netns) = (connection.cookie, connection.tuple.netns_id());
        let hash = self.secret.hash_one(connection.tuple);
        let is_orphan = connection.state == number::FIN_WAIT2;
        let confirmed_ns = connection.last_ns;
        let timewait = Timewait {
            cookie,
            confirmed_ns,
            uncertainty_ns: 0,
            due_ns: NEVER,
            gone_ns: NEVER,
            hash,
            netns,
            is_orphan,
            is_missed: false,
        };
        if self.by_cookie.is_full() {
            self.by_cookie.grow(occupied(&self.entries).map(|(timewait, slot)| (timewait.cookie, slot)));
        }
        if self.by_tuple.is_full() {
            self.by_tuple.grow(occupied(&self.entries).map(|(timewait, slot)| (timewait.hash, slot)));
        }
        let slot = if let Some(slot) = self.free.pop() {
            self.entries[slot as usize] = timewait;
            slot
        } else {
            self.entries.push(timewait);
            // Slots always fit: four billion entries would need more memory than there is.
            u32::try_from(self.entries.len() - 1).unwrap_or(u32::MAX)
        };
        self.by_cookie.insert(cookie, slot);
        // An older one with the same tuple can no longer be found by it.
        let entries = &self.entries;
        self.by_tuple.remove(hash, |slot| entries[slot as usize].hash == hash);
        self.by_tuple.insert(hash, slot);
        *self.by_netns.entry(netns).or_default() += 1;
    }

    /// Removes a timewait socket.
    pub fn remove(&mut self, cookie: u64) {
        let entries = &self.entries;
        let Some(slot) = self.by_cookie.remove(cookie, |slot| entries[slot as usize].cookie == cookie) else {
            return;
        };
        let Timewait { hash, netns, .. } = entries[slot as usize];
        self.by_tuple.remove(hash, |of_tuple| of_tuple == slot);
        self.entries[slot as usize].cookie = NO_COOKIE;
        self.free.push(slot);
        if let Some(count) = self.by_netns.get_mut(&netns) {
            *count -= 1;
            if *count == 0 {
                self.by_netns.remove(&netns);
            }
        }
    }

    fn slot(&self, cookie: u64) -> Option<usize> {
        let slot = self.by_cookie.find(cookie, |slot| self.entries[slot as usize].cookie == cookie)?;
        Some(slot as usize)
    }

    fn get(&self, cookie: u64) -> Option<&Timewait> {
        self.slot(cookie).map(|slot| &self.entries[slot])
    }

    fn get_mut(&mut self, cookie: u64) -> Option<&mut Timewait> {
        self.slot(cookie).map(|slot| &mut self.entries[slot])
    }

    /// Confirms the sockets of a sample that began at `from_ns`. Returns the cookies of those that have gone
    /// from FIN_WAIT2 to TIME_WAIT, each with the time at which it was last known to be in FIN_WAIT2.
    /// Takes over when orphans are due, by jiffies of `tick_ns`.
    pub fn confirm_sampled(
        &mut self,
        sockets: &[TimewaitSocket],
        from_ns: u64,
        tick_ns: u64,
    ) -> Vec<(u64, u64)> {
        let mut turned = Vec::new();
        for (index, TimewaitSocket { cookie, state, rest_jiffies }) in sockets.iter().enumerate() {
            prefetch_ahead(
                sockets,
                index,
                |later| self.by_cookie.prefetch(later.cookie),
                |later| {
                    if let Some(slot) = self.by_cookie.likely_slot(later.cookie) {
                        prefetch(&self.entries[slot as usize]);
                    }
                },
            );
            match self.get_mut(*cookie) {
                // Not followed, or confirmed since the sample began.
                None => {}
                Some(timewait) if timewait.confirmed_ns >= from_ns => {}
                Some(timewait) if timewait.is_orphan && *state == u32::from(number::TIME_WAIT) => {
                    turned.push((*cookie, timewait.confirmed_ns));
                }
                Some(timewait) => {
                    timewait.confirm(from_ns);
                    if timewait.is_orphan && *rest_jiffies != REST_UNKNOWN && tick_ns != 0 {
                        timewait.due_ns = from_ns + u64::from(*rest_jiffies) * tick_ns;
                    }
                }
            }
        }
        turned
    }

    /// The sockets that were not confirmed by a sample in the namespaces that were polled (with `needs_two`, by the
    /// second one in a row), and all sockets of namespaces that are gone: cookies, with the time at which each was
    /// last confirmed.
    #[must_use]
    pub fn missing(&mut self, sample: &TimewaitSample, needs_two: bool) -> Vec<(u64, u64)> {
        let is_missing = |timewait: &mut Timewait| {
            if sample.gone.contains(&timewait.netns) {
                return true;
            }
            let is_unconfirmed =
                timewait.confirmed_ns < sample.from_ns && sample.netns.contains(&timewait.netns);
            is_unconfirmed && (std::mem::replace(&mut timewait.is_missed, true) || !needs_two)
        };
        let entries = self.entries.iter_mut().filter(|timewait| timewait.cookie != NO_COOKIE);
        let missing = entries.filter_map(|timewait| is_missing(timewait).then_some(&*timewait));
        missing.map(|timewait| (timewait.cookie, timewait.confirmed_ns)).collect()
    }

    /// Notes that an orphan was found in TIME_WAIT at `at_ns`. It may have entered it up to `uncertainty_ns`
    /// earlier.
    pub fn set_time_wait(&mut self, cookie: u64, at_ns: u64, uncertainty_ns: u64) {
        if let Some(timewait) = self.get_mut(cookie) {
            *timewait = Timewait { uncertainty_ns, is_orphan: false, ..*timewait };
            timewait.confirm(at_ns);
        }
    }

    /// Notes when an orphan is due, if that is known.
    pub fn set_due(&mut self, cookie: u64, due_ns: Option<u64>) {
        if let Some(due_ns) = due_ns
            && let Some(timewait) = self.get_mut(cookie)
        {
            timewait.due_ns = due_ns;
        }
    }

    /// When an orphan is due.
    #[must_use]
    pub fn due_ns(&self, cookie: u64) -> Option<u64> {
        self.get(cookie).map(|timewait| timewait.due_ns).filter(|due_ns| *due_ns != NEVER)
    }

    /// Notes that a socket existed at this time.
    pub fn confirm(&mut self, cookie: u64, at_ns: u64) {
        if let Some(timewait) = self.get_mut(cookie) {
            timewait.confirm(at_ns.max(timewait.confirmed_ns));
        }
    }

    /// Notes that a hook told of its end at this time.
    pub fn set_gone(&mut self, cookie: u64, at_ns: u64) {
        if let Some(timewait) = self.get_mut(cookie) {
            *timewait = Timewait { confirmed_ns: at_ns, gone_ns: at_ns, ..*timewait };
        }
    }

    /// When it ended, if a hook told.
    #[must_use]
    pub fn gone_ns(&self, cookie: u64) -> Option<u64> {
        self.get(cookie).map(|timewait| timewait.gone_ns).filter(|gone_ns| *gone_ns != NEVER)
    }

    /// How much earlier than emitted a socket may have entered its state, in nanoseconds.
    #[must_use]
    pub fn uncertainty_ns(&self, cookie: u64) -> u64 {
        self.get(cookie).map_or(0, |timewait| timewait.uncertainty_ns)
    }

    /// When a socket was last known to exist.
    #[must_use]
    pub fn confirmed_ns(&self, cookie: u64) -> Option<u64> {
        self.get(cookie).map(|timewait| timewait.confirmed_ns)
    }

    /// The cookie of a socket that may have this tuple. Only hashes are compared: the caller must compare the
    /// tuples.
    #[must_use]
    pub fn find_by_tuple(&self, tuple: &Tuple) -> Option<u64> {
        let hash = self.secret.hash_one(tuple);
        let slot = self.by_tuple.find(hash, |slot| self.entries[slot as usize].hash == hash)?;
        Some(self.entries[slot as usize].cookie)
    }

    /// Whether no timewait socket is followed.
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

/// The entries that are not free, with their slots.
fn occupied(entries: &[Timewait]) -> impl Iterator<Item = (&Timewait, u32)> {
    entries.iter().zip(0..).filter(|(timewait, _)| timewait.cookie != NO_COOKIE)
}
