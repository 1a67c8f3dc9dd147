//! How a family of metrics is written: its name, help and type, and a line for each set of labels.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
};

use prometheus_client::{
    encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet},
    metrics::MetricType,
    registry::Unit,
};

use crate::aggregate::durations::Durations;

/// What stands for all that has no label of its own.
pub(super) const OTHER: &str = "other";

/// What stands for what is not known.
pub(super) const UNKNOWN: &str = "unknown";

/// Listeners, processes and namespaces that are told apart; the others are one.
pub(super) const MOST: usize = 50;

/// The labels of a line.
pub(super) type Labels = Vec<(&'static str, String)>;

/// The values of a family, each with its labels.
#[derive(Clone, Debug)]
pub(super) enum Samples {
    /// What only grows.
    Counters(Vec<(Labels, u64)>),
    /// The same with a fraction.
    Fractions(Vec<(Labels, f64)>),
    /// What goes up and down.
    Gauges(Vec<(Labels, u64)>),
    /// The same with a fraction.
    Ratios(Vec<(Labels, f64)>),
    /// Durations.
    Histograms(Vec<(Labels, Durations)>),
}

/// A family of metrics.
#[derive(Clone, Debug)]
pub(super) struct MetricFamily {
    /// Its name, without the ending that its type and unit give it.
    pub(super) name: &'static str,
    /// What it says.
    pub(super) help: &'static str,
    /// In base units.
    pub(super) unit: Option<Unit>,
    /// Its values.
    pub(super) samples: Samples,
}

impl MetricFamily {
    /// Writes it. A family without values is left out.
    pub(super) fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let kind = match &self.samples {
            Samples::Counters(_) | Samples::Fractions(_) => MetricType::Counter,
            Samples::Gauges(_) | Samples::Ratios(_) => MetricType::Gauge,
            Samples::Histograms(_) => MetricType::Histogram,
        };
        if self.len() == 0 {
            return Ok(());
        }
        let mut family = encoder.encode_descriptor(self.name, self.help, self.unit.as_ref(), kind)?;
        match &self.samples {
            Samples::Counters(values) => each(&mut family, values, |mut line, value| {
                line.encode_counter::<NoLabelSet, _, u64>(value, None)
            }),
            Samples::Fractions(values) => each(&mut family, values, |mut line, value| {
                line.encode_counter::<NoLabelSet, _, f64>(value, None)
            }),
            Samples::Gauges(values) => each(&mut family, values, |mut line, value| line.encode_gauge(value)),
            Samples::Ratios(values) => each(&mut family, values, |mut line, value| line.encode_gauge(value)),
            Samples::Histograms(values) => each(&mut family, values, |mut line, durations| {
                let ranges: Vec<_> = durations.ranges().collect();
                line.encode_histogram::<NoLabelSet>(durations.sum_s(), durations.count(), &ranges, None)
            }),
        }
    }

    pub(super) fn len(&self) -> usize {
        match &self.samples {
            Samples::Counters(values) | Samples::Gauges(values) => values.len(),
            Samples::Fractions(values) | Samples::Ratios(values) => values.len(),
            Samples::Histograms(values) => values.len(),
        }
    }
}

/// Writes a line for each value.
fn each<T>(
    family: &mut MetricEncoder<'_>,
    values: &[(Labels, T)],
    write: impl Fn(MetricEncoder<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    for (labels, value) in values {
        if labels.is_empty() {
            return write(family.encode_family(&Vec::<(&str, String)>::new())?, value);
        }
        write(family.encode_family(labels)?, value)?;
    }
    Ok(())
}

/// The same in Prometheus's text format, version 0.0.4: a counter's name ends with `_total` everywhere, and there are
/// neither units nor an end.
pub(super) fn older_format(open_metrics: &str) -> String {
    let lines: Vec<_> = open_metrics.lines().collect();
    let counters = lines.iter().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter"));
    let counters: HashSet<_> = counters.collect();
    let mut text = String::with_capacity(open_metrics.len());
    for line in lines.into_iter().filter(|line| !line.starts_with("# UNIT ") && *line != "# EOF") {
        let described =
            ["# HELP ", "# TYPE "].iter().find_map(|begin| Some((begin, line.strip_prefix(begin)?)));
        match described.and_then(|(begin, rest)| Some((begin, rest.split_once(' ')?))) {
            Some((begin, (name, rest))) if counters.contains(name) => {
                text.extend([*begin, name, "_total ", rest, "\n"]);
            }
            _ => text.extend([line, "\n"]),
        }
    }
    text
}

/// Labels with these values.
pub(super) fn labels<const N: usize>(labels: [(&'static str, &str); N]) -> Labels {
    labels.map(|(name, value)| (name, value.to_owned())).to_vec()
}

/// A counter without labels.
pub(super) fn counter(name: &'static str, help: &'static str, count: u64) -> MetricFamily {
    counters(name, help, [(vec![], count)])
}

/// Counters.
pub(super) fn counters(
    name: &'static str,
    help: &'static str,
    values: impl IntoIterator<Item = (Labels, u64)>,
) -> MetricFamily {
    MetricFamily { name, help, unit: None, samples: Samples::Counters(values.into_iter().collect()) }
}

/// Gauges.
pub(super) fn gauges(
    name: &'static str,
    help: &'static str,
    values: impl IntoIterator<Item = (Labels, u64)>,
) -> MetricFamily {
    MetricFamily { name, help, unit: None, samples: Samples::Gauges(values.into_iter().collect()) }
}

/// Histograms of seconds.
pub(super) fn histograms(
    name: &'static str,
    help: &'static str,
    values: impl IntoIterator<Item = (Labels, Durations)>,
) -> MetricFamily {
    MetricFamily {
        name,
        help,
        unit: Some(Unit::Seconds),
        samples: Samples::Histograms(values.into_iter().collect()),
    }
}

/// Equal labels once.
pub(super) fn merged(values: impl Iterator<Item = (Labels, u64)>) -> Vec<(Labels, u64)> {
    let mut all = BTreeMap::<Labels, u64>::new();
    for (labels, count) in values {
        *all.entry(labels).or_default() += count;
    }
    all.into_iter().collect()
}
