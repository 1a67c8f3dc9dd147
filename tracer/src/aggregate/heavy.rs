//! Heavy hitters: the keys with the highest counts, in bounded memory and with a bounded error.
//!
//! This is Misra and Gries's summary ("Finding repeated elements", 1982), in the form that subtracts the
//! median when the table is full. An update takes constant time on average, and two summaries can be merged.
//! A count is never too high. It is too low by at most [`HeavyHitters::missing`], which is at most twice the
//! sum of all counts, divided by the capacity.

use std::{cmp::Reverse, hash::Hash};

use hashbrown::HashMap;

/// The counts of a key.
pub trait Weighted: Copy + Default {
    /// The count by which keys are ranked.
    fn weight(&self) -> u64;
    /// Subtracts from that count.
    fn subtract(&mut self, weight: u64);
    /// Adds the counts of another.
    fn add(&mut self, other: &Self);
}

/// A table of the heaviest keys and their counts.
#[derive(Clone, Debug)]
pub struct HeavyHitters<K, T> {
    entries: HashMap<K, T>,
    capacity: usize,
    missing: u64,
}

impl<K: Hash + Eq + Copy, T: Weighted> HeavyHitters<K, T> {
    /// An empty table for so many keys, at least 2.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { entries: HashMap::new(), capacity: capacity.max(2), missing: 0 }
    }

    /// The counts of a key, to be added to.
    pub fn entry(&mut self, key: K) -> &mut T {
        if self.entries.len() >= self.capacity && !self.entries.contains_key(&key) {
            self.shrink();
        }
        self.entries.entry(key).or_default()
    }

    /// Drops the lighter half of the keys, and subtracts their highest weight from the others.
    fn shrink(&mut self) {
        // All entries are taken out and put in again: removing single ones would leave tombstones, which
        // make the table grow.
        let mut all: Vec<(K, T)> = self.entries.drain().collect();
        let middle = all.len() / 2;
        all.select_nth_unstable_by_key(middle, |(_, counts)| Reverse(counts.weight()));
        let median_weight = all[middle].1.weight();
        all.truncate(middle);
        self.entries.extend(all.into_iter().map(|(key, mut counts)| {
            counts.subtract(median_weight);
            (key, counts)
        }));
        self.missing += median_weight;
    }

    /// Adds the counts of another table.
    pub fn absorb(&mut self, other: &Self) {
        for (key, counts) in &other.entries {
            self.entry(*key).add(counts);
        }
        self.missing += other.missing;
    }

    /// Removes all keys.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.missing = 0;
    }

    /// By how much a count may be too low at most. A key that is not in the table has no higher count than
    /// this.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.missing
    }

    /// How many keys there are; `None` if some were dropped.
    #[must_use]
    pub fn keys(&self) -> Option<usize> {
        (self.missing == 0).then_some(self.entries.len())
    }

    /// The `count` keys with the highest `rank`, the highest first; of the same, the heaviest.
    #[must_use]
    pub fn highest(&self, count: usize, rank: impl Fn(&T) -> u64) -> Vec<(K, T)>
    where
        K: Ord,
    {
        let mut all: Vec<(K, T)> = self.entries.iter().map(|(key, counts)| (*key, *counts)).collect();
        all.sort_unstable_by_key(|(key, counts)| (Reverse((rank(counts), counts.weight())), *key));
        all.truncate(count);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap as Exact;

    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    struct Count(u64);

    impl Weighted for Count {
        fn weight(&self) -> u64 {
            self.0
        }
        fn subtract(&mut self, weight: u64) {
            self.0 -= weight;
        }
        fn add(&mut self, other: &Self) {
            self.0 += other.0;
        }
    }

    fn check_bounds(heavy: &HeavyHitters<u32, Count>, exact: &Exact<u32, u64>) {
        let total: u64 = exact.values().sum();
        assert!(heavy.missing() <= 2 * total / heavy.capacity as u64, "{} of {total}", heavy.missing());
        assert!(heavy.entries.len() <= heavy.capacity);
        for (key, count) in exact {
            let reported = heavy.entries.get(key).map_or(0, |counts| counts.0);
            assert!(
                reported <= *count && *count <= reported + heavy.missing(),
                "{key}: {reported} of {count}"
            );
        }
    }

    /// Keys of which a few occur often and most only once.
    fn skewed(seed: u64) -> Vec<u32> {
        let mut random = fastrand::Rng::with_seed(seed);
        (0..100_000).map(|_| if random.bool() { random.u32(..20) } else { random.u32(..) }).collect()
    }

    #[test]
    fn counts_are_within_the_bound_alone_and_merged() {
        let (mut parts, mut exact) = (Vec::new(), Exact::new());
        for seed in 0..4 {
            let mut heavy = HeavyHitters::<u32, Count>::new(256);
            let mut own = Exact::new();
            for key in skewed(seed) {
                heavy.entry(key).0 += 1;
                *own.entry(key).or_default() += 1;
                *exact.entry(key).or_default() += 1;
            }
            check_bounds(&heavy, &own);
            parts.push(heavy);
        }
        let mut all = HeavyHitters::new(256);
        for part in &parts {
            all.absorb(part);
        }
        let total: u64 = exact.values().sum();
        assert!(all.missing() <= 4 * total / 256);
        let reported: Vec<u32> = all.highest(20, Count::weight).into_iter().map(|(key, _)| key).collect();
        assert!((0..20).all(|key| reported.contains(&key)), "{reported:?}");
    }

    #[test]
    fn counts_are_exact_while_all_keys_fit() {
        let mut heavy = HeavyHitters::<u32, Count>::new(4);
        for key in [1, 2, 2, 3, 3, 3] {
            heavy.entry(key).0 += 1;
        }
        assert_eq!((heavy.missing(), heavy.keys()), (0, Some(3)));
        assert_eq!(heavy.highest(2, Count::weight), [(3, Count(3)), (2, Count(2))]);
    }
}
