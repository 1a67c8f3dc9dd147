//! Compares two sides: figures of both, whether they differ by more than chance and enough to matter.

use std::cmp::Ordering;

use tracer_common::state as number;

use crate::{
    aggregate::{
        build::order_of,
        diff::{
            blocks::Share,
            chance::{fisher, holm, student_t},
            group::{DiffGroup, RETRANSMITTED},
            measure::{Measure, MoreIs},
            name::GroupName,
            report::{ChangeKind, DiffRow, Figures, rounded},
            side::NamedSide,
            spread::{RankWeight, Spread, rank_test},
        },
        report::Quantiles,
        totals::{STATES, state_index},
    },
    tcp::{
        reason::Reason,
        state::{LIVED_STATES, State, is_birth},
    },
};

/// The probability with which chance alone names anything in a whole comparison, at most.
pub const SIGNIFICANCE: f64 = 0.001;

/// Of fewer nothing is concluded.
const FEWEST: u64 = 10;

/// A connection is left in a state if it is there for so long at the end, in nanoseconds.
const LEFT_NS: u64 = 2_000_000_000;

/// What is slow: beyond this quantile of both sides together.
const TAIL: f64 = 0.99;

/// The least that is told, beside [`SIGNIFICANCE`].
mod least {
    /// Difference of shares that are worse or better.
    pub(super) const SHARE: f64 = 0.002;
    /// Difference of other shares.
    pub(super) const OTHER_SHARE: f64 = 0.05;
    /// Ratio of shares, and of quantiles.
    pub(super) const RATIO: f64 = 1.2;
    /// How much more often one is the longer of two.
    pub(super) const EFFECT: f64 = 0.15;
    /// Difference of quantiles in nanoseconds.
    pub(super) const DURATION_NS: u64 = 1_000_000;
    /// Difference and ratio of shares of what is slow.
    pub(super) const TAIL_SHARE: f64 = 0.005;
    pub(super) const TAIL_RATIO: f64 = 2.0;
    /// Ratio of rates.
    pub(super) const RATE_RATIO: f64 = 2.0;
}

/// A row, and what decides about it.
struct Judged {
    row: DiffRow,
    /// It is large enough to matter, and whether there is more of it.
    is_more: Option<bool>,
    /// How many connections it is about.
    weight: f64,
}

/// Compares both sides, whose names are normalised: the rows of all connections, and of each group, the heaviest
/// first.
#[must_use]
pub fn compare(a: &NamedSide, b: &NamedSide) -> Comparisons {
    let none = DiffGroup::default();
    let mut names: Vec<&GroupName> = a.groups.keys().chain(b.groups.keys()).collect();
    names.sort();
    names.dedup();
    let weight = |name: &&GroupName| {
        [a, b].map(|side| side.groups.get(*name).map_or(0, DiffGroup::weight)).iter().sum::<u64>()
    };
    names.sort_by_key(|name| std::cmp::Reverse(weight(name)));
    let pairs = names.into_iter().map(|name| {
        let [of_a, of_b] = [a, b].map(|side| side.groups.get(name).unwrap_or(&none));
        (name.clone(), of_a, of_b)
    });
    let mut judged = Vec::new();
    for (name, of_a, of_b) in std::iter::once((GroupName::All, &a.all, &b.all)).chain(pairs) {
        // Where nothing was forgotten, what is not there has not happened.
        let is_whole = of_a.is_whole
            && of_b.is_whole
            && [(a, of_a), (b, of_b)]
                .iter()
                .all(|(side, group)| side.missing_at_most == 0 || group.weight() > 0);
        let pair = Pair { a: of_a, b: of_b, durations_ns: [a.duration_ns, b.duration_ns], is_whole };
        // All connections together change with the mix of services.
        let is_tested = name.is_known() && name != GroupName::All;
        pair.rows(&name, is_tested, &mut judged);
    }
    Comparisons::of(judged)
}

/// All rows, and those that tell of a change.
#[derive(Debug, Default)]
pub struct Comparisons {
    /// All rows, by group.
    pub rows: Vec<DiffRow>,
    /// The rows that tell of a change, what matters most first. What follows from another one is left out.
    pub changes: Vec<DiffRow>,
    /// How many tests were made.
    pub tests: usize,
}

