//! The metrics. Names follow Prometheus's conventions: base units, counters that only grow, labels with few values.

use std::{collections::BTreeMap, fmt};

use prometheus_client::{
    collector::Collector,
    encoding::DescriptorEncoder,
    registry::{Registry, Unit},
};
use tracer_common::{aggregate::Side, event::COMM_LEN, state as number};

use crate::{
    aggregate::{
        By,
        durations::Durations,
        growing::{KERNEL_COUNTERS, KernelCounter},
        report::RankedName,
        totals::{RankingKey, STATES, state_index},
    },
    facts::{
        client_counts::ClientCounts,
        counts::TcpCounts,
        gauges::{EphemeralPorts, NetnsGauges},
        names::Names,
        recording_counts::RecordingCounts,
    },
    tcp::state::State,
    text::escape::{escaped, name},
    track::connection::Connection,
    view::{
        Scene,
        page::Itself,
        serve::{
            Serve,
            alerts::AlertCounts,
            families::{Labels, MetricFamily, Samples},
        },
    },
};

/// Listeners, processes and namespaces that are told apart; the others are one.
const MOST: usize = 50;

/// What stands for all that has no label of its own.
const OTHER: &str = "other";

/// What stands for what is not known.
const UNKNOWN: &str = "unknown";

/// What stands for what is outside of containers.
const NO_CONTAINER: &str = "none";

/// All families, ready to be written.
#[derive(Debug)]
struct Families(Vec<MetricFamily>);

impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|family| family.encode(&mut encoder))
    }
}

