//! The kernel's own counters of connections (`/proc/net/snmp`), which the events are checked against.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    ops::{AddAssign, RangeInclusive},
};

/// The kernel's counters.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct CountersByNetns {
    /// Those of each network namespace, by its inode number.
    pub read: HashMap<u32, Reading>,
    /// The namespaces for which there was no time.
    pub unread: HashSet<u32>,
}

/// The counters of a network namespace, and when they were read.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Reading {
    /// The counters.
    pub counts: KernelCounts,
    /// The time range, in nanoseconds of the monotonic clock.
    pub during_ns: RangeInclusive<u64>,
    /// The namespace's cookie, which no other gets; 0 if the kernel does not tell (before 5.14).
    pub netns_cookie: u64,
}

/// Counts of connections, with the names of RFC 4022.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct TcpCounts {
    /// `tcpActiveOpens`: connections opened.
    pub opened: u64,
    /// `tcpPassiveOpens`: connections accepted.
    pub accepted: u64,
    /// `tcpAttemptFails`: of those, the ones that failed before they were established.
    pub failed: u64,
    /// `tcpEstabResets`: transitions from ESTABLISHED or CLOSE_WAIT straight to CLOSE.
    pub reset: u64,
}

impl TcpCounts {
    /// Whether a count is less than the other one.
    #[must_use]
    pub fn is_less_than(&self, other: &Self) -> bool {
        self.opened < other.opened
            || self.accepted < other.accepted
            || self.failed < other.failed
            || self.reset < other.reset
    }
}

impl TcpCounts {
    /// Each count without the other's, or 0 if it is less.
    #[must_use]
    pub const fn without(&self, other: &Self) -> Self {
        Self {
            opened: self.opened.saturating_sub(other.opened),
            accepted: self.accepted.saturating_sub(other.accepted),
            failed: self.failed.saturating_sub(other.failed),
            reset: self.reset.saturating_sub(other.reset),
        }
    }

    /// The higher one of each.
    #[must_use]
    pub fn max(&self, other: &Self) -> Self {
        Self {
            opened: self.opened.max(other.opened),
            accepted: self.accepted.max(other.accepted),
            failed: self.failed.max(other.failed),
            reset: self.reset.max(other.reset),
        }
    }
}

impl AddAssign for TcpCounts {
    fn add_assign(&mut self, other: Self) {
        self.opened += other.opened;
        self.accepted += other.accepted;
        self.failed += other.failed;
        self.reset += other.reset;
    }
}

impl fmt::Display for TcpCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { opened, accepted, failed, reset } = self;
        write!(f, "opened {opened}, accepted {accepted}, failed {failed}, reset {reset}")
    }
}

impl TcpCounts {
    /// Those that are not zero, as text: `opened 3, failed 1`.
    #[must_use]
    pub fn nonzero(&self) -> String {
        let text = self.to_string();
        text.split(", ").filter(|count| !count.ends_with(" 0")).collect::<Vec<_>>().join(", ")
    }
}

/// What may have been counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bounds {
    /// At least.
    pub least: TcpCounts,
    /// At most.
    pub most: TcpCounts,
}

impl Bounds {
    /// Whether no counter can exceed the one in `most`.
    #[must_use]
    pub fn is_at_most(&self, most: &TcpCounts) -> bool {
        let Self { least, .. } = self;
        least.opened <= most.opened
            && least.accepted <= most.accepted
            && least.failed <= most.failed
            && least.reset <= most.reset
    }

    /// How far counts within these bounds may differ.
    #[must_use]
    pub fn width(&self) -> TcpCounts {
        self.most.without(&self.least)
    }

    /// The counts within these bounds that are closest to others.
    #[must_use]
    pub fn nearest(&self, to: &TcpCounts) -> TcpCounts {
        let Self { least, most } = self;
        let nearest = |least: u64, most: u64, to: u64| to.max(least).min(most);
        TcpCounts {
            opened: nearest(least.opened, most.opened, to.opened),
            accepted: nearest(least.accepted, most.accepted, to.accepted),
            failed: nearest(least.failed, most.failed, to.failed),
            reset: nearest(least.reset, most.reset, to.reset),
        }
    }
}

