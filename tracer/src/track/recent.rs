//! The sockets that ended lately, so that none ends twice.

use std::collections::VecDeque;

use crate::track::cookie::CookieMap;

/// How many are remembered: more than a second's worth of a busy host.
const CAPACITY: usize = 65_536;

/// A bounded set that forgets the oldest.
#[derive(Debug, Default)]
pub struct Recent {
    /// With the number of its end: a socket may be used, and end, again.
    cookies: CookieMap<u64>,
    order: VecDeque<(u64, u64)>,
    ends: u64,
}

impl Recent {
    /// Remembers it.
    pub fn insert(&mut self, cookie: u64) {
        self.ends += 1;
        self.cookies.insert(cookie, self.ends);
        self.order.push_back((cookie, self.ends));
        while self.order.len() > CAPACITY {
            if let Some((oldest, end)) = self.order.pop_front()
                && self.cookies.get(&oldest) == Some(&end)
            {
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
        self.cookies.contains_key(&cookie)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_again_is_remembered_as_long() {
        let mut recent = Recent::default();
        recent.insert(1);
        recent.remove(1);
        for cookie in 2..100 {
            recent.insert(cookie);
        }
        recent.insert(1);
        for cookie in 100..100 + CAPACITY as u64 - 1 {
            recent.insert(cookie);
        }
        assert!(recent.contains(1));
        recent.insert(1 << 40);
        assert!(!recent.contains(1));
    }
}
