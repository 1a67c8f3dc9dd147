//! The sockets that ended lately, so that none ends twice.

use std::collections::VecDeque;

use crate::track::cookie::CookieSet;

/// How many are remembered: more than a second's worth of a busy host.
const CAPACITY: usize = 65_536;

/// A bounded set that forgets the oldest.
#[derive(Debug, Default)]
pub struct Recent {
    cookies: CookieSet,
    order: VecDeque<u64>,
}

impl Recent {
    /// Remembers it.
    pub fn insert(&mut self, cookie: u64) {
        if !self.cookies.insert(cookie) {
            return;
        }
        self.order.push_back(cookie);
        while self.order.len() > CAPACITY {
            if let Some(oldest) = self.order.pop_front() {
                self.cookies.remove(&oldest);
            }
        }
    }

    /// Forgets it: the socket is used again.
    pub fn remove(&mut self, cookie: u64) {
        self.cookies.remove(&cookie);
    }

    /// Whether it ended lately.
    #[must_use]
    pub fn contains(&self, cookie: u64) -> bool {
        self.cookies.contains(&cookie)
    }
}