/// The counters of a network namespace, as the kernel shows them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct KernelCounts {
    /// ActiveOpens, PassiveOpens, AttemptFails and EstabResets.
    pub tcp: TcpCounts,
    /// EmbryonicRsts: half-open connections that ended with an RST or a SYN, or, with `tcp_abort_on_overflow`,
    /// because the accept queue was full.
    pub embryonic_resets: u64,
    /// ListenDrops, which includes the latter.
    pub listen_drops: u64,
    /// TCPFastOpenPassive and TCPFastOpenPassiveAltKey: children of TCP Fast Open.
    pub fastopen_children: u64,
}

impl KernelCounts {
    /// The increase since `start`. `None` if a counter has decreased: then a new namespace has the inode
    /// number of an earlier one.
    #[must_use]
    pub fn since(&self, start: &Self) -> Option<Self> {
        let tcp = |counts: fn(&TcpCounts) -> u64| counts(&self.tcp).checked_sub(counts(&start.tcp));
        Some(Self {
            tcp: TcpCounts {
                opened: tcp(|counts| counts.opened)?,
                accepted: tcp(|counts| counts.accepted)?,
                failed: tcp(|counts| counts.failed)?,
                reset: tcp(|counts| counts.reset)?,
            },
            embryonic_resets: self.embryonic_resets.checked_sub(start.embryonic_resets)?,
            listen_drops: self.listen_drops.checked_sub(start.listen_drops)?,
            // A child may be older.
            fastopen_children: self.fastopen_children,
        })
    }

    /// What of it transitions can tell of. AttemptFails also counts segments that end a half-open connection,
    /// of which no transition tells: how many, follows only roughly from other counters (`docs/counters.md`).
    #[must_use]
    pub fn bounds(&self) -> Bounds {
        let with_failed = |failed| TcpCounts { failed, ..self.tcp };
        let overflows = self.listen_drops.min(self.embryonic_resets);
        let half_open_least = self.embryonic_resets - overflows;
        // Each segment that ends a child of Fast Open counts, too, and so does a SYN that does not.
        let half_open_most = if self.fastopen_children > 0 { u64::MAX } else { self.embryonic_resets };
        Bounds {
            least: with_failed(self.tcp.failed.saturating_sub(half_open_most)),
            most: with_failed(self.tcp.failed.saturating_sub(half_open_least)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(failed: u64, embryonic_resets: u64, listen_drops: u64, fastopen_children: u64) -> KernelCounts {
        let tcp = TcpCounts { failed, ..TcpCounts::default() };
        KernelCounts { tcp, embryonic_resets, listen_drops, fastopen_children }
    }

    #[test]
    fn half_open_connections_are_taken_out_as_far_as_they_are_known() {
        let bounds = |counts: KernelCounts| {
            let Bounds { least, most } = counts.bounds();
            (least.failed, most.failed)
        };
        assert_eq!(bounds(counts(4, 0, 9, 0)), (4, 4));
        assert_eq!(bounds(counts(5, 3, 0, 0)), (2, 2), "three were half open");
        assert_eq!(bounds(counts(4, 4, 4, 0)), (0, 4), "any of them may have been overflows");
        assert_eq!(bounds(counts(2, 0, 0, 1)), (0, 2), "an RST for a child counts twice");
    }

    #[test]
    fn a_counter_that_goes_back_is_another_namespace() {
        assert_eq!(counts(1, 0, 0, 0).since(&counts(2, 0, 0, 0)), None);
        assert_eq!(counts(3, 2, 1, 1).since(&counts(1, 1, 1, 1)), Some(counts(2, 1, 0, 1)));
    }
}