impl Comparisons {
    fn of(mut judged: Vec<Judged>) -> Self {
        let tested: Vec<usize> = (0..judged.len()).filter(|index| judged[*index].row.p.is_some()).collect();
        let p: Vec<f64> = tested.iter().filter_map(|index| judged[*index].row.p).collect();
        for (index, corrected) in tested.iter().zip(holm(&p)) {
            let Judged { row, is_more, .. } = &mut judged[*index];
            row.p_corrected = Some(corrected);
            row.change = is_more.filter(|_| corrected < SIGNIFICANCE).map(|is_more| {
                match (row.measure.trend(), is_more) {
                    (MoreIs::Worse, true) => ChangeKind::Regression,
                    (MoreIs::Worse, false) => ChangeKind::Improvement,
                    (MoreIs::Neither, _) => ChangeKind::Other,
                }
            });
        }
        let mut changed: Vec<&Judged> = judged.iter().filter(|judged| judged.row.change.is_some()).collect();
        changed.sort_by(|one, other| by_importance(one, other));
        let mut changes: Vec<DiffRow> = Vec::new();
        for Judged { row, .. } in &changed {
            let is_covered = changed.iter().any(|other| {
                other.row.name == row.name
                    && (other.row.change == row.change || matches!(row.measure, Measure::Next(..)))
                    && row.measure.follows_from(other.row.measure)
            });
            if is_covered {
                continue;
            }
            let same = changes.iter_mut().find(|other| {
                other.measure == row.measure && other.change == row.change && other.says_the_same(row)
            });
            match same {
                Some(other) => other.also.push(row.name.clone()),
                None => changes.push(row.clone()),
            }
        }
        let mut rows: Vec<DiffRow> = judged.into_iter().map(|judged| judged.row).collect();
        for row in changes.iter_mut().chain(&mut rows) {
            for p in [&mut row.p, &mut row.p_corrected].into_iter().flatten() {
                *p = rounded(*p, 3);
            }
        }
        Self { tests: p.len(), changes, rows }
    }
}

fn by_importance(one: &Judged, other: &Judged) -> Ordering {
    let key = |judged: &Judged| (judged.row.change, judged.row.measure.tier(), judged.row.name.kind());
    let one_of_several =
        |judged: &Judged| matches!(judged.row.measure, Measure::Failed | Measure::ConnectFailed);
    key(one)
        .cmp(&key(other))
        .then(other.weight.total_cmp(&one.weight))
        .then(one_of_several(one).cmp(&one_of_several(other)))
}

/// The same group on both sides.
struct Pair<'a> {
    a: &'a DiffGroup,
    b: &'a DiffGroup,
    durations_ns: [u64; 2],
    /// Nothing is missing in the counts of either.
    is_whole: bool,
}

