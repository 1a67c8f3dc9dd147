//! How a family of metrics is written: its name, help and type, and a line for each set of labels.

use std::{collections::HashSet, fmt};

use prometheus_client::{
    encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet},
    metrics::MetricType,
    registry::Unit,
};

use crate::aggregate::durations::Durations;

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
            Samples::Gauges(_) => MetricType::Gauge,
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
            Samples::Histograms(values) => each(&mut family, values, |mut line, durations| {
                let ranges: Vec<_> = durations.ranges().collect();
                line.encode_histogram::<NoLabelSet>(durations.sum_s(), durations.count(), &ranges, None)
            }),
        }
    }

    pub(super) fn len(&self) -> usize {
        match &self.samples {
            Samples::Counters(values) | Samples::Gauges(values) => values.len(),
            Samples::Fractions(values) => values.len(),
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
