//! The same group on both sides: the figures of each measure, and whether they differ by more than chance.

use tracer_common::state as number;

use crate::{
    aggregate::{
        build::order_of,
        diff::{
            blocks::Share,
            chance::student_t,
            compare::Judged,
            group::{DiffGroup, RETRANSMITTED},
            judge::{FEWEST, Measured, dispersion, is_apart, is_longer, least, ratio, share_test},
            measure::{Measure, MoreIs},
            name::GroupName,
            report::{DiffRow, Figures, rounded},
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

/// A connection is left in a state if it is there for so long at the end, in nanoseconds.
const LEFT_NS: u64 = 2_000_000_000;

/// What is slow: beyond this quantile of both sides together.
const TAIL: f64 = 0.99;

/// The same group on both sides.
pub(super) struct Pair<'a> {
    pub(super) a: &'a DiffGroup,
    pub(super) b: &'a DiffGroup,
    /// How long both spans are.
    pub(super) durations_ns: [u64; 2],
    /// Nothing is missing in the counts of either.
    pub(super) is_whole: bool,
}

impl Pair<'_> {
    /// Appends what was found out about each measure. `is_tested`: it may be named.
    pub(super) fn rows(&self, name: &GroupName, is_tested: bool, judged: &mut Vec<Judged>) {
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
