//! How long lists of sockets take.

use serde::{Deserialize, Serialize};

use crate::stats::{median, range};

/// The name of this part on the command line.
pub(crate) const NAME: &str = "list";

/// The sockets that are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Sockets {
    /// Of connections that processes hold.
    Held,
    /// In TIME_WAIT.
    TimeWait,
}

impl Sockets {
    /// Their name in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::TimeWait => "TIME_WAIT",
        }
    }
}

/// A list in a round.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Sample {
    /// Which round, from 1.
    pub round: u32,
    /// What is listed.
    pub sockets: Sockets,
    /// The command, without paths.
    pub command: String,
    /// From its start to its end.
    pub seconds: f64,
    /// The most memory that it had.
    pub peak_mib: f64,
    /// Lines that it wrote.
    pub lines: u64,
}

/// Medians of a command.
pub(crate) struct Row {
    pub sockets: Sockets,
    pub command: String,
    pub seconds: f64,
    pub seconds_range: (f64, f64),
    pub peak_mib: f64,
    pub lines: (f64, f64),
}

fn of<'a>(samples: &'a [Sample], sockets: Sockets, command: &'a str) -> impl Iterator<Item = &'a Sample> {
    samples.iter().filter(move |it| it.sockets == sockets && it.command == command)
}

/// A row for each command and kind of sockets, in the order of the first round.
pub(crate) fn rows(samples: &[Sample]) -> Vec<Row> {
    let first_round = samples.iter().filter(|sample| sample.round == 1);
    first_round.filter_map(|sample| row(samples, sample.sockets, &sample.command)).collect()
}

#[expect(clippy::cast_precision_loss, reason = "a million lines")]
fn row(samples: &[Sample], sockets: Sockets, command: &str) -> Option<Row> {
    let all = || of(samples, sockets, command);
    Some(Row {
        sockets,
        command: command.to_owned(),
        seconds: median(all().map(|sample| sample.seconds))?,
        seconds_range: range(all().map(|sample| sample.seconds))?,
        peak_mib: peak_mib(samples, sockets, command)?,
        lines: range(all().map(|sample| sample.lines as f64))?,
    })
}

/// The time of one command divided by that of another one in the same round: the median of ratios.
pub(crate) fn ratio(samples: &[Sample], sockets: Sockets, command: &str, other: &str) -> Option<f64> {
    let ratios = of(samples, sockets, command).filter_map(|sample| {
        let other = of(samples, sockets, other).find(|it| it.round == sample.round)?;
        Some(sample.seconds / other.seconds)
    });
    median(ratios)
}

/// The most memory that a command had in any round.
pub(crate) fn peak_mib(samples: &[Sample], sockets: Sockets, command: &str) -> Option<f64> {
    of(samples, sockets, command).map(|sample| sample.peak_mib).max_by(f64::total_cmp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_of_one_round() {
        let sample = |round, command: &str, seconds, peak_mib| Sample {
            round,
            sockets: Sockets::Held,
            command: command.to_owned(),
            seconds,
            peak_mib,
            lines: 10,
        };
        // A host that gets slower.
        let samples = [
            sample(1, "ss", 1.0, 5.0),
            sample(1, "list", 0.5, 6.0),
            sample(2, "list", 5.0, 7.0),
            sample(2, "ss", 10.0, 5.0),
            sample(3, "ss", 20.0, 5.0),
        ];
        assert_eq!(ratio(&samples, Sockets::Held, "list", "ss"), Some(0.5));
        assert_eq!(ratio(&samples, Sockets::TimeWait, "list", "ss"), None);
        assert_eq!(peak_mib(&samples, Sockets::Held, "list"), Some(7.0));
        assert_eq!(rows(&samples).len(), 2);
    }
}
