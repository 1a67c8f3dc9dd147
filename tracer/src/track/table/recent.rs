//! Sockets that ended recently, so that a late event does not end one twice. Callers look in the connection
//! table first, because a socket that connects again is there.

use crate::track::table::{cookie::hash, prefetch::prefetch};

/// Cookies per set: they fill one cache line.
const SET_LEN: usize = 8;

/// Sets. Together they hold the sockets that end in more than a second on a busy host.
const SETS: usize = 16_384;

/// An empty place: the kernel's cookies begin at 1.
const NO_COOKIE: u64 = 0;

/// The cookies that were inserted last. It is bounded, and works like a set-associative cache: a new cookie
/// replaces the oldest in its set.
#[derive(Debug, Default)]
pub struct RecentCookies {
    /// In each set the latest is first. Allocated at the first [`RecentCookies::insert`].
    sets: Vec<[u64; SET_LEN]>,
}

impl RecentCookies {
    /// All of them, the oldest of each set first.
    pub fn iter(&self) -> impl Iterator<Item = u64> {
        let cookies = self.sets.iter().flat_map(|set| set.iter().rev().copied());
        cookies.filter(|cookie| *cookie != NO_COOKIE)
    }

    /// Adds a cookie.
    pub fn insert(&mut self, cookie: u64) {
        if self.sets.is_empty() {
            self.sets = vec![[NO_COOKIE; SET_LEN]; SETS];
        }
        let set = &mut self.sets[index(cookie)];
        set.copy_within(..SET_LEN - 1, 1);
        set[0] = cookie;
    }

    /// Prefetches the set of a cookie.
    pub fn prefetch(&self, cookie: u64) {
        if let Some(set) = self.sets.get(index(cookie)) {
            prefetch(set);
        }
    }

    /// Whether the cookie was inserted recently.
    #[must_use]
    pub fn contains(&self, cookie: u64) -> bool {
        self.sets.get(index(cookie)).is_some_and(|set| set.contains(&cookie))
    }
}

fn index(cookie: u64) -> usize {
    usize::try_from(hash(cookie) % SETS as u64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_remembered_and_the_oldest_forgotten() {
        let mut recent = RecentCookies::default();
        let ended = 1..=1_000_000;
        ended.clone().for_each(|cookie| recent.insert(cookie));
        assert!(ended.clone().rev().take(10_000).all(|cookie| recent.contains(cookie)));
        assert_eq!(ended.filter(|cookie| recent.contains(*cookie)).count(), SET_LEN * SETS);
    }
}
