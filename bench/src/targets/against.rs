//! The target of a build that is compared with an older one.

use crate::report::{
    Report,
    pair::{ROUNDS_AT_LEAST, Row, rows},
    verdict::{Bound, Verdict},
};

/// The share of the older build's throughput that a build has to reach.
const OF_OLD: Bound = Bound::AtLeast(0.99);

/// A verdict for each view.
pub(super) fn verdicts(report: &Report) -> Vec<Verdict> {
    rows(&report.pairs).iter().map(|row| verdict(row, report.rounds)).collect()
}

fn verdict(row: &Row, rounds: u32) -> Verdict {
    let figure = (rounds >= ROUNDS_AT_LEAST).then_some(row.ratio);
    OF_OLD.verdict_within(&format!("{}, new against old", row.view), figure, row.ratio_interval, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{
        host::Host,
        pair::{Pair, Window},
    };

    fn of_all(rounds: u32, new: u64) -> Verdict {
        let window = |connections| Window { connections, elapsed_s: 1.0, cpu_s: 1.0, lost: 0 };
        let pair = |round| Pair { round, view: "log".to_owned(), new: window(new), old: window(1000) };
        let pairs = (1..=rounds).map(pair).collect();
        let report = Report { pairs, ..Report::new(Host::here(), rounds, 1.0, Vec::new()) };
        verdicts(&report).remove(0)
    }

    #[test]
    fn a_view_may_be_slower_by_a_hundredth() {
        assert_eq!(of_all(10, 990).is_met, Some(true));
        assert_eq!(of_all(10, 989).is_met, Some(false));
        assert_eq!(of_all(9, 500).is_met, None, "nine rounds decide nothing");
    }
}
