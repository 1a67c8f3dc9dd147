//! What tracer costs, what it has missed, and what else it does.

use prometheus_client::registry::Unit;

use crate::{
    facts::{
        client_counts::ClientCounts,
        recording_counts::RecordingCounts,
        source_counts::{BufferUse, SourceCounts},
    },
    view::{
        page::Itself,
        serve::{
            Serve,
            alerts::AlertCounts,
            families::{MetricFamily, Samples, counter, counters, gauges, labels},
        },
    },
};

impl Serve {
    /// All of it.
    pub(super) fn of_itself(&self, itself: &Itself) -> Vec<MetricFamily> {
        let mut families = of_capture(itself);
        let SourceCounts { buffer, clients, recording } = &itself.source;
        families.extend(buffer.iter().flat_map(of_buffer));
        if let Some(ClientCounts { now, served, refused, cut_off }) = *clients {
            families.extend([
                gauges("tracer_socket_clients", "Clients of --socket now", [(vec![], now)]),
                counter("tracer_socket_clients_served", "Clients of --socket that were let in", served),
                counter("tracer_socket_clients_refused", "Clients of --socket that were not let in", refused),
                counter("tracer_socket_clients_cut_off", "Clients of --socket that read too slowly", cut_off),
            ]);
        }
        if let Some((done, faulty)) = itself.reloads {
            let results = [("done", done), ("faulty", faulty)];
            families.push(counters(
                "tracer_config_reloads",
                "How often --config was read again",
                results.map(|(result, count)| (labels([("result", result)]), count)),
            ));
        }
        if let Some(alerts) = &self.alerts {
            let AlertCounts { begun, ended } = alerts.counts;
            let events = [("begin", begun), ("end", ended)];
            families.push(counters(
                "tracer_alerts",
                "Lines of --alerts",
                events.map(|(event, count)| (labels([("event", event)]), count)),
            ));
            families.push(counter(
                "tracer_alerts_lost",
                "Lines of --alerts that standard output did not take in time",
                itself.lost_lines,
            ));
        }
        families.extend(recording.iter().flat_map(of_recording));
        families
    }
}

/// What it costs, and what it has missed.
#[allow(clippy::cast_precision_loss)]
fn of_capture(itself: &Itself) -> Vec<MetricFamily> {
    let losses = itself.losses;
    let lost = [
        ("no_room", losses.no_room),
        ("recursion", losses.recursion),
        ("other_hooks", losses.incidents),
        ("malformed", Some(losses.malformed)),
    ];
    let lost = lost.into_iter().filter_map(|(why, count)| Some((labels([("why", why)]), count?)));
    let memory = itself.memory.map(|bytes| (vec![], bytes));
    vec![
        counter("tracer_events", "Events that were read from the kernel", itself.events),
        counters("tracer_events_lost", "Events that were lost; what is missing here cannot be read", lost),
        gauges(
            "tracer_build_info",
            "The version of tracer",
            [(labels([("version", env!("CARGO_PKG_VERSION"))]), 1)],
        ),
        MetricFamily {
            name: "process_cpu",
            help: "Processor time that tracer has used",
            unit: Some(Unit::Seconds),
            samples: Samples::Fractions(vec![(vec![], itself.cpu_us as f64 / 1e6)]),
        },
        MetricFamily {
            name: "process_resident_memory",
            help: "Memory that tracer uses",
            unit: Some(Unit::Bytes),
            samples: Samples::Gauges(memory.into_iter().collect()),
        },
    ]
}

/// The buffer between the kernel and tracer.
fn of_buffer(buffer: &BufferUse) -> [MetricFamily; 2] {
    let used =
        "How much of the fullest of its rings was in use at most in the last minute: at 1, events are lost";
    [
        MetricFamily {
            name: "tracer_buffer",
            help: "The buffer between the kernel and tracer, which consists of a ring for each CPU",
            unit: Some(Unit::Bytes),
            samples: Samples::Gauges(vec![(vec![], buffer.bytes)]),
        },
        MetricFamily {
            name: "tracer_buffer_used_peak",
            help: used,
            unit: Some(Unit::Other("ratio".to_owned())),
            samples: Samples::Ratios(vec![(vec![], buffer.peak)]),
        },
    ]
}

/// The recording that is being made.
fn of_recording(counts: &RecordingCounts) -> Vec<MetricFamily> {
    let RecordingCounts { events, bytes, parts, left_out, errors, missed, has_failed } = *counts;
    vec![
        counter("tracer_recording_events", "Events in the recording", events),
        counter("tracer_recording_written_bytes", "Bytes of the recording, in all parts", bytes),
        gauges("tracer_recording_parts", "Parts of the recording", [(vec![], parts.into())]),
        counter(
            "tracer_recording_left_out",
            "Facts that are not in the recording because they are too large",
            left_out,
        ),
        counter("tracer_recording_errors", "How often the recording could not be written", errors),
        counter(
            "tracer_recording_missed_events",
            "Events that are not in the recording because it could not be written",
            missed,
        ),
        gauges(
            "tracer_recording_failed",
            "1 while the recording cannot be written, else 0",
            [(vec![], u64::from(has_failed))],
        ),
    ]
}
