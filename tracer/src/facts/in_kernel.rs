//! Counts that the kernel program keeps itself, summed over CPUs.

use std::collections::BTreeMap;

use tracer_common::aggregate::{BUCKETS, PortKey, SHARE_WORDS, STATES, Share, Side, states};
use zerocopy::transmute_ref;

/// The counts of the kernel program. States have the kernel's numbers; no known kernel uses 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelAggregate {
    /// Transitions, by old and new state. A transition that the kernel reports as CLOSE counts as TIME_WAIT if
    /// the connection has entered TIME_WAIT.
    pub transitions: [[u64; STATES]; STATES],
    /// The time that sockets spent in a state, by the state that they left.
    pub times: [AggregateTimes; STATES],
    /// The same for each service port, sorted by side and port; empty if not requested.
    pub ports: Vec<AggregatePort>,
    /// Sockets that were evicted because a map was full. The duration of their next state is unknown, and a
    /// connection's beginning that the filters had not decided on is not counted.
    pub evicted: Option<u64>,
    /// Counts by port that were dropped because the map was full.
    pub no_room: Option<u64>,
    /// Events that the filters rejected.
    pub filtered: Option<u64>,
    /// Events that neither program saw, because the kernel skipped both.
    pub missed: Option<u64>,
}

/// How long sockets stayed in a state, once they have left it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AggregateTimes {
    /// Bucket i counts stays of at least 2^i and less than 2^(i+1) nanoseconds; the first one includes 0 ns.
    pub buckets: [u64; BUCKETS],
    /// The longest stay, in nanoseconds.
    pub max_ns: u64,
    /// Stays of unknown length: the socket was older than the tracer or had been evicted, an event was
    /// missed, or two CPUs wrote the entry at once.
    pub unknown: u64,
}

impl Default for AggregateTimes {
    fn default() -> Self {
        Self { buckets: [0; BUCKETS], max_ns: 0, unknown: 0 }
    }
}

/// The counts of one service port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AggregatePort {
    /// The side on which the service is.
    pub side: Side,
    /// The port; 0 if the side is unknown.
    pub port: u16,
    /// The transitions that occurred: old state, new state, count.
    pub transitions: Vec<(u8, u8, u64)>,
    /// How long connections were ESTABLISHED, in buckets like [`AggregateTimes::buckets`].
    pub established: [u64; BUCKETS],
}

impl KernelAggregate {
    /// The counts before the first event: all zero, and nothing missed.
    #[must_use]
    pub fn nothing() -> Self {
        let none = Some(0);
        Self { missed: none, evicted: none, no_room: none, filtered: none, ..Self::default() }
    }

    /// Adds the counts of one CPU, as read from its map.
    pub(crate) fn add(&mut self, words: &[u64; SHARE_WORDS]) {
        let share: &Share = transmute_ref!(words);
        for (sums, counts) in self.transitions.iter_mut().zip(&share.transitions) {
            add(sums, counts);
        }
        for (state, times) in self.times.iter_mut().enumerate() {
            add(&mut times.buckets, &share.stays[state]);
            times.unknown += share.unknown[state];
            let longest_ns = share.longest_ns.iter().map(|of_writer| of_writer[state]).max();
            times.max_ns = times.max_ns.max(longest_ns.unwrap_or_default());
        }
    }
}

fn add(sums: &mut [u64], counts: &[u64]) {
    for (sum, count) in sums.iter_mut().zip(counts) {
        *sum += count;
    }
}

/// Collects the counts by port.
#[derive(Debug, Default)]
pub(crate) struct PortCounts(BTreeMap<(Side, u16), AggregatePort>);

impl PortCounts {
    pub(crate) fn add_transitions(&mut self, key: PortKey, count: u64) {
        if let Some((port, pair)) = self.find(key) {
            let (old_state, new_state) = states(pair);
            port.transitions.push((old_state, new_state, count));
        }
    }

    pub(crate) fn add_stays(&mut self, key: PortKey, count: u64) {
        if let Some((port, bucket)) = self.find(key) {
            port.established[usize::from(bucket) % BUCKETS] += count;
        }
    }

    fn find(&mut self, key: PortKey) -> Option<(&mut AggregatePort, u8)> {
        let (side, port, cell) = key.parts()?;
        let empty = || AggregatePort { side, port, transitions: Vec::new(), established: [0; BUCKETS] };
        Some((self.0.entry((side, port)).or_insert_with(empty), cell))
    }
}

impl From<PortCounts> for Vec<AggregatePort> {
    fn from(PortCounts(ports): PortCounts) -> Self {
        let in_order = |mut port: AggregatePort| {
            port.transitions.sort_unstable();
            port
        };
        ports.into_values().map(in_order).collect()
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::aggregate::pair;
    use zerocopy::{FromZeros as _, transmute};

    use super::*;

    #[test]
    fn cpus_are_summed_and_the_longest_is_the_longest_of_any() {
        let mut share = Share::new_zeroed();
        share.transitions[7][2] = 3;
        share.stays[1][20] = 2;
        share.unknown[5] = 1;
        share.longest_ns[0][1] = 2_000_000;
        let mut other = share;
        other.longest_ns = [[0; STATES]; 2];
        other.longest_ns[1][1] = 2_000_001;
        let mut counted = KernelAggregate::default();
        counted.add(&transmute!(share));
        counted.add(&transmute!(other));
        assert_eq!(counted.transitions[7][2], 6);
        assert_eq!(counted.times[1].buckets[20], 4);
        assert_eq!(counted.times[1].max_ns, 2_000_001);
        assert_eq!(counted.times[5].unknown, 2);
    }

    #[test]
    fn ports_come_in_order_with_what_belongs_to_them() {
        let mut ports = PortCounts::default();
        ports.add_transitions(PortKey::new(Side::Remote, 443, pair(2, 1)), 5);
        ports.add_transitions(PortKey::new(Side::Local, 80, pair(10, 3)), 1);
        ports.add_stays(PortKey::new(Side::Remote, 443, 30), 4);
        ports.add_transitions(PortKey::new(Side::Remote, 443, pair(1, 4)), 5);
        let ports = Vec::from(ports);
        let keys: Vec<_> = ports.iter().map(|port| (port.side, port.port)).collect();
        assert_eq!(keys, [(Side::Local, 80), (Side::Remote, 443)]);
        assert_eq!(ports[1].transitions, [(1, 4, 5), (2, 1, 5)]);
        assert_eq!(ports[1].established[30], 4);
    }
}
