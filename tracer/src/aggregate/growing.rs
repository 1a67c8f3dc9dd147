//! Counts for as long as tracer runs: they only grow, as metrics need it.

use std::collections::BTreeMap;

use hashbrown::HashMap;
use tracer_common::{event::kind, state as number};

use crate::{
    aggregate::{
        By,
        bounded::{BoundedCounts, ConnectionCounts},
        durations::Durations,
        totals::{RankingKey, STATES, begins_connection, ranking_key, state_index},
    },
    facts::{gauges::NetnsGauges, known_names::KnownNames, names::ContainerNames},
    tcp::{netns::NetnsId, reason::Reason, state::is_birth},
    track::{
        Transition,
        connection::{Connection, FirstFin, Role},
    },
};

const MS: u64 = 1_000_000;
const S: u64 = 1_000 * MS;

/// Upper bounds of the ranges of times in a state.
const STATE_BOUNDS_NS: [u64; 10] =
    [MS, 10 * MS, 100 * MS, S, 10 * S, 60 * S, 600 * S, 3_600 * S, 21_600 * S, 86_400 * S];

/// Upper bounds of the ranges of handshakes.
const HANDSHAKE_BOUNDS_NS: [u64; 12] =
    [MS / 10, MS / 4, MS / 2, MS, 5 * MS / 2, 5 * MS, 10 * MS, 25 * MS, 100 * MS, 250 * MS, S, 5 * S];

/// The most keys of a kind that have counts of their own.
const KEYS: usize = 100;

/// The most of all kinds together.
const ALL_KEYS: usize = 400;

/// Who closed first.
pub const CLOSED_BY: [&str; 4] = ["local", "remote", "both", "nobody"];

/// A key that is not counted for so long loses its place: longer than Prometheus's usual staleness of 5 minutes.
const IDLE_NS: u64 = 600 * S;

/// What the kernel counts in each network namespace.
pub struct KernelCounter {
    /// Its count.
    count: fn(&NetnsGauges) -> u64,
    /// The name of its metric.
    pub name: &'static str,
    /// What it means.
    pub help: &'static str,
}

/// All that is counted so.
pub const KERNEL_COUNTERS: [KernelCounter; 5] = [
    KernelCounter {
        count: |gauges| gauges.listen_overflows,
        name: "tracer_tcp_listen_overflows",
        help: "SYNs and last ACKs of handshakes for which an accept queue had no room (ListenOverflows)",
    },
    KernelCounter {
        count: |gauges| gauges.listen_drops,
        name: "tracer_tcp_listen_drops",
        help: "The same, and those that were dropped for another reason (ListenDrops)",
    },
    KernelCounter {
        count: |gauges| gauges.syncookies_sent,
        name: "tracer_tcp_syncookies_sent",
        help: "SYN cookies that were sent (SyncookiesSent)",
    },
    KernelCounter {
        count: |gauges| gauges.request_queue_drops,
        name: "tracer_tcp_request_queue_drops",
        help: "SYNs for which there was no room among half-open connections (TCPReqQFullDrop)",
    },
    KernelCounter {
        count: |gauges| gauges.time_wait_overflows,
        name: "tracer_tcp_time_wait_overflows",
        help: "Connections that got no TIME_WAIT for lack of room (TCPTimeWaitOverflow)",
    },
];

/// What a connection is counted by: what the labels say. What has other numbers and the same names is the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SeriesKey {
    /// What is its own name.
    Key(RankingKey),
    /// The escaped path of a cgroup, if it is known.
    Cgroup(Option<Box<str>>),
    /// A container, with its pod and the pod's namespace; `None` if it is not known whether there is one.
    Container(Option<Box<ContainerNames>>),
    /// No container.
    NoContainer,
}

impl SeriesKey {
    fn of(by: By, connection: &Connection, names: &KnownNames) -> Self {
        match by {
            By::Cgroup => Self::Cgroup(names.cgroup(connection.cgroup).map(Into::into)),
            By::Container => match names.workload(connection.socket_owner()) {
                None => Self::Container(None),
                Some(known) if known.is_outside() => Self::NoContainer,
                Some(known) => Self::Container(Some(Box::new(known.container_names()))),
            },
            _ => Self::Key(ranking_key(by, connection, names)),
        }
    }
}

/// Keys of each kind that have counts of their own, with so many kinds.
fn keys_of_each(labels: &[By]) -> usize {
    KEYS.min(ALL_KEYS / labels.len().max(1))
}