impl Pair<'_> {
    fn rows(&self, name: &GroupName, is_tested: bool, judged: &mut Vec<Judged>) {
        let mut add = |found: Option<Measured>, measure: Measure| {
            let Some(Measured { figures: [a, b], ratio, p, is_more, weight }) = found else { return };
            let row = DiffRow {
                name: name.clone(),
                measure,
                a: a.rounded(),
                b: b.rounded(),
                ratio: ratio.map(|ratio| rounded(ratio, 6)),
                p: p.filter(|_| is_tested),
                p_corrected: None,
                change: None,
                also: Vec::new(),
            };
            judged.push(Judged { row, is_more, weight });
        };
        add(self.begun(), Measure::Begun);
        let ends = [&self.a.ends, &self.b.ends];
        let all = |reasons: &mut dyn Iterator<Item = Reason>| {
            let labels: Vec<usize> = reasons.map(|reason| reason as usize).collect();
            ends.map(|ends| ends.share(&labels))
        };
        let mut share = |shares: [Share<'_>; 2], measure: Measure| {
            add(self.share(&shares, measure.trend()), measure);
        };
        share(all(&mut Reason::ALL.iter().copied().filter(|reason| !reason.is_orderly())), Measure::Failed);
        share(all(&mut Measure::CONNECT_FAILED.into_iter()), Measure::ConnectFailed);
        for reason in Reason::ALL {
            share(ends.map(|ends| ends.share(&[*reason as usize])), Measure::End(*reason));
        }
        share(ends.map(|ends| ends.share(&[RETRANSMITTED])), Measure::Retransmitted);
        add(self.spread(&self.a.handshakes, &self.b.handshakes), Measure::Handshake);
        add(self.tail(&self.a.handshakes, &self.b.handshakes), Measure::HandshakeTail);
        add(self.spread(&self.a.durations, &self.b.durations), Measure::Duration);
        add(self.tail(&self.a.durations, &self.b.durations), Measure::DurationTail);
        for state in LIVED_STATES.into_iter().chain([number::TIME_WAIT]) {
            let [a, b] = [self.a, self.b].map(|group| &group.stays[state_index(state)]);
            let state = State::from_kernel(state);
            add(self.spread(a, b), Measure::Stay(state));
            add(self.tail(a, b), Measure::StayTail(state));
        }
        for measure in Measure::left() {
            add(self.left(measure), measure);
        }
        let mut states: Vec<State> = (0..u8::MAX).take(STATES).map(State::from_kernel).collect();
        states.sort_by_key(|state| order_of(*state));
        for (old, new) in states.iter().flat_map(|old| states.iter().map(move |new| (*old, *new))) {
            let (row, label) = (state_index(old.number()), state_index(new.number()));
            let shares = [self.a, self.b].map(|group| group.next[row].share(&[label]));
            let mut found = self.share(&shares, MoreIs::Neither);
            if let Some(found) = &mut found
                && is_birth(old.number(), new.number())
            {
                // There is no other.
                found.p = None;
            }
            add(found, Measure::Next(old, new));
        }
    }

    /// How many a second, if nothing is missing.
    #[allow(clippy::cast_precision_loss)]
    fn per_second(&self, side: usize, count: u64) -> Option<f64> {
        let duration_ns = self.durations_ns[side];
        (self.is_whole && duration_ns > 0).then(|| count as f64 * 1e9 / duration_ns as f64)
    }

    /// `None` if there are none on both sides.
    fn share(&self, shares: &[Share<'_>; 2], trend: MoreIs) -> Option<Measured> {
        let [a, b] = [shares[0].of(), shares[1].of()];
        let mut found = self.share_of(a, b)?;
        found.p = share_test(a, b, dispersion(shares.each_ref().map(Share::dispersion)));
        let least = if trend == MoreIs::Worse { least::SHARE } else { least::OTHER_SHARE };
        found.judge_share(least, least::RATIO);
        Some(found)
    }

    #[allow(clippy::cast_precision_loss)]
    fn share_of(&self, a: (u64, u64), b: (u64, u64)) -> Option<Measured> {
        if a.0 + b.0 == 0 {
            return None;
        }
        let figures = [(0, a), (1, b)].map(|(side, (count, of))| Figures {
            count,
            of: Some(of),
            share: (of > 0).then(|| count as f64 / of as f64),
            per_second: self.per_second(side, count),
            ..Figures::default()
        });
        let ratio = figures[0].share.zip(figures[1].share).and_then(|(a, b)| ratio(a, b));
        Some(Measured { figures, ratio, p: None, is_more: None, weight: 0.0 })
    }

    fn spread(&self, a: &Spread, b: &Spread) -> Option<Measured> {
        let figures = [(0, a), (1, b)].map(|(side, spread)| Figures {
            count: spread.count(),
            going_on: Some(spread.going_on(0, u64::MAX)),
            per_second: self.per_second(side, spread.count()),
            quantiles: Quantiles {
                p50_ns: spread.quantile_ns(0.5),
                p90_ns: spread.quantile_ns(0.9),
                p99_ns: spread.quantile_ns(0.99),
                max_ns: spread.max_ns(),
            },
            ..Figures::default()
        });
        if figures.iter().all(|figures| figures.count == 0) {
            return None;
        }
        let p50 = figures[0].quantiles.p50_ns.zip(figures[1].quantiles.p50_ns);
        #[allow(clippy::cast_precision_loss)]
        let ratio = p50.and_then(|(a, b)| ratio(a as f64, b as f64));
        let test = (a.count() >= FEWEST && b.count() >= FEWEST)
            .then(|| rank_test(a, b, RankWeight::Gehan))
            .flatten();
        let mut found = Measured { figures, ratio, p: None, is_more: None, weight: 0.0 };
        let Some(test) = test else { return Some(found) };
        let (factor, freedom) = dispersion([a.dispersion(), b.dispersion()]);
        found.p = Some(student_t(test.z / factor.sqrt(), freedom));
        let is_more = test.z > 0.0;
        let differs =
            [found.quantiles(|quantiles| quantiles.p50_ns), found.quantiles(|quantiles| quantiles.p90_ns)];
        if test.effect.abs() >= least::EFFECT
            && differs.into_iter().flatten().any(|(a, b)| is_longer(a, b, is_more))
        {
            found.is_more = Some(is_more);
        }
        #[allow(clippy::cast_precision_loss)]
        let count = b.count().max(a.count()) as f64;
        found.weight = test.effect.abs() * count;
        Some(found)
    }

    /// What is longer than most of both sides together.
    fn tail(&self, a: &Spread, b: &Spread) -> Option<Measured> {
        let mut both = a.clone();
        both.absorb(b.clone());
        let limit_ns = both.quantile_ns(TAIL)?;
        let of = |spread: &Spread| (spread.longer_than(limit_ns), spread.count());
        let (of_a, of_b) = (of(a), of(b));
        let mut found = self.share_of(of_a, of_b)?;
        for figures in &mut found.figures {
            figures.limit_ns = Some(limit_ns);
        }
        for (figures, spread) in found.figures.iter_mut().zip([a, b]) {
            figures.quantiles.p99_ns = spread.quantile_ns(0.99);
        }
        // A shorter span has no room for what is long.
        let is_short = self.durations_ns.iter().any(|duration_ns| limit_ns > duration_ns / 10);
        if !is_short {
            found.p = share_test(of_a, of_b, dispersion([a.dispersion(), b.dispersion()]));
        }
        found.judge_share(least::TAIL_SHARE, least::TAIL_RATIO);
        let quantiles = found.quantiles(|quantiles| quantiles.p99_ns);
        found.is_more =
            found.is_more.filter(|is_more| quantiles.is_some_and(|(a, b)| is_longer(a, b, *is_more)));
        Some(found)
    }

    /// Connections that are left in a state, of those that entered it not longer before the end than the shorter span
    /// is.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn left(&self, measure: Measure) -> Option<Measured> {
        let Measure::Left(state) = measure else { return None };
        let state = state_index(state.number());
        let shorter_ns = self.durations_ns[0].min(self.durations_ns[1]);
        let [a, b] = [(0, self.a), (1, self.b)].map(|(side, group): (usize, &DiffGroup)| {
            let stays = &group.stays[state];
            let part = shorter_ns as f64 / self.durations_ns[side].max(1) as f64;
            let left = stays.going_on(LEFT_NS, shorter_ns);
            let others = stays.count() + group.other_stays[state] + stays.going_on(0, LEFT_NS);
            (left, left + (others as f64 * part).round() as u64)
        });
        let mut found = self.share_of(a, b)?;
        found.p = share_test(a, b, (1.0, f64::INFINITY));
        found.judge_share(least::SHARE, least::RATIO);
        Some(found)
    }

    /// Connections that began.
    #[allow(clippy::cast_precision_loss)]
    fn begun(&self) -> Option<Measured> {
        let slots = [&self.a.begun, &self.b.begun];
        let figures = [0, 1].map(|side| Figures {
            count: slots[side].total(),
            per_second: self.per_second(side, slots[side].total()),
            ..Figures::default()
        });
        if figures.iter().all(|figures| figures.count == 0) {
            return None;
        }
        let ratio = figures[0].per_second.zip(figures[1].per_second).and_then(|(a, b)| ratio(a, b));
        let mut found = Measured { figures, ratio, p: None, is_more: None, weight: 0.0 };
        let rates = slots[0].rate(self.durations_ns[0]).zip(slots[1].rate(self.durations_ns[1]));
        let is_enough = slots[0].total() + slots[1].total() >= FEWEST;
        if let (Some(((a, variance_a, free_a), (b, variance_b, free_b))), true, true) =
            (rates, self.is_whole, is_enough)
        {
            let variance = variance_a + variance_b;
            // Welch's and Satterthwaite's degrees of freedom.
            let freedom = variance.powi(2) / (variance_a.powi(2) / free_a + variance_b.powi(2) / free_b);
            found.p = Some(student_t((b - a) / variance.sqrt(), freedom));
            if is_apart(a, b, least::RATE_RATIO) {
                found.is_more = Some(b > a);
            }
            found.weight = (b - a).abs() * self.durations_ns[1] as f64 / 1e9;
        }
        Some(found)
    }
}

