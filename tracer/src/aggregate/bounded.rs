//! Counts by key that only grow, in bounded memory: what has no place of its own counts as others, so the sum over all
//! is always the whole.

use std::hash::Hash;

use hashbrown::HashMap;

/// How many times as long a key stays whose place nobody wants: when it goes, its counts become those of others, which
/// looks as if these had grown.
const PATIENCE: u64 = 144;

/// Counts of connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionCounts {
    /// That began.
    pub begun: u64,
    /// That ended for their processes.
    pub ended: u64,
    /// Of these, those that did not close in order.
    pub failed: u64,
}

impl ConnectionCounts {
    /// Adds other counts to them.
    pub fn add(&mut self, other: Self) {
        self.begun += other.begun;
        self.ended += other.ended;
        self.failed += other.failed;
    }
}

/// Counts by key.
#[derive(Clone, Debug)]
pub struct BoundedCounts<K> {
    /// The counts of each key that has a place, and when it was last counted, in nanoseconds.
    keys: HashMap<K, (ConnectionCounts, u64)>,
    capacity: usize,
    /// The counts of all that have none.
    others: ConnectionCounts,
    /// Counts without a place since the last [`Self::expire`]: the heaviest get the places that become free.
    waiting: HashMap<K, u64>,
}

impl<K: Hash + Eq> BoundedCounts<K> {
    /// Room for so many keys.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { keys: HashMap::new(), capacity, others: ConnectionCounts::default(), waiting: HashMap::new() }
    }

    /// Adds counts to a key at this time.
    pub fn add(&mut self, key: K, counts: ConnectionCounts, now_ns: u64) {
        if let Some((mine, last_ns)) = self.keys.get_mut(&key) {
            mine.add(counts);
            *last_ns = now_ns;
        } else if self.keys.len() < self.capacity {
            self.keys.insert(key, (counts, now_ns));
        } else {
            self.others.add(counts);
            // Those that come later than so many others are not heavy.
            if self.waiting.len() < 4 * self.capacity || self.waiting.contains_key(&key) {
                *self.waiting.entry(key).or_default() += 1;
            }
        }
    }

    /// From now on there is room for so many keys. Those that have a place and no room are counted as others.
    pub fn limit(&mut self, capacity: usize) {
        self.capacity = capacity;
        let mut counts: Vec<_> = self.keys.drain().collect();
        counts.sort_by_key(|(_, (counts, _))| std::cmp::Reverse(counts.begun));
        for (_, (counts, _)) in counts.drain(capacity.min(counts.len())..) {
            self.others.add(counts);
        }
        self.keys.extend(counts);
    }

    /// Gives up the places of keys that were not counted for so long: their counts are those of others from now on. The
    /// heaviest of the others get the places. As long as nobody waits for a place, that takes [`PATIENCE`] times as long.
    pub fn expire(&mut self, now_ns: u64, idle_ns: u64) {
        let Self { keys, others, waiting, .. } = self;
        let mut wanted = waiting.len();
        keys.retain(|_, (counts, last_ns)| {
            let unused_ns = now_ns.saturating_sub(*last_ns);
            let gives_way = unused_ns >= idle_ns && wanted > 0;
            wanted -= usize::from(gives_way);
            let stays = !gives_way && unused_ns < idle_ns.saturating_mul(PATIENCE);
            if !stays {
                others.add(*counts);
            }
            stays
        });
        let mut waiting: Vec<_> = self.waiting.drain().collect();
        waiting.sort_unstable_by_key(|(_, count)| std::cmp::Reverse(*count));
        let free = self.capacity - self.keys.len();
        for (key, _) in waiting.into_iter().take(free) {
            // What was counted before stays with the others: a count never goes back.
            self.keys.insert(key, (ConnectionCounts::default(), now_ns));
        }
    }

    /// The counts of the keys that have a place.
    pub fn iter(&self) -> impl Iterator<Item = (&K, ConnectionCounts)> {
        self.keys.iter().map(|(key, (counts, _))| (key, *counts))
    }

    /// The counts of all others.
    #[must_use]
    pub fn others(&self) -> ConnectionCounts {
        self.others
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: ConnectionCounts = ConnectionCounts { begun: 1, ended: 1, failed: 0 };

    fn sum(counts: &BoundedCounts<u32>) -> u64 {
        counts.iter().map(|(_, counts)| counts.begun).sum::<u64>() + counts.others().begun
    }

    #[test]
    fn the_sum_is_the_whole_whatever_there_is_room_for() {
        let mut counts = BoundedCounts::new(10);
        for number in 0..100_000_u32 {
            counts.add(number % 997, ONE, u64::from(number));
            if number % 1000 == 0 {
                counts.expire(u64::from(number), 500);
            }
            assert!(counts.keys.len() <= 10 && counts.waiting.len() <= 40);
        }
        assert_eq!(sum(&counts), 100_000);
    }

    #[test]
    fn who_is_idle_stays_while_there_is_room() {
        let mut counts = BoundedCounts::new(2);
        counts.add(1, ONE, 0);
        counts.expire(100, 10);
        assert_eq!((counts.iter().count(), counts.others().begun), (1, 0));
        counts.expire(10 * PATIENCE, 10);
        assert_eq!((counts.iter().count(), counts.others().begun), (0, 1));
    }

    #[test]
    fn heavy_ones_get_the_places_of_idle_ones() {
        let mut counts = BoundedCounts::new(2);
        for key in [1, 2] {
            counts.add(key, ONE, 0);
        }
        for number in 0..50 {
            counts.add(3 + number % 5, ONE, 10);
            counts.add(9, ONE, 10);
        }
        counts.expire(20, 15);
        let mut keys: Vec<_> = counts.iter().map(|(key, _)| *key).collect();
        keys.sort_unstable();
        assert_eq!((keys[1], counts.iter().find(|(key, _)| **key == 9).unwrap().1.begun), (9, 0));
        counts.add(9, ONE, 21);
        assert_eq!(counts.iter().find(|(key, _)| **key == 9).unwrap().1.begun, 1);
        assert_eq!(sum(&counts), 103);
    }
}
