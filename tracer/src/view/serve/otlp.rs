//! The metrics as OpenTelemetry's protocol has them: cumulative since the capture began.

use prometheus_client::registry::Unit;
use prost::Message as _;

use crate::{
    aggregate::durations::Durations,
    format::otlp::{
        label_attribute,
        messages::{
            CUMULATIVE, OtlpAttribute, OtlpData, OtlpDistribution, OtlpGauge, OtlpHistogram, OtlpMetric,
            OtlpMetricsRequest, OtlpNumber, OtlpNumberKind, OtlpResourceMetrics, OtlpScopeMetrics, OtlpSum,
        },
        resource, scope, unix_nano,
    },
    view::{
        Scene,
        page::{Exports, Itself},
        serve::{
            Serve,
            ends::EndRecords,
            families::{Labels, MetricFamily, Samples, counter, counters, labels},
            starts::SeriesStarts,
        },
    },
};

/// Beginnings of names that are followed by a point: Prometheus makes an underscore of it again.
const BEGINNINGS: [(&str, &str); 4] = [
    ("tracer_tcp_", "tracer.tcp."),
    ("tracer_netns_", "tracer.netns."),
    ("tracer_otlp_", "tracer.otlp."),
    ("tracer_", "tracer."),
];

/// Names by the semantic conventions.
const CONVENTIONS: [(&str, &str); 2] =
    [("process_cpu", "process.cpu.time"), ("process_resident_memory", "process.memory.usage")];

/// What the resource says already.
const OF_RESOURCE: &str = "tracer_build_info";

/// What one page leaves to the next.
#[derive(Debug)]
pub(super) struct OtlpSeries {
    /// When the capture began. Once said, it stays, although the wall clock may be set later.
    began_ns: u64,
    starts: SeriesStarts,
}

/// When a page is made, and since when is counted, in nanoseconds since 1970.
struct OtlpPage<'a> {
    series: &'a mut OtlpSeries,
    time_unix_nano: u64,
}

impl Serve {
    /// Appends a request with all metrics.
    pub(super) fn otlp_metrics(&mut self, itself: &Itself, scene: &mut Scene<'_>, out: &mut Vec<u8>) {
        let families = self.families(itself, scene);
        let clock = scene.context.clock;
        let series = self.otlp.get_or_insert_with(|| {
            let began_ns = unix_nano(clock.wall_ns(self.began_ns));
            OtlpSeries { began_ns, starts: SeriesStarts::new(began_ns) }
        });
        let time_unix_nano = unix_nano(clock.wall_ns(scene.now_ns)).max(series.began_ns);
        let mut page = OtlpPage { series, time_unix_nano };
        let metrics = families.iter().filter(|family| family.name != OF_RESOURCE);
        let metrics = metrics.filter_map(|family| page.metric(family)).collect();
        page.series.starts.end_page(time_unix_nano);
        let scope_metrics = vec![OtlpScopeMetrics { scope: Some(scope()), metrics }];
        let resource = Some(resource(&scene.context.host));
        let of_host = OtlpResourceMetrics { resource, scope_metrics };
        let request = OtlpMetricsRequest { resource_metrics: vec![of_host] };
        out.extend_from_slice(&request.encode_to_vec());
    }

    /// What has been exported.
    pub(super) fn of_exports(&self, exports: &Exports) -> Vec<MetricFamily> {
        let signals = [("metrics", Some(exports.metrics)), ("logs", exports.logs)];
        let requests = signals.into_iter().filter_map(|(name, signal)| Some((name, signal?)));
        let requests = requests.flat_map(|(signal, exports)| {
            let results =
                [("accepted", exports.accepted), ("failed", exports.failed), ("refused", exports.refused)];
            results.map(|(result, count)| (labels([("signal", signal), ("result", result)]), count))
        });
        let dropped = self.ends.as_ref().map(EndRecords::dropped).unwrap_or_default();
        let records = exports.logs.iter().flat_map(|logs| {
            [("accepted", logs.items), ("rejected", logs.rejected_items), ("dropped", dropped)]
        });
        vec![
            counters("tracer_otlp_exports", "Requests with OTLP, by what became of them", requests),
            counter(
                "tracer_otlp_rejected_data_points",
                "Data points that the receiver of OTLP has not accepted (partial success)",
                exports.metrics.rejected_items,
            ),
            counters(
                "tracer_otlp_log_records",
                "Log records: accepted and rejected by the receiver of OTLP, and dropped for lack of room",
                records.map(|(result, count)| (labels([("result", result)]), count)),
            ),
        ]
    }
}

