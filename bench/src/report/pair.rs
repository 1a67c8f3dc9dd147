//! Results of two builds of tracer on the same load, in pairs.

use serde::{Deserialize, Serialize};

use crate::stats::{median, median_interval, range};

/// Fewer rounds cannot show that a target was missed.
pub(crate) const ROUNDS_AT_LEAST: u32 = 10;
/// The default number of rounds: enough on a host that has little else to do.
pub(crate) const ROUNDS: u32 = 20;

/// A view in a round, measured with both builds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Pair {
    /// Which round, from 1.
    pub round: u32,
    /// The name of the contestant.
    pub view: String,
    /// This build.
    pub new: Window,
    /// The build that it is compared with.
    pub old: Window,
}

/// What the load and a build did in a window.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Window {
    /// Connections that were opened and closed.
    pub connections: u64,
    /// How long they took.
    pub elapsed_s: f64,
    /// CPU time of the load and of tracer together.
    pub cpu_s: f64,
    /// Events that the build knows to have lost.
    pub lost: u64,
}

/// Medians of a view.
pub(crate) struct Row {
    pub view: String,
    pub new_per_s: f64,
    pub old_per_s: f64,
    /// New throughput divided by old; the median over the rounds.
    pub ratio: f64,
    /// The smallest and the largest of these ratios.
    pub ratio_range: (f64, f64),
    /// The 95 % confidence interval of the median; `None` with few rounds.
    pub ratio_interval: Option<(f64, f64)>,
    /// The same ratio, of connections per second of CPU time.
    pub cpu_ratio: f64,
    pub cpu_ratio_interval: Option<(f64, f64)>,
    /// Events that the new build lost in all rounds together.
    pub new_lost: u64,
    pub old_lost: u64,
}

impl Window {
    /// Connections per second.
    pub(crate) fn per_s(&self) -> f64 {
        float(self.connections) / self.elapsed_s
    }

    /// Connections per second of CPU time. If the load and tracer keep all CPUs busy, this is the throughput
    /// of a CPU, whatever else runs on the host.
    pub(crate) fn per_cpu_s(&self) -> f64 {
        float(self.connections) / self.cpu_s
    }
}

impl Pair {
    fn ratio(&self) -> f64 {
        self.new.per_s() / self.old.per_s()
    }

    fn cpu_ratio(&self) -> f64 {
        self.new.per_cpu_s() / self.old.per_cpu_s()
    }
}

#[expect(clippy::cast_precision_loss, reason = "connections of some seconds")]
fn float(count: u64) -> f64 {
    count as f64
}

/// A row for each view, in the order of the first round.
pub(crate) fn rows(pairs: &[Pair]) -> Vec<Row> {
    let first_round = pairs.iter().filter(|pair| pair.round == 1);
    first_round.filter_map(|first| row(&first.view, pairs)).collect()
}

fn row(view: &str, pairs: &[Pair]) -> Option<Row> {
    let all = || pairs.iter().filter(|pair| pair.view == view);
    Some(Row {
        view: view.to_owned(),
        new_per_s: median(all().map(|pair| pair.new.per_s()))?,
        old_per_s: median(all().map(|pair| pair.old.per_s()))?,
        ratio: median(all().map(Pair::ratio))?,
        ratio_range: range(all().map(Pair::ratio))?,
        ratio_interval: median_interval(all().map(Pair::ratio)),
        cpu_ratio: median(all().map(Pair::cpu_ratio))?,
        cpu_ratio_interval: median_interval(all().map(Pair::cpu_ratio)),
        new_lost: all().map(|pair| pair.new.lost).sum(),
        old_lost: all().map(|pair| pair.old.lost).sum(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_paired() {
        let window = |connections, cpu_s| Window { connections, elapsed_s: 1.0, cpu_s, lost: 1 };
        let pair = |round, new, old| Pair { round, view: "log".to_owned(), new, old };
        // The host is ten times as fast in the second round, which must not matter.
        let pairs = [
            pair(1, window(90, 1.0), window(100, 2.0)),
            pair(2, window(980, 1.0), window(1000, 1.0)),
            pair(3, window(102, 1.0), window(100, 1.0)),
        ];
        let rows = rows(&pairs);
        assert_eq!(rows.len(), 1);
        assert!((rows[0].ratio - 0.98).abs() < 1e-9);
        assert!((rows[0].cpu_ratio - 1.02).abs() < 1e-9);
        assert_eq!((rows[0].new_lost, rows[0].ratio_interval), (3, None));
    }
}
