//! The sockets that ended lately, so that none ends twice. One that is used again is in the table of
//! connections; who asks looks there first.

use crate::track::table::{cookie::hash, prefetch::prefetch};

/// Cookies that share a place, which one look reads: a line of the processor's cache.
const WAYS: usize = 8;

/// Places. Together they remember more than a second's worth of a busy host, of which all is traced.
const PLACES: usize = 16_384;

/// No cookie: the kernel's begin at 1.
const NOBODY: u64 = 0;

/// A bounded set that forgets the oldest of a place.
#[derive(Debug, Default)]
pub struct Recent {
    /// The latest first. Empty until something ends.
    places: Vec<[u64; WAYS]>,
}

impl Recent {
    /// Remembers it.
    pub fn insert(&mut self, cookie: u64) {
        if self.places.is_empty() {
            self.places = vec![[NOBODY; WAYS]; PLACES];
        }
        let place = &mut self.places[index(cookie)];
        place.copy_within(..WAYS - 1, 1);
        place[0] = cookie;
    }

    /// Has its place brought near, without waiting for it.
    pub fn prefetch(&self, cookie: u64) {
        if let Some(place) = self.places.get(index(cookie)) {
            prefetch(place);
        }
    }

    /// Whether it ended lately.
    #[must_use]
    pub fn contains(&self, cookie: u64) -> bool {
        self.places.get(index(cookie)).is_some_and(|place| place.contains(&cookie))
    }
}

fn index(cookie: u64) -> usize {
    usize::try_from(hash(cookie) % PLACES as u64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_remembered_and_the_oldest_forgotten() {
        let mut recent = Recent::default();
        let ended = 1..=1_000_000;
        ended.clone().for_each(|cookie| recent.insert(cookie));
        assert!(ended.clone().rev().take(10_000).all(|cookie| recent.contains(cookie)));
        assert_eq!(ended.filter(|cookie| recent.contains(*cookie)).count(), WAYS * PLACES);
    }
}
