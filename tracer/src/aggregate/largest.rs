//! The largest of many, in bounded memory.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
};

/// One of them.
#[derive(Clone, Debug)]
struct Ranked<T> {
    value: u64,
    /// Of the same value the first ones stay: a replay is to show the same.
    number: Reverse<u64>,
    item: T,
}

impl<T> Ranked<T> {
    fn rank(&self) -> (u64, Reverse<u64>) {
        (self.value, self.number)
    }
}

impl<T> PartialEq for Ranked<T> {
    fn eq(&self, other: &Self) -> bool {
        self.rank() == other.rank()
    }
}

impl<T> Eq for Ranked<T> {}

impl<T> PartialOrd for Ranked<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Ranked<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

/// The items of the largest values.
///
/// ```
/// use tracer::aggregate::largest::Largest;
///
/// let mut largest = Largest::new(2);
/// for value in [3, 9, 1, 7] {
///     largest.offer(value, || value);
/// }
/// assert_eq!(largest.sorted(), [(9, &9), (7, &7)]);
/// assert_eq!(largest.offered(), 4);
/// ```
#[derive(Clone, Debug)]
pub struct Largest<T> {
    most: usize,
    offered: u64,
    heap: BinaryHeap<Reverse<Ranked<T>>>,
}

impl<T> Largest<T> {
    /// None yet; keeps so many.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { most, offered: 0, heap: BinaryHeap::new() }
    }

    /// Offers one. It is made only if it is kept.
    pub fn offer(&mut self, value: u64, item: impl FnOnce() -> T) {
        self.offered += 1;
        let is_full = self.heap.len() >= self.most;
        if is_full && self.heap.peek().is_none_or(|Reverse(least)| least.value >= value) {
            return;
        }
        if is_full {
            self.heap.pop();
        }
        self.heap.push(Reverse(Ranked { value, number: Reverse(self.offered), item: item() }));
    }

    /// How many were offered.
    #[must_use]
    pub fn offered(&self) -> u64 {
        self.offered
    }

    /// Those that were kept, the largest first.
    #[must_use]
    pub fn sorted(&self) -> Vec<(u64, &T)> {
        let mut all: Vec<_> = self.heap.iter().map(|Reverse(ranked)| ranked).collect();
        all.sort_unstable_by_key(|ranked| Reverse(ranked.rank()));
        all.into_iter().map(|ranked| (ranked.value, &ranked.item)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_stay_and_of_equal_ones_the_first() {
        let mut random = fastrand::Rng::with_seed(7);
        let values: Vec<u64> = (0..10_000).map(|_| random.u64(..500)).collect();
        let mut largest = Largest::new(200);
        for (place, value) in values.iter().enumerate() {
            largest.offer(*value, || place);
        }
        let mut expected: Vec<_> = values.iter().copied().zip(0..).collect();
        expected.sort_by_key(|(value, place)| (Reverse(*value), *place));
        expected.truncate(200);
        let found: Vec<_> = largest.sorted().into_iter().map(|(value, place)| (value, *place)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn nothing_is_kept_where_there_is_no_room() {
        let mut largest = Largest::new(0);
        largest.offer(1, || ());
        assert_eq!((largest.sorted().len(), largest.offered()), (0, 1));
    }
}