/// The direction of a reset and the kernel's number for its reason.
pub type ResetKey = (&'static str, u8);

/// All counts.
#[derive(Clone, Debug)]
pub struct GrowingCounts {
    /// All connections.
    pub connections: ConnectionCounts,
    /// Ends, by reason and by who closed first.
    pub ends: BTreeMap<(Reason, &'static str), u64>,
    /// Times in each state, by the state that was left.
    pub states: Vec<Durations>,
    /// Handshakes of clients and of servers.
    pub handshakes: [Durations; 2],
    /// Segments that were retransmitted, and SYN-ACKs.
    pub retransmits: [u64; 2],
    /// RSTs.
    pub resets: BTreeMap<ResetKey, u64>,
    /// Connections by the labels that were asked for.
    pub by: Vec<(By, BoundedCounts<SeriesKey>)>,
    /// How much [`KERNEL_COUNTERS`] have grown, in all namespaces together: one that goes takes nothing back.
    pub kernel: [u64; KERNEL_COUNTERS.len()],
    /// Those of each namespace when they were last read.
    netns: HashMap<NetnsId, [u64; KERNEL_COUNTERS.len()]>,
}

impl GrowingCounts {
    /// Nothing yet; with counts by these labels.
    #[must_use]
    pub fn new(labels: &[By]) -> Self {
        Self {
            connections: ConnectionCounts::default(),
            // A counter that appears with its first value has not grown for Prometheus: all are there from the start.
            ends: Reason::ALL
                .iter()
                .flat_map(|reason| CLOSED_BY.map(|closed_by| ((*reason, closed_by), 0)))
                .collect(),
            states: vec![Durations::new(&STATE_BOUNDS_NS); STATES],
            handshakes: [Durations::new(&HANDSHAKE_BOUNDS_NS), Durations::new(&HANDSHAKE_BOUNDS_NS)],
            retransmits: [0; 2],
            resets: BTreeMap::from([(("sent", 0), 0), (("received", 0), 0)]),
            by: labels.iter().map(|by| (*by, BoundedCounts::new(keys_of_each(labels)))).collect(),
            kernel: [0; KERNEL_COUNTERS.len()],
            netns: HashMap::new(),
        }
    }

    /// Counts by these labels from now on. Counts by labels that stay go on, those by new ones begin with nothing.
    pub fn relabel(&mut self, labels: &[By]) {
        let mut before: Vec<_> = std::mem::take(&mut self.by);
        for by in labels {
            let known = before.iter().position(|(known, _)| known == by);
            let known = known.map(|place| before.swap_remove(place));
            let (by, mut counts) = known.unwrap_or_else(|| (*by, BoundedCounts::new(keys_of_each(labels))));
            counts.limit(keys_of_each(labels));
            self.by.push((by, counts));
        }
    }

    /// Counts a transition or an incident. `names` has its container.
    pub fn add(&mut self, transition: &Transition, names: &KnownNames) {
        match transition.kind {
            kind::TRANSITION => self.add_transition(transition, names),
            kind::RETRANSMIT => self.retransmits[0] += 1,
            kind::RETRANSMIT_SYNACK => self.retransmits[1] += 1,
            kind::RESET_SENT => *self.resets.entry(("sent", transition.detail)).or_default() += 1,
            kind::RESET_RECEIVED => *self.resets.entry(("received", 0)).or_default() += 1,
            _ => {}
        }
    }

    fn add_transition(&mut self, transition: &Transition, names: &KnownNames) {
        let connection = &transition.connection;
        let (old, new) = (transition.old_state, transition.new_state);
        if !transition.is_silent
            && !is_birth(old, new)
            && let Some(ns) = transition.state_ns
        {
            self.states[state_index(old)].add(ns);
        }
        if new == number::ESTABLISHED && matches!(old, number::SYN_SENT | number::SYN_RECV) {
            let handshake_ns = u64::from(connection.handshake_us()) * 1_000;
            let side = match connection.role {
                Role::Client => Some(0),
                Role::Server => Some(1),
                _ => None,
            };
            if let Some(side) = side.filter(|_| handshake_ns > 0) {
                self.handshakes[side].add(handshake_ns);
            }
        }
        if let Some(reason) = transition.reason {
            *self.ends.entry((reason, closed_by(transition))).or_default() += 1;
        }
        let counts = ConnectionCounts {
            begun: u64::from(begins_connection(old, new)),
            ended: u64::from(transition.reason.is_some()),
            failed: u64::from(transition.reason.is_some_and(|reason| !reason.is_orderly())),
        };
        if counts != ConnectionCounts::default() {
            self.connections.add(counts);
            for (by, keys) in &mut self.by {
                keys.add(SeriesKey::of(*by, connection, names), counts, transition.time_ns);
            }
        }
    }

    /// Takes what the kernel counts in namespaces now. What it had counted when a namespace was first seen is left out.
    pub fn read<'a>(&mut self, gauges: impl Iterator<Item = (&'a NetnsId, &'a NetnsGauges)>) {
        let mut last = HashMap::new();
        for (id, gauges) in gauges {
            let now = KERNEL_COUNTERS.map(|counter| (counter.count)(gauges));
            let before = self.netns.get(id).unwrap_or(&now);
            for ((sum, now), before) in self.kernel.iter_mut().zip(now).zip(before) {
                *sum += now.saturating_sub(*before);
            }
            last.insert(*id, now);
        }
        self.netns = last;
    }

    /// Forgets keys that nothing was counted for in the last ten minutes.
    pub fn expire(&mut self, now_ns: u64) {
        for (_, keys) in &mut self.by {
            keys.expire(now_ns, IDLE_NS);
        }
    }
}

/// Who closed first, as the column `closed_by` has it, and `nobody`.
fn closed_by(transition: &Transition) -> &'static str {
    let [local, remote, both, nobody] = CLOSED_BY;
    match transition.closed_by() {
        Some(FirstFin::Local) => local,
        Some(FirstFin::Remote) => remote,
        Some(FirstFin::Both) => both,
        Some(FirstFin::Nobody) | None => nobody,
    }
}
