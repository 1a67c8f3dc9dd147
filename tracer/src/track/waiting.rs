//! The connections whose socket has given way to a timewait socket: in TIME_WAIT, or orphaned in
//! FIN_WAIT2. What becomes of them no event tells.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher as _, RandomState},
};

use crate::track::{
    connection::{Connection, Tuple},
    cookie::CookieMap,
};

#[derive(Clone, Copy, Debug)]
struct Wait {
    /// When it was last known to be there, as it is.
    confirmed_ns: u64,
    /// How much earlier than told its present state may have begun.
    doubt_ns: u64,
    /// Of its tuple.
    hash: u64,
    netns: u32,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Waiting {
    by_cookie: CookieMap<Wait>,
    /// By the tuple's hash; the tuple itself is in the connection. Tuples are chosen by strangers,
    /// so the hash has a secret.
    by_tuple: CookieMap<u64>,
    by_netns: HashMap<u32, usize>,
    secret: RandomState,
}

impl Waiting {
    /// Adds one that has just begun to wait.
    pub fn add(&mut self, connection: &Connection) {
        self.remove(connection.cookie);
        let hash = self.secret.hash_one(connection.tuple);
        let netns = connection.tuple.netns;
        let wait = Wait { confirmed_ns: connection.last_ns, doubt_ns: 0, hash, netns };
        self.by_cookie.insert(connection.cookie, wait);
        self.by_tuple.insert(hash, connection.cookie);
        *self.by_netns.entry(netns).or_default() += 1;
    }

    /// Removes it.
    pub fn remove(&mut self, cookie: u64) {
        let Some(Wait { hash, netns, .. }) = self.by_cookie.remove(&cookie) else {
            return;
        };
        if self.by_tuple.get(&hash) == Some(&cookie) {
            self.by_tuple.remove(&hash);
        }
        if let Some(count) = self.by_netns.get_mut(&netns) {
            *count -= 1;
            if *count == 0 {
                self.by_netns.remove(&netns);
            }
        }
    }

    /// It was there at this time.
    pub fn confirm(&mut self, cookie: u64, at_ns: u64) {
        if let Some(wait) = self.by_cookie.get_mut(&cookie) {
            wait.confirmed_ns = at_ns;
        }
    }

    /// Its state may have begun so much earlier than told.
    pub fn set_doubt(&mut self, cookie: u64, doubt_ns: u64) {
        if let Some(wait) = self.by_cookie.get_mut(&cookie) {
            wait.doubt_ns = doubt_ns;
        }
    }

    /// How much earlier than told its state may have begun.
    #[must_use]
    pub fn doubt_ns(&self, cookie: u64) -> u64 {
        self.by_cookie.get(&cookie).map_or(0, |wait| wait.doubt_ns)
    }

    /// When it was last known to be there.
    #[must_use]
    pub fn confirmed_ns(&self, cookie: u64) -> Option<u64> {
        self.by_cookie.get(&cookie).map(|wait| wait.confirmed_ns)
    }

    /// One that may have these ends: whoever asks compares the tuple.
    #[must_use]
    pub fn at(&self, tuple: &Tuple) -> Option<u64> {
        self.by_tuple.get(&self.secret.hash_one(tuple)).copied()
    }

    /// All, with when each was last known to be there.
    #[must_use]
    pub fn all(&self) -> Vec<(u64, u64)> {
        self.by_cookie.iter().map(|(cookie, wait)| (*cookie, wait.confirmed_ns)).collect()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_cookie.is_empty()
    }

    /// Their namespaces.
    #[must_use]
    pub fn netns(&self) -> HashSet<u32> {
        self.by_netns.keys().copied().collect()
    }
}
