//! The metrics. Names follow Prometheus's conventions: base units, counters that only grow, labels with few values.

use std::{collections::BTreeMap, fmt};

use prometheus_client::{collector::Collector, encoding::DescriptorEncoder, registry::Registry};
use tracer_common::state as number;

use crate::{
    aggregate::{
        growing::{KERNEL_COUNTERS, KernelCounter},
        totals::{STATES, state_index},
    },
    facts::{
        counts::TcpCounts,
        gauges::{EphemeralPorts, NetnsGauges},
    },
    tcp::state::State,
    text::escape::{escaped, name},
    track::connection::Connection,
    view::{
        Scene,
        page::Itself,
        serve::{
            Serve,
            families::{
                Labels, MOST, MetricFamily, OTHER, UNKNOWN, counter, counters, gauges, histograms, labels,
                merged,
            },
        },
    },
};

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
        families.extend(self.by_labels());
        families.extend(self.of_itself(itself));
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
        let mut stuck = BTreeMap::<(u8, String), [u64; 1]>::new();
        let mut listeners = BTreeMap::<(String, String), [u64; 2]>::new();
        for connection in scene.tracker.iter().filter(|connection| scene.select.holds(connection)) {
            states[state_index(connection.state)] += 1;
            unnamed += u64::from(!connection.is_timewait && !connection.owner.is_known());
            if connection.stuck_ns(&self.limits, now_ns, gap_ns).is_some() {
                stuck.entry((connection.state, process(connection))).or_default()[0] += 1;
            }
            if connection.state == number::LISTEN {
                let port = connection.tuple.local_port.to_string();
                let queue = listeners.entry((process(connection), port)).or_default();
                queue[0] += u64::from(connection.counters.recv_queue);
                queue[1] += u64::from(connection.counters.send_queue);
            }
        }
        let states =
            states.into_iter().zip(0_u8..).filter(|(_, state)| State::from_kernel(*state).is_known());
        let states =
            states.map(|(count, state)| (labels([("state", &State::from_kernel(state).to_string())]), count));
        // Which state it is stays known of those that are not told apart.
        let stuck = few(stuck, |(state, _)| (state, OTHER.to_owned()));
        let stuck = stuck.into_iter().map(|((state, process), [count])| {
            (labels([("state", &State::from_kernel(state).to_string()), ("process", &process)]), count)
        });
        let listeners = few(listeners, |_| (OTHER.to_owned(), OTHER.to_owned()));
        let queue = |which: usize| {
            listeners.iter().map(move |((process, port), queue)| {
                (labels([("process", process), ("port", port)]), queue[which])
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
                stuck,
            ),
            gauges("tracer_tcp_accept_queue", "Connections that wait to be accepted", queue(0)),
            gauges(
                "tracer_tcp_accept_queue_limit",
                "Room for connections that wait to be accepted",
                queue(1),
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
                by_event(&self.told),
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
}

fn process(connection: &Connection) -> String {
    let owner = &connection.owner;
    if owner.is_known() { escaped(name(&owner.comm)) } else { UNKNOWN.to_owned() }
}

/// What the kernel counts in network namespaces, and its limits there.
fn of_namespaces(scene: &Scene<'_>) -> Vec<MetricFamily> {
    let netns = scene.select.netns();
    let gauges_of = scene.context.gauges.by_netns.iter().filter(|(id, _)| netns.selects(**id));
    let mut of_all: Vec<_> = gauges_of.collect();
    // The same in all families, so that one can be divided by another; and in all scrapes, so that there are few series.
    of_all.sort_unstable_by_key(|(id, gauges)| (std::cmp::Reverse(gauges.timewait), id.inum));
    let of_all: Vec<_> =
        of_all.into_iter().map(|(id, gauges)| (labels([("netns", &id.inum.to_string())]), gauges)).collect();
    let limit = |of: fn(&NetnsGauges) -> Option<u64>| {
        let of_each = of_all.iter().enumerate().filter_map(move |(place, (of_one, gauges))| {
            let of_one = if place < MOST { of_one.clone() } else { labels([("netns", OTHER)]) };
            Some((of_one, of(gauges)?))
        });
        merged(of_each)
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

/// Those whose first value is largest have their own keys; all others are added up under the key of others.
fn few<K: Ord, const N: usize>(all: BTreeMap<K, [u64; N]>, others: impl Fn(K) -> K) -> BTreeMap<K, [u64; N]> {
    let mut all: Vec<_> = all.into_iter().collect();
    all.sort_by_key(|(_, values)| std::cmp::Reverse(values[0]));
    let mut few = BTreeMap::new();
    for (place, (key, values)) in all.into_iter().enumerate() {
        let key = if place < MOST { key } else { others(key) };
        let sums = few.entry(key).or_insert([0; N]);
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum += value;
        }
    }
    few
}

/// Counts as the kernel makes them, by what happened.
fn by_event(counts: &TcpCounts) -> [(Labels, u64); 4] {
    let TcpCounts { opened, accepted, failed, reset } = *counts;
    [("opened", opened), ("accepted", accepted), ("failed", failed), ("reset", reset)]
        .map(|(event, count)| (labels([("event", event)]), count))
}
