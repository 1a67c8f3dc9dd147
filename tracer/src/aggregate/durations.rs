//! Durations in ranges with fixed bounds, whose counts only grow.

/// Counts of durations.
#[derive(Clone, Debug)]
pub struct Durations {
    /// The upper bounds of the ranges, in nanoseconds.
    bounds_ns: &'static [u64],
    /// How many there are in each range; the last one has no bound.
    counts: Vec<u64>,
    /// Their sum in nanoseconds.
    sum_ns: u128,
}

impl Durations {
    /// None yet, in ranges with these upper bounds in nanoseconds, the shortest first.
    #[must_use]
    pub fn new(bounds_ns: &'static [u64]) -> Self {
        Self { bounds_ns, counts: vec![0; bounds_ns.len() + 1], sum_ns: 0 }
    }

    /// Adds one of so many nanoseconds.
    pub fn add(&mut self, ns: u64) {
        let range = self.bounds_ns.partition_point(|bound_ns| *bound_ns < ns);
        self.counts[range] += 1;
        self.sum_ns += u128::from(ns);
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Their sum in seconds.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn sum_s(&self) -> f64 {
        self.sum_ns as f64 / 1e9
    }

    /// The upper bound of each range in seconds, the last one infinite, and how many there are in it.
    #[allow(clippy::cast_precision_loss)]
    pub fn ranges(&self) -> impl Iterator<Item = (f64, u64)> {
        let bounds = self.bounds_ns.iter().map(|bound_ns| *bound_ns as f64 / 1e9).chain([f64::INFINITY]);
        bounds.zip(self.counts.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_in_its_range() {
        let mut durations = Durations::new(&[1_000, 1_000_000]);
        for ns in [0, 1_000, 1_001, 1_000_000, 1_000_001] {
            durations.add(ns);
        }
        let counts: Vec<_> = durations.ranges().map(|(_, count)| count).collect();
        assert_eq!((counts, durations.count()), (vec![2, 2, 1], 5));
        assert!((durations.sum_s() - 0.002_002_002).abs() < 1e-12);
    }
}