impl Serve {
    /// All metrics.
    pub(super) fn families(&self, itself: &Itself, scene: &mut Scene<'_>) -> Vec<MetricFamily> {
        let mut families = self.of_connections();
        families.extend(self.of_sockets(scene));
        families.extend(self.of_agreement(scene));
        families.extend(of_namespaces(scene));
        families.extend(self.by_labels(scene.names));
        families.extend(of_itself(itself));
        if let Some(ClientCounts { now, served, refused, cut_off }) = itself.clients {
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
        families.extend(itself.recording.iter().flat_map(of_recording));
        families.extend(itself.exports.iter().flat_map(|exports| self.of_exports(exports)));
        families
    }

    /// The same in OpenMetrics' text format.
    pub(super) fn metrics(&self, itself: &Itself, scene: &mut Scene<'_>) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Families(self.families(itself, scene))));
        let mut text = String::new();
        // Writing into memory cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &registry);
        text
    }

    fn of_connections(&self) -> Vec<MetricFamily> {
        let counts = &self.counts;
        let all = counts.connections;
        let ends = counts.ends.iter().map(|((reason, closed_by), count)| {
            (labels([("reason", reason.name()), ("closed_by", closed_by)]), *count)
        });
        let states = counts.states.iter().zip(0_u8..).filter(|(durations, _)| durations.count() > 0);
        let states = states.map(|(durations, state)| {
            (labels([("state", &State::from_kernel(state).to_string())]), durations.clone())
        });
        let handshakes = ["client", "server"].into_iter().zip(&counts.handshakes);
        let handshakes = handshakes.map(|(role, durations)| (labels([("role", role)]), durations.clone()));
        let retransmits = ["data", "synack"].into_iter().zip(counts.retransmits);
        let retransmits = retransmits.map(|(segment, count)| (labels([("segment", segment)]), count));
        let resets = counts.resets.iter().map(|((direction, reason), count)| {
            let why = self.reset_reasons.why(*reason).filter(|_| *direction == "sent");
            (labels([("direction", direction), ("reason", why.unwrap_or(UNKNOWN))]), *count)
        });
        let kernel = KERNEL_COUNTERS.iter().zip(counts.kernel);
        let kernel = kernel.map(|(KernelCounter { name, help, .. }, count)| counter(name, help, count));
        let ours = [
            counter(
                "tracer_tcp_connections_begun",
                "Connections that began: opened here, or accepted",
                all.begun,
            ),
            counter("tracer_tcp_connections_ended", "Connections that ended for their processes", all.ended),
            counter("tracer_tcp_connections_failed", "Connections that ended, but not in order", all.failed),
            counters(
                "tracer_tcp_ends",
                "Connections that ended, by reason (tracer explain REASON) and by whose FIN or RST came first",
                ends,
            ),
            histograms(
                "tracer_tcp_state",
                "Time that connections spent in a state, when they left it",
                states,
            ),
            histograms(
                "tracer_tcp_handshake",
                "Time from the first SYN to the end of the handshake",
                handshakes,
            ),
            counters("tracer_tcp_retransmitted_segments", "Segments that were sent again", retransmits),
            counters(
                "tracer_tcp_resets",
                "RSTs, by direction and by the kernel's reason for those sent",
                merged(resets),
            ),
        ];
        ours.into_iter().chain(kernel).collect()
    }

    fn of_sockets(&self, scene: &Scene<'_>) -> Vec<MetricFamily> {
        let (now_ns, gap_ns) = (scene.now_ns, scene.tracker.loss_gap_ns());
        let (mut states, mut unnamed) = ([0_u64; STATES], 0);
        let mut stuck = BTreeMap::<(u8, String), u64>::new();
        let mut listeners = BTreeMap::<(String, u16), (u64, u64)>::new();
        for connection in scene.tracker.iter().filter(|connection| scene.select.holds(connection)) {
            states[state_index(connection.state)] += 1;
            unnamed += u64::from(!connection.is_timewait && !connection.owner.is_known());
            if connection.stuck_ns(&self.limits, now_ns, gap_ns).is_some() {
                *stuck.entry((connection.state, process(connection))).or_default() += 1;
            }
            if connection.state == number::LISTEN {
                let queue = listeners.entry((process(connection), connection.tuple.local_port)).or_default();
                queue.0 += u64::from(connection.counters.recv_queue);
                queue.1 += u64::from(connection.counters.send_queue);
            }
        }
        let states =
            states.into_iter().zip(0_u8..).filter(|(_, state)| State::from_kernel(*state).is_known());
        let states =
            states.map(|(count, state)| (labels([("state", &State::from_kernel(state).to_string())]), count));
        let stuck = stuck.into_iter().map(|((state, process), count)| {
            (labels([("state", &State::from_kernel(state).to_string()), ("process", &process)]), count)
        });
        let listeners: Vec<_> = listeners.into_iter().collect();
        let queue = |of: fn(&(u64, u64)) -> u64| {
            listeners.iter().map(move |((process, port), queue)| {
                (labels([("process", process), ("port", &port.to_string())]), of(queue))
            })
        };
        vec![
            gauges("tracer_tcp_sockets", "TCP sockets by state, TIME_WAIT and listeners included", states),
            gauges(
                "tracer_tcp_sockets_unnamed",
                "TCP sockets whose process is not known",
                [(vec![], unnamed)],
            ),
            gauges(
                "tracer_tcp_stuck",
                "Connections that stay in a state for longer than they should (--stuck)",
                at_most(stuck),
            ),
            gauges(
                "tracer_tcp_accept_queue",
                "Connections that wait to be accepted",
                at_most(queue(|queue| queue.0)),
            ),
            gauges(
                "tracer_tcp_accept_queue_limit",
                "Room for connections that wait to be accepted",
                at_most(queue(|queue| queue.1)),
            ),
            gauges(
                "tracer_findings",
                "What is wrong now, by kind (tracer explain FINDING): how many findings",
                self.findings(),
            ),
        ]
    }

    /// What events tell beside what the kernel counts. It counts for whole namespaces.
    fn of_agreement(&self, scene: &Scene<'_>) -> Vec<MetricFamily> {
        if !scene.select.selects_namespaces() {
            return Vec::new();
        }
        let growth = self.agreement.growth();
        vec![
            counters(
                "tracer_tcp_connections",
                "Connections as the kernel counts them (RFC 4022), told by events",
                by_event(&self.told.max(&scene.tracker.tally().total())),
            ),
            counters(
                "tracer_kernel_tcp_connections",
                "The same, as the kernel has counted (ActiveOpens, PassiveOpens, AttemptFails, EstabResets)",
                by_event(&growth.kernel),
            ),
            gauges(
                "tracer_kernel_difference",
                "Connections by which events and the kernel's counters differ, beyond what happened while they were read",
                by_event(&growth.difference),
            ),
        ]
    }

    fn findings(&self) -> impl Iterator<Item = (Labels, u64)> {
        let mut by_kind = BTreeMap::<&str, u64>::new();
        for finding in self.findings.found() {
            *by_kind.entry(finding.kind.name()).or_default() += 1;
        }
        by_kind.into_iter().map(|(kind, count)| (labels([("finding", kind)]), count))
    }

    fn by_labels(&self, names: &mut dyn Names) -> Vec<MetricFamily> {
        let mut families = Vec::new();
        for (by, keys) in &self.counts.by {
            let (name, label, help) = family(*by);
            let named = keys.iter().map(|(key, counts)| (key_labels(label, key, names), counts));
            let mut lines = BTreeMap::<Labels, u64>::new();
            for (of, counts) in named.chain([(labels([(label, OTHER)]), keys.others())]) {
                for (event, count) in
                    [("begun", counts.begun), ("ended", counts.ended), ("failed", counts.failed)]
                {
                    let of = of.iter().cloned().chain(labels([("event", event)])).collect();
                    *lines.entry(of).or_default() += count;
                }
            }
            families.push(counters(name, help, lines));
        }
        families
    }
}

/// What is counted by a label: the family's name, the label, and the help.
fn family(by: By) -> (&'static str, &'static str, &'static str) {
    match by {
        By::Service => (
            "tracer_tcp_service_connections",
            "service",
            "Connections by service: the server's port, and whether it is here",
        ),
        By::Process | By::Pid => {
            ("tracer_tcp_process_connections", "process", "Connections by the name of their process")
        }
        By::Peer => ("tracer_tcp_peer_connections", "peer", "Connections by remote address"),
        By::Cgroup => ("tracer_tcp_cgroup_connections", "cgroup", "Connections by cgroup"),
        By::Container => (
            "tracer_tcp_container_connections",
            "container",
            "Connections by container, with its pod and Kubernetes namespace if it has them",
        ),
        By::Netns => ("tracer_tcp_netns_connections", "netns", "Connections by network namespace"),
        By::State => ("tracer_tcp_state_connections", "state", "Connections by state"),
    }
}

/// The labels of a key. A container has its pod, too.
fn key_labels(label: &'static str, key: RankingKey, names: &mut dyn Names) -> Labels {
    let known = match key {
        RankingKey::Service(side, port) => port.map(|port| match side {
            Side::Local => format!("here:{port}"),
            _ => format!("remote:{port}"),
        }),
        RankingKey::Peer(addr) => addr.map(|addr| addr.to_string()),
        RankingKey::Process(comm) => comm.map(|comm| escaped(name(&comm))),
        RankingKey::Pid(pid) => pid.map(|pid| pid.to_string()),
        RankingKey::Cgroup(id) => names.cgroup_path(id),
        RankingKey::Netns(inum) => Some(inum.to_string()),
        RankingKey::State(state) => Some(State::from_kernel(state).to_string()),
        RankingKey::Container(_) => match RankedName::new(&key, [0; COMM_LEN], None, names) {
            RankedName::Container { is_outside: true, .. } => Some(NO_CONTAINER.to_owned()),
            RankedName::Container { container, pod, k8s_namespace, .. } => {
                let mut of = labels([(label, container.as_deref().unwrap_or(UNKNOWN))]);
                of.extend(pod.iter().flat_map(|pod| labels([("pod", pod)])));
                of.extend(k8s_namespace.iter().flat_map(|ns| labels([("k8s_namespace", ns)])));
                return of;
            }
            _ => None,
        },
    };
    labels([(label, known.as_deref().unwrap_or(UNKNOWN))])
}

fn process(connection: &Connection) -> String {
    let owner = &connection.owner;
    if owner.is_known() { escaped(name(&owner.comm)) } else { UNKNOWN.to_owned() }
}

/// What the kernel counts in network namespaces, and its limits there.
fn of_namespaces(scene: &Scene<'_>) -> Vec<MetricFamily> {
    let netns = scene.select.netns();
    let gauges_of = scene.context.gauges.by_netns.iter().filter(|(id, _)| netns.selects(**id));
    let of_all: Vec<_> =
        gauges_of.map(|(id, gauges)| (labels([("netns", &id.inum.to_string())]), gauges)).collect();
    let limit = |of: fn(&NetnsGauges) -> Option<u64>| {
        at_most(of_all.iter().filter_map(move |(labels, gauges)| Some((labels.clone(), of(gauges)?))))
    };
    vec![
        gauges(
            "tracer_netns_time_wait",
            "Sockets in TIME_WAIT, orphans in FIN_WAIT2 included",
            limit(|of| Some(of.timewait)),
        ),
        gauges(
            "tracer_netns_time_wait_limit",
            "The most that there may be (net.ipv4.tcp_max_tw_buckets)",
            limit(|of| of.max_timewait),
        ),
        gauges(
            "tracer_netns_ephemeral_ports",
            "Local ports that the kernel gives to connects, for each destination",
            limit(|of| of.ports.as_ref().map(EphemeralPorts::available)),
        ),
    ]
}

/// What tracer costs, and what it has missed.
#[allow(clippy::cast_precision_loss)]
fn of_itself(itself: &Itself) -> Vec<MetricFamily> {
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

/// Counts as the kernel makes them, by what happened.
fn by_event(counts: &TcpCounts) -> [(Labels, u64); 4] {
    let TcpCounts { opened, accepted, failed, reset } = *counts;
    [("opened", opened), ("accepted", accepted), ("failed", failed), ("reset", reset)]
        .map(|(event, count)| (labels([("event", event)]), count))
}

/// The recording that is being made.
fn of_recording(counts: &RecordingCounts) -> Vec<MetricFamily> {
    let RecordingCounts { events, bytes, parts, left_out, errors, missed, has_failed } = *counts;
    vec![
        counter("tracer_recording_events", "Events in the recording", events),
        counter("tracer_recording_written_bytes", "Bytes of the recording, in all parts", bytes),
        counter("tracer_recording_parts", "Parts of the recording", parts.into()),
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

pub(super) fn labels<const N: usize>(labels: [(&'static str, &str); N]) -> Labels {
    labels.map(|(name, value)| (name, value.to_owned())).to_vec()
}

pub(super) fn counter(name: &'static str, help: &'static str, count: u64) -> MetricFamily {
    counters(name, help, [(vec![], count)])
}

pub(super) fn counters(
    name: &'static str,
    help: &'static str,
    values: impl IntoIterator<Item = (Labels, u64)>,
) -> MetricFamily {
    MetricFamily { name, help, unit: None, samples: Samples::Counters(values.into_iter().collect()) }
}

fn gauges(
    name: &'static str,
    help: &'static str,
    values: impl IntoIterator<Item = (Labels, u64)>,
) -> MetricFamily {
    MetricFamily { name, help, unit: None, samples: Samples::Gauges(values.into_iter().collect()) }
}

fn histograms(
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
fn merged(values: impl Iterator<Item = (Labels, u64)>) -> Vec<(Labels, u64)> {
    let mut all = BTreeMap::<Labels, u64>::new();
    for (labels, count) in values {
        *all.entry(labels).or_default() += count;
    }
    all.into_iter().collect()
}

/// The largest; the sum of all others is one.
fn at_most(values: impl Iterator<Item = (Labels, u64)>) -> Vec<(Labels, u64)> {
    let mut values = merged(values);
    if values.len() > MOST {
        values.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let rest: u64 = values.split_off(MOST - 1).iter().map(|(_, count)| count).sum();
        let others = values[0].0.iter().map(|(name, _)| (*name, OTHER.to_owned())).collect();
        values.push((others, rest));
    }
    values
}
