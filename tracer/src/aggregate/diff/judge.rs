//! Whether figures differ enough to matter, and shares by more than chance.

use crate::aggregate::{
    diff::{
        chance::{fisher, student_t},
        report::Figures,
    },
    report::Quantiles,
};

/// Of fewer nothing is concluded.
pub(super) const FEWEST: u64 = 10;

/// The least that is told, beside [`SIGNIFICANCE`](super::compare::SIGNIFICANCE).
pub(super) mod least {
    /// Difference of shares that are worse or better.
    pub(in crate::aggregate::diff) const SHARE: f64 = 0.002;
    /// Difference of other shares.
    pub(in crate::aggregate::diff) const OTHER_SHARE: f64 = 0.05;
    /// Ratio of shares, and of quantiles.
    pub(in crate::aggregate::diff) const RATIO: f64 = 1.2;
    /// How much more often one is the longer of two.
    pub(in crate::aggregate::diff) const EFFECT: f64 = 0.15;
    /// Difference of quantiles in nanoseconds.
    pub(in crate::aggregate::diff) const DURATION_NS: u64 = 1_000_000;
    /// Difference and ratio of shares of what is slow.
    pub(in crate::aggregate::diff) const TAIL_SHARE: f64 = 0.005;
    pub(in crate::aggregate::diff) const TAIL_RATIO: f64 = 2.0;
    /// Ratio of rates.
    pub(in crate::aggregate::diff) const RATE_RATIO: f64 = 2.0;
}

/// What was found out about a measure.
pub(super) struct Measured {
    pub(super) figures: [Figures; 2],
    pub(super) ratio: Option<f64>,
    pub(super) p: Option<f64>,
    /// It is large enough to matter, and whether there is more of it.
    pub(super) is_more: Option<bool>,
    /// How many connections it is about.
    pub(super) weight: f64,
}

impl Measured {
    pub(super) fn quantiles(&self, of: impl Fn(&Quantiles) -> Option<u64>) -> Option<(u64, u64)> {
        of(&self.figures[0].quantiles).zip(of(&self.figures[1].quantiles))
    }

    #[allow(clippy::cast_precision_loss)]
    pub(super) fn judge_share(&mut self, least: f64, least_ratio: f64) {
        if let (Some(a), Some(b)) = (self.figures[0].share, self.figures[1].share) {
            let difference = (b - a).abs();
            if difference >= least && is_apart(a, b, least_ratio) {
                self.is_more = Some(b > a);
            }
            let of = self.figures.iter().filter_map(|figures| figures.of).max().unwrap_or_default();
            self.weight = difference * of as f64;
        }
    }
}

pub(super) fn ratio(a: f64, b: f64) -> Option<f64> {
    (a > 0.0).then(|| b / a)
}

pub(super) fn is_apart(a: f64, b: f64, ratio: f64) -> bool {
    a.max(b) >= a.min(b) * ratio && a.max(b) > 0.0
}

/// Whether the second one is that much longer, or shorter.
#[allow(clippy::cast_precision_loss)]
pub(super) fn is_longer(a: u64, b: u64, is_more: bool) -> bool {
    (b > a) == is_more && a.abs_diff(b) >= least::DURATION_NS && is_apart(a as f64, b as f64, least::RATIO)
}

/// By how much the variance is greater than by chance, and its degrees of freedom.
pub(super) fn dispersion(of: [(f64, f64); 2]) -> (f64, f64) {
    let (squares, freedom) = of.into_iter().fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    // What is always the same does not vary.
    if freedom > 0.0 { ((squares / freedom).max(1.0), freedom) } else { (1.0, f64::INFINITY) }
}

/// Whether two shares differ: Fisher's exact test, and where blocks differ by more than chance that of two shares whose
/// variance is so much greater.
#[allow(clippy::cast_precision_loss)]
pub(super) fn share_test(a: (u64, u64), b: (u64, u64), (factor, freedom): (f64, f64)) -> Option<f64> {
    let count = a.0 + b.0;
    let others = (a.1 + b.1).saturating_sub(count);
    if a.1 == 0 || b.1 == 0 || count < FEWEST || others < FEWEST {
        return None;
    }
    let [of_a, of_b] = [a.1, b.1].map(|of| of as f64);
    let share = count as f64 / (of_a + of_b);
    let variance = share * (1.0 - share) * (1.0 / of_a + 1.0 / of_b) * factor;
    let difference = b.0 as f64 / of_b - a.0 as f64 / of_a;
    let approximate = student_t(difference / variance.sqrt(), freedom);
    Some(fisher(a, b).map_or(approximate, |exact| exact.max(approximate)))
}
