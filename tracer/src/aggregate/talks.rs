//! Who talks to whom: connections by process, peer and service, in bounded memory.

use tracer_common::event::COMM_LEN;

use crate::{
    aggregate::heavy::{HeavyHitters, Weighted},
    tcp::reason::Reason,
    track::connection::{Connection, Role},
};

/// How many are told apart: as many as a hash table of 8,192 entries can take before it grows.
const CAPACITY: usize = 8_192 / 8 * 7;

/// A process that talks to a peer about a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TalkKey {
    /// The process serves; otherwise it connects, or that is not known.
    pub serves: bool,
    /// The process's name, zero-padded; `None` if it is not known.
    pub comm: Option<[u8; COMM_LEN]>,
    /// The peer's address, v4-mapped for IPv4.
    pub addr: [u8; 16],
    /// The service's port.
    pub port: u16,
}

/// What became of its connections, since it came in last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TalkCounts {
    /// What it is ranked by: connections, as far as they are known to be more than those of others.
    weight: u64,
    /// Connections: those that have ended, and those that are still there.
    pub connections: u64,
    /// Of these, those that ended out of order.
    pub failed: u64,
    /// Of these, those that this side has reset.
    pub reset_local: u64,
    /// Those that the peer has reset.
    pub reset_remote: u64,
    /// Connects that were refused, found no route or were not answered.
    pub not_connected: u64,
    /// Those that ended because the peer fell silent.
    pub timed_out: u64,
    /// Connections that had to send something again.
    pub with_retransmits: u64,
    /// Segments that were sent again.
    pub retransmits: u64,
    /// Handshakes that were measured.
    pub handshakes: u64,
    /// The sum of their durations, in microseconds.
    pub handshakes_us: u64,
    /// The longest, in microseconds.
    pub slowest_us: u64,
}

impl Weighted for TalkCounts {
    fn weight(&self) -> u64 {
        self.weight
    }

    fn subtract(&mut self, weight: u64) {
        self.weight = self.weight.saturating_sub(weight);
    }

    fn add(&mut self, other: &Self) {
        self.weight += other.weight;
        self.connections += other.connections;
        self.failed += other.failed;
        self.reset_local += other.reset_local;
        self.reset_remote += other.reset_remote;
        self.not_connected += other.not_connected;
        self.timed_out += other.timed_out;
        self.with_retransmits += other.with_retransmits;
        self.retransmits += other.retransmits;
        self.handshakes += other.handshakes;
        self.handshakes_us += other.handshakes_us;
        self.slowest_us = self.slowest_us.max(other.slowest_us);
    }
}

/// Who talks to whom.
#[derive(Clone, Debug)]
pub struct Talks(HeavyHitters<TalkKey, TalkCounts>);

impl Default for Talks {
    fn default() -> Self {
        Self(HeavyHitters::new(CAPACITY))
    }
}

impl Talks {
    /// Takes a connection that has ended for this reason, or that is still there.
    pub fn add(&mut self, connection: &Connection, reason: Option<Reason>) {
        let Connection { tuple, owner, counters, .. } = connection;
        let serves = match connection.role {
            Role::Listener => return,
            Role::Server => true,
            Role::Client | Role::Unknown => false,
        };
        let counts = self.0.entry(TalkKey {
            serves,
            comm: owner.is_known().then_some(owner.comm),
            addr: tuple.remote_addr,
            port: if serves { tuple.local_port } else { tuple.remote_port },
        });
        let (handshake_us, retransmits) =
            (u64::from(connection.handshake_us()), u64::from(counters.retransmits));
        counts.weight += 1;
        counts.connections += 1;
        counts.with_retransmits += u64::from(retransmits > 0);
        counts.retransmits += retransmits;
        counts.handshakes += u64::from(handshake_us > 0);
        counts.handshakes_us += handshake_us;
        counts.slowest_us = counts.slowest_us.max(handshake_us);
        let Some(reason) = reason else { return };
        counts.failed += u64::from(!reason.is_orderly());
        match reason {
            Reason::ResetRemote | Reason::ResetRemoteAfterFin => counts.reset_remote += 1,
            reason if reason.is_reset() => counts.reset_local += 1,
            Reason::Refused | Reason::TimeoutConnect | Reason::Unanswered | Reason::Unreachable => {
                counts.not_connected += 1;
            }
            Reason::TimeoutRetransmit | Reason::TimeoutKeepalive | Reason::TimeoutClose => {
                counts.timed_out += 1;
            }
            _ => {}
        }
    }

    /// Those with the most connections, and those of them with the most failures, the most first.
    #[must_use]
    pub fn highest(&self, count: usize) -> Vec<(TalkKey, TalkCounts)> {
        let mut some = self.0.highest(count, |counts| counts.failed);
        some.retain(|(_, counts)| counts.failed > 0);
        some.extend(self.0.highest(count, Weighted::weight));
        some.sort_unstable_by_key(|(key, counts)| (u64::MAX - counts.connections, *key));
        some.dedup_by_key(|(key, _)| *key);
        some
    }

    /// All of them, those with the most connections first.
    #[must_use]
    pub fn all(&self) -> Vec<(TalkKey, TalkCounts)> {
        self.0.highest(usize::MAX, Weighted::weight)
    }

    /// How many connections may be missing from each count.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.0.missing()
    }

    /// How many there are; `None` if some were dropped.
    #[must_use]
    pub fn keys(&self) -> Option<usize> {
        self.0.keys()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Many peers come and go, and one fails all the time.
    #[test]
    fn no_count_of_failures_is_above_that_of_connections() {
        let mut talks = Talks::default();
        let mut connection = Connection::default();
        connection.role = Role::Client;
        for number in 0..100_000_u32 {
            let is_failing = number % 10 == 0;
            let addr = if is_failing { [9; 4] } else { number.to_be_bytes() };
            connection.tuple.remote_addr[12..].copy_from_slice(&addr);
            talks.add(&connection, Some(if is_failing { Reason::Refused } else { Reason::FinLocal }));
        }
        let all = talks.all();
        assert!(all.iter().all(|(_, counts)| counts.failed <= counts.connections));
        assert!(all.len() <= CAPACITY && talks.keys().is_none() && talks.missing() < 100_000 / 100);
        let [(key, counts), ..] = talks.highest(5)[..] else { panic!() };
        assert_eq!(
            (&key.addr[12..], counts.connections, counts.not_connected),
            (&[9; 4][..], 10_000, 10_000)
        );
    }
}
