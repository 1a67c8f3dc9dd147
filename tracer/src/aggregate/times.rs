//! How long stays in a state last.

use hdrhistogram::Histogram;
pub use tracer_common::fold::BUCKETS;
use tracer_common::fold::bucket;

/// The longest stay that quantiles tell apart: 30 days.
const LONGEST_NS: u64 = 30 * 86_400 * 1_000_000_000;

/// Significant digits of quantiles: they are off by a hundredth at most.
const DIGITS: u8 = 2;

/// The lengths of stays in one state.
#[derive(Clone, Debug)]
pub struct Times {
    /// Stays of each length.
    pub buckets: [u64; BUCKETS],
    /// Stays of a length that is not known.
    pub unknown: u64,
    /// Of those known, the ones whose end was not measured but found by looking.
    pub sampled: u64,
    /// How far these may be off at most, in nanoseconds.
    pub error_ns: u64,
    /// The longest, in nanoseconds.
    pub max_ns: u64,
    quantiles: Histogram<u64>,
}

impl Default for Times {
    fn default() -> Self {
        // Bounds that are the same for all and allowed: this cannot fail.
        #[allow(clippy::unwrap_used)]
        let quantiles = Histogram::new_with_bounds(1, LONGEST_NS, DIGITS).unwrap();
        Self { buckets: [0; BUCKETS], unknown: 0, sampled: 0, error_ns: 0, max_ns: 0, quantiles }
    }
}

impl Times {
    /// Adds a stay.
    pub fn add(&mut self, ns: u64) {
        self.buckets[usize::from(bucket(ns))] += 1;
        self.max_ns = self.max_ns.max(ns);
        self.quantiles.saturating_record(ns);
    }

    /// Adds what another has counted.
    pub fn absorb(&mut self, other: &Self) {
        for (mine, other) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += other;
        }
        self.unknown += other.unknown;
        self.sampled += other.sampled;
        self.error_ns = self.error_ns.max(other.error_ns);
        self.max_ns = self.max_ns.max(other.max_ns);
        // The same bounds: this cannot fail.
        let _ = self.quantiles.add(&other.quantiles);
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.quantiles.reset();
        self.buckets = [0; BUCKETS];
        (self.unknown, self.sampled, self.error_ns, self.max_ns) = (0, 0, 0, 0);
    }

    /// Stays of known length.
    #[must_use]
    pub fn stays(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The length that so much of the stays do not exceed, within a hundredth; `None` without stays.
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
            let told_ns = times.quantile_ns(quantile).unwrap();
            assert!(told_ns.abs_diff(exact_ns) <= exact_ns / 100, "{quantile}: {told_ns}");
        }
        assert_eq!((times.stays(), times.max_ns), (100_000, 100_000_000));
    }

    #[test]
    fn without_stays_there_is_no_quantile() {
        assert_eq!(Times::default().quantile_ns(0.5), None);
    }

    #[test]
    fn extremes_have_a_place() {
        let mut times = Times::default();
        for ns in [0, 1, u64::MAX] {
            times.add(ns);
        }
        assert_eq!((times.buckets[0], times.buckets[63]), (2, 1));
        assert!(times.quantile_ns(1.0).is_some());
    }
}