impl OtlpPage<'_> {
    /// A family as a metric; `None` if it has no values.
    fn metric(&mut self, family: &MetricFamily) -> Option<OtlpMetric> {
        let (began_ns, name) = (self.series.began_ns, family.name);
        let data = match &family.samples {
            Samples::Counters(values) => sum(values.iter().map(|(of, count)| {
                let start_ns = self.series.starts.of(name, of, *count);
                self.number(of, integer(*count), start_ns)
            })),
            Samples::Fractions(values) => sum(values
                .iter()
                .map(|(of, value)| self.number(of, OtlpNumberKind::Fraction(*value), began_ns))),
            Samples::Gauges(values) => {
                // A gauge is of the moment.
                let number = |(of, value): &(Labels, u64)| self.number(of, integer(*value), 0);
                OtlpData::Gauge(OtlpGauge { data_points: values.iter().map(number).collect() })
            }
            Samples::Ratios(values) => {
                let number =
                    |(of, value): &(Labels, f64)| self.number(of, OtlpNumberKind::Fraction(*value), 0);
                OtlpData::Gauge(OtlpGauge { data_points: values.iter().map(number).collect() })
            }
            Samples::Histograms(values) => OtlpData::Histogram(OtlpHistogram {
                data_points: values.iter().map(|(of, durations)| self.distribution(of, durations)).collect(),
                aggregation_temporality: CUMULATIVE,
            }),
        };
        let unit = match &family.unit {
            Some(Unit::Seconds) => "s",
            Some(Unit::Bytes) => "By",
            Some(Unit::Other(_)) => "1",
            _ => "",
        };
        (family.len() > 0).then(|| OtlpMetric {
            name: metric_name(name),
            description: family.help.to_owned(),
            unit: unit.to_owned(),
            data: Some(data),
        })
    }

    fn number(&self, of: &Labels, value: OtlpNumberKind, start_time_unix_nano: u64) -> OtlpNumber {
        let time_unix_nano = self.time_unix_nano;
        // The wall clock may have been set back since: nothing is counted from a time to come.
        let start_time_unix_nano = start_time_unix_nano.min(time_unix_nano);
        OtlpNumber { attributes: attributes(of), start_time_unix_nano, time_unix_nano, value: Some(value) }
    }

    fn distribution(&self, of: &Labels, durations: &Durations) -> OtlpDistribution {
        let (bounds, bucket_counts): (Vec<_>, Vec<_>) = durations.ranges().unzip();
        OtlpDistribution {
            attributes: attributes(of),
            start_time_unix_nano: self.series.began_ns,
            time_unix_nano: self.time_unix_nano,
            count: durations.count(),
            sum: Some(durations.sum_s()),
            bucket_counts,
            // The last range has no bound.
            explicit_bounds: bounds.into_iter().filter(|bound| bound.is_finite()).collect(),
        }
    }
}

fn metric_name(name: &str) -> String {
    if let Some((_, name)) = CONVENTIONS.iter().find(|(known, _)| *known == name) {
        return (*name).to_owned();
    }
    let dotted = BEGINNINGS.iter().find_map(|(begin, dotted)| Some((dotted, name.strip_prefix(begin)?)));
    dotted.map_or_else(|| name.to_owned(), |(begin, rest)| format!("{begin}{rest}"))
}

fn sum(data_points: impl Iterator<Item = OtlpNumber>) -> OtlpData {
    OtlpData::Sum(OtlpSum {
        data_points: data_points.collect(),
        aggregation_temporality: CUMULATIVE,
        is_monotonic: true,
    })
}

fn attributes(of: &Labels) -> Vec<OtlpAttribute> {
    of.iter().map(|(label, value)| label_attribute(label, value)).collect()
}

fn integer(value: u64) -> OtlpNumberKind {
    OtlpNumberKind::Integer(value.try_into().unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_points_where_prometheus_has_underscores() {
        let names = [
            ("tracer_tcp_accept_queue_limit", "tracer.tcp.accept_queue_limit"),
            ("tracer_netns_time_wait", "tracer.netns.time_wait"),
            ("tracer_events_lost", "tracer.events_lost"),
            ("process_cpu", "process.cpu.time"),
        ];
        for (name, dotted) in names {
            assert_eq!(metric_name(name), dotted);
        }
    }

    #[test]
    fn a_histogram_has_a_bound_less_than_ranges() {
        let mut durations = Durations::new(&[1_000_000_000, 2_000_000_000]);
        for ns in [500_000_000, 1_500_000_000, 1_500_000_000, 9_000_000_000] {
            durations.add(ns);
        }
        let mut series = OtlpSeries { began_ns: 1, starts: SeriesStarts::new(1) };
        let page = OtlpPage { series: &mut series, time_unix_nano: 2 };
        let point = page.distribution(&Labels::new(), &durations);
        assert_eq!((point.bucket_counts, point.explicit_bounds), (vec![1, 2, 1], vec![1.0, 2.0]));
        assert_eq!((point.count, point.sum), (4, Some(12.5)));
    }
}