/// What was found out about a measure.
struct Measured {
    figures: [Figures; 2],
    ratio: Option<f64>,
    p: Option<f64>,
    is_more: Option<bool>,
    weight: f64,
}

impl Measured {
    fn quantiles(&self, of: impl Fn(&Quantiles) -> Option<u64>) -> Option<(u64, u64)> {
        of(&self.figures[0].quantiles).zip(of(&self.figures[1].quantiles))
    }

    #[allow(clippy::cast_precision_loss)]
    fn judge_share(&mut self, least: f64, least_ratio: f64) {
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

fn ratio(a: f64, b: f64) -> Option<f64> {
    (a > 0.0).then(|| b / a)
}

fn is_apart(a: f64, b: f64, ratio: f64) -> bool {
    a.max(b) >= a.min(b) * ratio && a.max(b) > 0.0
}

/// Whether the second one is that much longer, or shorter.
#[allow(clippy::cast_precision_loss)]
fn is_longer(a: u64, b: u64, is_more: bool) -> bool {
    (b > a) == is_more && a.abs_diff(b) >= least::DURATION_NS && is_apart(a as f64, b as f64, least::RATIO)
}

/// By how much the variance is greater than by chance, and its degrees of freedom.
fn dispersion(of: [(f64, f64); 2]) -> (f64, f64) {
    let (squares, freedom) = of.into_iter().fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    // What is always the same does not vary.
    if freedom > 0.0 { ((squares / freedom).max(1.0), freedom) } else { (1.0, f64::INFINITY) }
}

/// Whether two shares differ: Fisher's exact test, and where blocks differ by more than chance that of two shares whose
/// variance is so much greater.
#[allow(clippy::cast_precision_loss)]
fn share_test(a: (u64, u64), b: (u64, u64), (factor, freedom): (f64, f64)) -> Option<f64> {
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

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::*;

    const COUNT: u64 = 5_000;

    fn service() -> GroupName {
        GroupName::Service { side: Some("local"), port: Some(443) }
    }

    /// A side with one service. `fails`: whether a connection is refused; `duration_ms`: how long it takes.
    fn side(mut fails: impl FnMut(u64) -> bool, mut duration_ms: impl FnMut(u64) -> u64) -> NamedSide {
        let mut group = DiffGroup::default();
        for number in 0..COUNT {
            group.begun.add(number * 20_000_000);
            let reason = if fails(number) { Reason::Refused } else { Reason::FinLocal };
            group.ends.add([reason as usize]);
            group.handshakes.add(duration_ms(number) * 1_000_000);
        }
        NamedSide {
            duration_ns: COUNT * 20_000_000,
            groups: [(service(), group)].into(),
            ..NamedSide::default()
        }
    }

    fn changes(a: &NamedSide, b: &NamedSide) -> Vec<(Measure, ChangeKind)> {
        let found = compare(a, b).changes;
        found.into_iter().filter_map(|row| Some((row.measure, row.change?))).collect()
    }

    /// Failures by chance, a share of them in bursts one after the other.
    fn failing(rng: &mut Rng, per_mille: u32, burst: u64) -> impl FnMut(u64) -> bool + use<> {
        let mut rng = rng.fork();
        let mut left = 0;
        move |_| {
            if left == 0 && rng.u32(..1_000) < per_mille {
                left = burst;
            }
            let fails = left > 0;
            left = left.saturating_sub(1);
            fails
        }
    }

    fn some_ms(rng: &mut Rng, most: u64) -> impl FnMut(u64) -> u64 + use<> {
        let mut rng = rng.fork();
        move |_| rng.u64(5..most)
    }

    #[test]
    fn the_same_never_differs_even_in_bursts() {
        let mut rng = Rng::with_seed(5);
        for run in 0..300 {
            let (per_mille, burst) = [(10, 1), (1, 50), (2, 100)][run % 3];
            let mut one = || side(failing(&mut rng, per_mille, burst), some_ms(&mut rng.fork(), 50));
            let (a, b) = (one(), one());
            assert_eq!(changes(&a, &b), [], "{run}");
        }
    }

    #[test]
    fn what_differs_is_named() {
        let mut rng = Rng::with_seed(6);
        let before = side(failing(&mut rng, 1, 1), some_ms(&mut rng, 50));
        let refused = side(failing(&mut rng, 12, 1), some_ms(&mut rng, 50));
        let end = Measure::End(Reason::Refused);
        assert_eq!(changes(&before, &refused), [(end, ChangeKind::Regression)]);
        assert_eq!(changes(&refused, &before), [(end, ChangeKind::Improvement)]);
        let slower = side(failing(&mut rng, 1, 1), some_ms(&mut rng, 70));
        assert_eq!(changes(&before, &slower), [(Measure::Handshake, ChangeKind::Regression)]);
        let mut rare = some_ms(&mut rng, 50);
        let stalls = side(failing(&mut rng, 1, 1), move |number| {
            rare(number) + if number % 30 == 0 { 1_000 } else { 0 }
        });
        assert_eq!(changes(&before, &stalls), [(Measure::HandshakeTail, ChangeKind::Regression)]);
    }

    /// However sure it is, half a percent more is nothing that anybody has to know.
    #[test]
    fn trifles_are_not_told() {
        let mut rng = Rng::with_seed(7);
        let before = side(|number| number % 10 == 0, some_ms(&mut rng, 1_000));
        let after = side(|number| number % 10 == 0 || number % 97 == 0, |number| 5 + number % 995);
        assert_eq!(changes(&before, &after), []);
    }
}
