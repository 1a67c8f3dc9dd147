//! How long connections stay in a state.

use hdrhistogram::Histogram;
pub use tracer_common::aggregate::BUCKETS;
use tracer_common::aggregate::bucket;

/// The longest duration that quantiles distinguish: 30 days.
const MAX_NS: u64 = 30 * 86_400 * 1_000_000_000;

/// Significant digits of quantiles, whose error is so at most 1 %.
const SIGNIFICANT_DIGITS: u8 = 2;

/// Durations of the stays in one state. A stay lasts from entering a state to leaving it.
#[derive(Clone, Debug)]
pub struct Times {
    /// Stays by duration: bucket `i` holds those of at least 2^i and less than 2^(i+1) nanoseconds, the
    /// first also those of 0.
    pub buckets: [u64; BUCKETS],
    /// Stays of unknown duration.
    pub unknown: u64,
    /// Stays of known duration whose end was sampled, and so is not exact.
    pub sampled: u64,
    /// The largest error of these, in nanoseconds.
    pub error_ns: u64,
    /// The longest duration, in nanoseconds.
    pub max_ns: u64,
    quantiles: Histogram<u64>,
}

impl Default for Times {
    fn default() -> Self {
        // This cannot fail: the bounds are constant and valid.
        #[allow(clippy::unwrap_used)]
        let quantiles = Histogram::new_with_bounds(1, MAX_NS, SIGNIFICANT_DIGITS).unwrap();
        Self { buckets: [0; BUCKETS], unknown: 0, sampled: 0, error_ns: 0, max_ns: 0, quantiles }
    }
}

impl Times {
    /// Adds a stay of this duration, in nanoseconds.
    pub fn add(&mut self, ns: u64) {
        self.buckets[usize::from(bucket(ns))] += 1;
        self.max_ns = self.max_ns.max(ns);
        self.quantiles.saturating_record(ns);
    }

    /// Adds the stays of another.
    pub fn absorb(&mut self, other: &Self) {
        for (mine, other) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += other;
        }
        self.unknown += other.unknown;
        self.sampled += other.sampled;
        self.error_ns = self.error_ns.max(other.error_ns);
        self.max_ns = self.max_ns.max(other.max_ns);
        // This cannot fail: the bounds are the same.
        let _ = self.quantiles.add(&other.quantiles);
    }

    /// Removes all stays.
    pub fn clear(&mut self) {
        self.quantiles.reset();
        self.buckets = [0; BUCKETS];
        (self.unknown, self.sampled, self.error_ns, self.max_ns) = (0, 0, 0, 0);
    }

    /// How many stays have a known duration.
    #[must_use]
    pub fn stays(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// A quantile of the durations in nanoseconds, with an error of at most 1 %; `None` without stays.
    /// `quantile` is 0.5 for the median.
    #[must_use]
    pub fn quantile_ns(&self, quantile: f64) -> Option<u64> {
        let ns = self.quantiles.value_at_quantile(quantile).min(self.max_ns);
        (!self.quantiles.is_empty()).then_some(ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_a_hundredth() {
        let mut times = Times::default();
        (1..=100_000).for_each(|us| times.add(us * 1000));
        for (quantile, exact_ns) in [(0.5, 50_000_000), (0.9, 90_000_000), (0.99, 99_000_000)] {
            let reported_ns = times.quantile_ns(quantile).unwrap();
            assert!(reported_ns.abs_diff(exact_ns) <= exact_ns / 100, "{quantile}: {reported_ns}");
        }
        assert_eq!((times.stays(), times.max_ns), (100_000, 100_000_000));
    }

    #[test]
    fn no_durations_have_no_quantile() {
        assert_eq!(Times::default().quantile_ns(0.5), None);
    }

    #[test]
    fn extreme_durations_have_a_bucket() {
        let mut times = Times::default();
        for ns in [0, 1, u64::MAX] {
            times.add(ns);
        }
        assert_eq!((times.buckets[0], times.buckets[63]), (2, 1));
        assert!(times.quantile_ns(1.0).is_some());
    }
}
