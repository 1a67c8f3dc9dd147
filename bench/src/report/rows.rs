//! Makes rows of medians from samples.

use crate::{
    contestant::{EMPTY, UNTRACED},
    report::churn::{Row, Sample},
    stats::{median, range},
};

/// A row for the untraced load and for each contestant, in the order of the samples.
pub(crate) fn rows(samples: &[Sample], untraced: &[f64]) -> Vec<Row> {
    let nobody = median(untraced.iter().copied()).map(|connections_per_s| Row {
        contestant: UNTRACED.to_owned(),
        connections_per_s,
        ratio: 1.0,
        ..Row::default()
    });
    let empty_ns = median(of(samples, EMPTY).filter_map(|sample| per(sample.ran.time_ns, sample.ran.runs)));
    let mut names: Vec<&str> = Vec::new();
    for sample in samples {
        if !names.contains(&sample.contestant.as_str()) {
            names.push(&sample.contestant);
        }
    }
    let contestants = names.into_iter().map(|name| row(samples, name, empty_ns));
    nobody.into_iter().chain(contestants).collect()
}

fn of<'a>(samples: &'a [Sample], name: &'a str) -> impl Iterator<Item = &'a Sample> {
    samples.iter().filter(move |sample| sample.contestant == name)
}

fn row(samples: &[Sample], name: &str, empty_ns: Option<f64>) -> Row {
    let middle = |figure: fn(&Sample) -> Option<f64>| median(of(samples, name).filter_map(figure));
    let net =
        empty_ns.and_then(|empty_ns| median(of(samples, name).filter_map(|sample| net_ns(sample, empty_ns))));
    Row {
        contestant: name.to_owned(),
        connections_per_s: middle(|sample| Some(sample.connections_per_s)).unwrap_or_default(),
        ratio: middle(|sample| Some(sample.connections_per_s / sample.untraced_per_s)).unwrap_or_default(),
        ratio_range: range(of(samples, name).map(|sample| sample.connections_per_s / sample.untraced_per_s)),
        seen: middle(|sample| sample.seen.map(float)),
        lost_most: of(samples, name).filter_map(|sample| sample.lost).max(),
        surplus: of(samples, name).filter_map(surplus).max_by_key(|surplus| surplus.abs()),
        cpu_s_per_million: middle(|sample| Some(sample.cpu_s / float(sample.seen.filter(|n| *n > 0)?) * 1e6)),
        kernel_ns: net,
        kernel_gross_ns: middle(|sample| per(sample.ran.time_ns, sample.ran_events)),
        wakeups_per_s: middle(|sample| Some(sample.wakeups_per_s)),
        peak_mib: middle(|sample| Some(sample.peak_mib)),
        peak_beside_ring_mib: middle(|sample| Some(sample.peak_beside_ring_mib)),
        ready_ms: middle(|sample| Some(sample.ready_ms)),
    }
}

/// Nanoseconds per event, without the time of as many runs of the empty program.
fn net_ns(sample: &Sample, empty_ns: f64) -> Option<f64> {
    let net_ns = float(sample.ran.time_ns) - float(sample.ran.runs) * empty_ns;
    (sample.ran_events > 0).then(|| net_ns / float(sample.ran_events))
}

/// Events that the contestant saw or lost, minus those that the load made.
fn surplus(sample: &Sample) -> Option<i64> {
    let told = sample.seen? + sample.lost?;
    i64::try_from(told).ok()?.checked_sub_unsigned(sample.expected)
}

fn per(sum: u64, count: u64) -> Option<f64> {
    (count > 0).then(|| float(sum) / float(count))
}

#[expect(clippy::cast_precision_loss, reason = "counts of some seconds")]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::programs::RunStats;

    fn sample(contestant: &str, connections_per_s: f64, time_ns: u64) -> Sample {
        Sample {
            round: 1,
            contestant: contestant.to_owned(),
            connections_per_s,
            untraced_per_s: 100.0,
            failures: 0,
            expected: 1000,
            seen: Some(990),
            lost: Some(7),
            cpu_s: 0.99,
            ran: RunStats { runs: 200, time_ns },
            ran_events: 100,
            wakeups_per_s: 1.0,
            peak_mib: 1.0,
            peak_beside_ring_mib: 1.0,
            ready_ms: 1.0,
        }
    }

    #[test]
    fn rows_have_ratios_and_say_what_is_missing() {
        let samples =
            [sample("empty", 98.0, 2_000), sample("log", 80.0, 22_000), sample("log", 90.0, 22_000)];
        let rows = rows(&samples, &[100.0, 102.0]);
        assert!((rows[0].connections_per_s - 101.0).abs() < 1e-9);
        let log = rows.iter().find(|row| row.contestant == "log").unwrap();
        assert!((log.ratio - 0.85).abs() < 1e-9);
        let (least, most) = log.ratio_range.unwrap();
        assert!((least - 0.8).abs() < 1e-9 && (most - 0.9).abs() < 1e-9);
        assert_eq!(log.surplus, Some(-3));
        assert!((log.cpu_s_per_million.unwrap() - 1000.0).abs() < 1e-6);
        // 220 ns per event, minus two runs of 10 ns of the empty program.
        assert!((log.kernel_ns.unwrap() - 200.0).abs() < 1e-9);
    }
}
