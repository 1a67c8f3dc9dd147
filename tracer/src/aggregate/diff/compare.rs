//! Compares two sides: what differs by more than chance and enough to matter, and in which order it is told.

use std::cmp::Ordering;

use crate::aggregate::diff::{
    chance::holm,
    group::DiffGroup,
    measure::{Measure, MoreIs},
    name::GroupName,
    pair::Pair,
    report::{ChangeKind, DiffRow, rounded},
    side::NamedSide,
};

/// The probability with which chance alone names anything in a whole comparison, at most.
pub const SIGNIFICANCE: f64 = 0.001;

/// A row, and what decides about it.
pub(super) struct Judged {
    pub(super) row: DiffRow,
    /// It is large enough to matter, and whether there is more of it.
    pub(super) is_more: Option<bool>,
    /// How many connections it is about.
    pub(super) weight: f64,
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

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::*;
    use crate::tcp::reason::Reason;

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
