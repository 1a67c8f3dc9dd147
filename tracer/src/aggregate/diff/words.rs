//! The figures of a comparison in words, for tables.

use crate::{
    aggregate::diff::{
        measure::Measure,
        report::{ChangeKind, DiffRow, Figures},
    },
    text::{duration::duration, width::grouped},
};

/// What is not known.
const NOTHING: &str = "-";

/// The figures of a side, of a measure.
#[must_use]
pub fn figures(measure: Measure, figures: &Figures) -> String {
    let share = maybe(figures.share, percent);
    match (measure, figures.limit_ns, figures.of) {
        (Measure::Begun, ..) => {
            figures.per_second.map_or_else(|| grouped(figures.count), |per| rate(per) + "/s")
        }
        (_, Some(limit_ns), _) => format!("{share} over {}", duration(limit_ns)),
        (_, None, Some(of)) => format!("{share} of {}", grouped(of)),
        (_, None, None) => {
            let [p50, p99] = [figures.quantiles.p50_ns, figures.quantiles.p99_ns].map(time);
            format!("{p50}, p99 {p99}")
        }
    }
}

/// How many times as much.
#[must_use]
pub fn ratio(ratio: Option<f64>) -> String {
    match ratio {
        None => NOTHING.to_owned(),
        Some(ratio) if ratio >= 9_999.5 => ">9999x".to_owned(),
        Some(ratio) if ratio >= 99.5 => format!("{ratio:.0}x"),
        Some(ratio) if ratio >= 9.95 => format!("{ratio:.1}x"),
        Some(ratio) => format!("{ratio:.2}x"),
    }
}

/// A probability.
#[must_use]
pub fn chance(p: Option<f64>) -> String {
    match p {
        None => NOTHING.to_owned(),
        Some(p) if p < 1e-9 => "<1e-9".to_owned(),
        Some(p) if p < 0.001 => format!("{p:.0e}"),
        Some(p) => format!("{p:.3}"),
    }
}

/// A share.
#[must_use]
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent >= 99.95 || percent == 0.0 { format!("{percent:.0}%") } else { format!("{percent:.2}%") }
}

/// So many a second.
#[must_use]
pub fn rate(per_second: f64) -> String {
    match per_second {
        // The cast is safe, because no rate is that high.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        rate if rate >= 100.0 => grouped(rate.round() as u64),
        rate if rate >= 1.0 => format!("{rate:.1}"),
        rate => format!("{rate:.3}"),
    }
}

/// A number in words, if there is one.
pub fn maybe(number: Option<f64>, words: impl FnOnce(f64) -> String) -> String {
    number.map_or_else(|| NOTHING.to_owned(), words)
}

/// A time in nanoseconds, if it is known.
#[must_use]
pub fn time(ns: Option<u64>) -> String {
    ns.map_or_else(|| NOTHING.to_owned(), duration)
}

/// How many changes there are of each kind.
#[must_use]
pub fn counts(changes: &[DiffRow]) -> String {
    let words = |(kind, whither): (ChangeKind, &str)| {
        let count = changes.iter().filter(|row| row.change == Some(kind)).count();
        (count > 0).then(|| format!("{count} {whither}"))
    };
    let kinds = [
        (ChangeKind::Regression, "for the worse"),
        (ChangeKind::Improvement, "for the better"),
        (ChangeKind::Other, "of another kind"),
    ];
    kinds.into_iter().filter_map(words).collect::<Vec<_>>().join(", ")
}

/// The titles of what [`of_group`] tells.
pub const OF_GROUP: [&str; 8] =
    ["BEGUN", "ENDED", "ENDED/S", "FAILED", "SHAKE P50", "SHAKE P99", "LIVED P50", "LIVED P99"];

/// What matters most about a group on one side, from all its rows.
#[must_use]
pub fn of_group(rows: &[DiffRow], side: usize) -> [String; OF_GROUP.len()] {
    let figures_of = |row: &DiffRow| if side == 0 { row.a.clone() } else { row.b.clone() };
    let of = |measure: Measure| rows.iter().find(|row| row.measure == measure).map(figures_of);
    // Each share of ends has the number of all.
    let ends = rows.iter().filter(|row| matches!(row.measure, Measure::End(_)));
    let ends = ends.map(figures_of).find(|figures| figures.count > 0);
    let ended = ends.as_ref().and_then(|figures| figures.of).unwrap_or_default();
    let failed = match of(Measure::Failed) {
        Some(figures) => figures.share,
        None => (ended > 0).then_some(0.0),
    };
    let [shakes, lives] = [Measure::Handshake, Measure::Duration]
        .map(|measure| of(measure).map(|figures| figures.quantiles).unwrap_or_default());
    [
        grouped(of(Measure::Begun).map_or(0, |figures| figures.count)),
        grouped(ended),
        maybe(ends.as_ref().and_then(ended_per_second), rate),
        maybe(failed, percent),
        time(shakes.p50_ns),
        time(shakes.p99_ns),
        time(lives.p50_ns),
        time(lives.p99_ns),
    ]
}

/// Ends a second, of all reasons.
#[allow(clippy::cast_precision_loss)]
fn ended_per_second(figures: &Figures) -> Option<f64> {
    let of_reason = figures.per_second.filter(|_| figures.count > 0)?;
    Some(of_reason / figures.count as f64 * figures.of? as f64)
}

/// A side's number, share and rate.
#[must_use]
pub fn of_share(figures: &Figures) -> [String; 3] {
    [grouped(figures.count), maybe(figures.share, percent), maybe(figures.per_second, rate)]
}

/// A side's number and quantiles of times.
#[must_use]
pub fn of_times(figures: &Figures) -> [String; 4] {
    let quantiles = figures.quantiles;
    [grouped(figures.count), time(quantiles.p50_ns), time(quantiles.p90_ns), time(quantiles.p99_ns)]
}
