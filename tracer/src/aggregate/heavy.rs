//! The heaviest of more keys than there is room for, with a bound on what is missing.
//!
//! Misra and Gries's summary ("Finding repeated elements", 1982) in the form that subtracts the
//! median when the table is full: constant time an update on average, and two summaries can be
//! added up. Counts are never too high, and too low by [`Heavy::missing`] at most, which is at most
//! twice all that was counted divided by the room.

use std::{cmp::Reverse, hash::Hash};

use hashbrown::HashMap;

/// What is counted for a key.
pub trait Weighted: Copy + Default {
    /// What decides who stays.
    fn weight(&self) -> u64;
    /// Takes weight away.
    fn lighten(&mut self, weight: u64);
    /// Adds another's.
    fn add(&mut self, other: &Self);
}

/// A table of bounded size.
#[derive(Clone, Debug)]
pub struct Heavy<K, T> {
    entries: HashMap<K, T>,
    room: usize,
    missing: u64,
}

impl<K: Hash + Eq + Copy, T: Weighted> Heavy<K, T> {
    /// With room for so many keys.
    #[must_use]
    pub fn new(room: usize) -> Self {
        Self { entries: HashMap::new(), room: room.max(2), missing: 0 }
    }

    /// The tally of a key, to be added to.
    pub fn of(&mut self, key: K) -> &mut T {
        if self.entries.len() >= self.room && !self.entries.contains_key(&key) {
            self.make_room();
        }
        self.entries.entry(key).or_default()
    }

    fn make_room(&mut self) {
        // Out and in again: what is only removed leaves marks behind, for which the table grows.
        let mut all: Vec<(K, T)> = self.entries.drain().collect();
        let middle = all.len() / 2;
        all.select_nth_unstable_by_key(middle, |(_, tally)| Reverse(tally.weight()));
        let median = all[middle].1.weight();
        all.truncate(middle);
        self.entries.extend(all.into_iter().map(|(key, mut tally)| {
            tally.lighten(median);
            (key, tally)
        }));
        self.missing += median;
    }

    /// Adds what another has counted.
    pub fn absorb(&mut self, other: &Self) {
        for (key, tally) in &other.entries {
            self.of(*key).add(tally);
        }
        self.missing += other.missing;
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.missing = 0;
    }

    /// How much a count may be too low at most; a key that is not there has weighed no more.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.missing
    }

    /// How many keys there are, if none had to give way.
    #[must_use]
    pub fn keys(&self) -> Option<usize> {
        (self.missing == 0).then_some(self.entries.len())
    }

    /// The heaviest, at most so many, the heaviest first.
    #[must_use]
    pub fn heaviest(&self, count: usize) -> Vec<(K, T)>
    where
        K: Ord,
    {
        let mut all: Vec<(K, T)> = self.entries.iter().map(|(key, tally)| (*key, *tally)).collect();
        all.sort_unstable_by(|(a, x), (b, y)| y.weight().cmp(&x.weight()).then(a.cmp(b)));
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
        fn lighten(&mut self, weight: u64) {
            self.0 -= weight;
        }
        fn add(&mut self, other: &Self) {
            self.0 += other.0;
        }
    }

    fn check(heavy: &Heavy<u32, Count>, exact: &Exact<u32, u64>) {
        let total: u64 = exact.values().sum();
        assert!(heavy.missing() <= 2 * total / heavy.room as u64, "{} of {total}", heavy.missing());
        assert!(heavy.entries.len() <= heavy.room);
        for (key, count) in exact {
            let told = heavy.entries.get(key).map_or(0, |tally| tally.0);
            assert!(told <= *count && *count <= told + heavy.missing(), "{key}: {told} of {count}");
        }
    }

    /// A few are heavy, most come once.
    fn skewed(seed: u64) -> Vec<u32> {
        let mut random = fastrand::Rng::with_seed(seed);
        (0..100_000).map(|_| if random.bool() { random.u32(..20) } else { random.u32(..) }).collect()
    }

    #[test]
    fn counts_are_within_the_bound_alone_and_added_up() {
        let (mut parts, mut exact) = (Vec::new(), Exact::new());
        for seed in 0..4 {
            let mut heavy = Heavy::<u32, Count>::new(256);
            let mut own = Exact::new();
            for key in skewed(seed) {
                heavy.of(key).0 += 1;
                *own.entry(key).or_default() += 1;
                *exact.entry(key).or_default() += 1;
            }
            check(&heavy, &own);
            parts.push(heavy);
        }
        let mut all = Heavy::new(256);
        for part in &parts {
            all.absorb(part);
        }
        let total: u64 = exact.values().sum();
        assert!(all.missing() <= 4 * total / 256);
        let told: Vec<u32> = all.heaviest(20).into_iter().map(|(key, _)| key).collect();
        assert!((0..20).all(|key| told.contains(&key)), "{told:?}");
    }

    #[test]
    fn with_room_for_all_it_is_exact() {
        let mut heavy = Heavy::<u32, Count>::new(4);
        for key in [1, 2, 2, 3, 3, 3] {
            heavy.of(key).0 += 1;
        }
        assert_eq!((heavy.missing(), heavy.keys()), (0, Some(3)));
        assert_eq!(heavy.heaviest(2), [(3, Count(3)), (2, Count(2))]);
    }
}
