//! What happened in the last minute, by key.

use std::{cmp::Reverse, hash::Hash};

use hashbrown::HashMap;

/// Length of the window in seconds.
const SECONDS: usize = 60;

/// How many keys are counted at most. What happens to others is counted together.
const MOST_KEYS: usize = 4096;

/// Counts of the last minute, second by second.
#[derive(Clone, Debug)]
struct Window {
    counts: [u32; SECONDS],
    /// The last second that was counted.
    until_s: u64,
}

impl Window {
    fn reach(&mut self, second: u64) {
        let passed = second.saturating_sub(self.until_s).min(SECONDS as u64);
        for step in 1..=passed {
            self.counts[slot(second - (passed - step))] = 0;
        }
        self.until_s = self.until_s.max(second);
    }

    fn add(&mut self, second: u64, count: u32) {
        self.reach(second);
        // An event that comes late by a minute or more no longer counts.
        if second + (SECONDS as u64) > self.until_s {
            let slot = &mut self.counts[slot(second)];
            *slot = slot.saturating_add(count);
        }
    }

    fn sum(&self) -> u64 {
        self.counts.iter().map(|count| u64::from(*count)).sum()
    }
}

fn slot(second: u64) -> usize {
    usize::try_from(second % SECONDS as u64).unwrap_or_default()
}

/// Counts of the last minute by key, with the latest example of each.
#[derive(Clone, Debug)]
pub(super) struct Minute<K, T> {
    by_key: HashMap<K, (Window, T)>,
    /// Events whose key found no room.
    pub(super) others: u64,
}

impl<K, T> Default for Minute<K, T> {
    fn default() -> Self {
        Self { by_key: HashMap::new(), others: 0 }
    }
}

impl<K: Hash + Ord + Copy, T: Copy> Minute<K, T> {
    /// Counts events at this time in nanoseconds.
    pub(super) fn add(&mut self, key: K, example: T, time_ns: u64, count: u32) {
        let second = time_ns / 1_000_000_000;
        if self.by_key.len() >= MOST_KEYS && !self.by_key.contains_key(&key) {
            self.others += u64::from(count);
            return;
        }
        let (window, latest) = self
            .by_key
            .entry(key)
            .or_insert_with(|| (Window { counts: [0; SECONDS], until_s: second }, example));
        window.add(second, count);
        *latest = example;
    }

    /// Keys with their counts up to now, and the latest example of each, the most frequent first: the order must not
    /// be by chance, because a replay is to show the same. Keys to which nothing happened are dropped.
    pub(super) fn counts(&mut self, now_ns: u64) -> Vec<(K, u64, T)> {
        let second = now_ns / 1_000_000_000;
        self.by_key.retain(|_, (window, _)| {
            window.reach(second);
            window.sum() > 0
        });
        let counts = self.by_key.iter().map(|(key, (window, example))| (*key, window.sum(), *example));
        let mut counts: Vec<_> = counts.collect();
        counts.sort_unstable_by_key(|(key, count, _)| (Reverse(*count), *key));
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn count(minute: &mut Minute<u8, ()>, now_s: u64) -> u64 {
        minute.counts(now_s * SECOND).into_iter().map(|(_, count, ())| count).sum()
    }

    #[test]
    fn a_minute_later_nothing_counts() {
        let mut minute = Minute::default();
        for second in [100, 100, 130, 129] {
            minute.add(1, (), second * SECOND, 1);
        }
        assert_eq!(count(&mut minute, 130), 4);
        assert_eq!(count(&mut minute, 159), 4);
        assert_eq!(count(&mut minute, 160), 2);
        assert_eq!(count(&mut minute, 189), 1);
        assert_eq!((count(&mut minute, 190), minute.by_key.len()), (0, 0));
    }

    #[test]
    fn the_most_frequent_come_first_and_equal_ones_in_their_order() {
        let mut minute = Minute::default();
        for key in [7_u8, 9, 3, 9, 5] {
            minute.add(key, (), SECOND, 1);
        }
        let keys: Vec<_> = minute.counts(SECOND).into_iter().map(|(key, ..)| key).collect();
        assert_eq!(keys, [9, 3, 5, 7]);
    }

    #[test]
    fn memory_is_bounded() {
        let mut minute = Minute::default();
        for key in 0..10_000_u32 {
            minute.add(key, (), SECOND, 1);
        }
        assert_eq!((minute.by_key.len(), minute.others), (MOST_KEYS, 10_000 - MOST_KEYS as u64));
    }
}
