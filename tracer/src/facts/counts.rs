//! The kernel's own counters of connections (`/proc/net/snmp`), which the events are checked against.

use std::{
    collections::HashMap,
    fmt,
    ops::{AddAssign, RangeInclusive},
};

/// The kernel's counters of each network namespace, and the time range in which they were read, in
/// nanoseconds of the monotonic clock.
pub type CountersByNetns = HashMap<u32, (TcpCounts, RangeInclusive<u64>)>;

/// The kernel's counters that transitions can account for, with the names of RFC 4022.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct TcpCounts {
    /// `tcpActiveOpens`: connections opened.
    pub opened: u64,
    /// `tcpPassiveOpens`: connections accepted.
    pub accepted: u64,
    /// `tcpAttemptFails`: of those, the ones that failed before they were established.
    pub failed: u64,
    /// `tcpEstabResets`: transitions from ESTABLISHED or CLOSE_WAIT straight to CLOSE.
    pub reset: u64,
    /// Of the opened ones, those that failed before a SYN was sent, which the kernel does not count.
    #[serde(skip)]
    pub(crate) unopened: u64,
}

impl AddAssign for TcpCounts {
    fn add_assign(&mut self, other: Self) {
        self.opened += other.opened;
        self.accepted += other.accepted;
        self.failed += other.failed;
        self.reset += other.reset;
        self.unopened += other.unopened;
    }
}

impl fmt::Display for TcpCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { opened, accepted, failed, reset, .. } = self;
        write!(f, "opened {opened}, accepted {accepted}, failed {failed}, reset {reset}")
    }
}

impl TcpCounts {
    /// Creates the counts from the kernel's counters.
    #[must_use]
    pub fn of_kernel(opened: u64, accepted: u64, failed: u64, reset: u64) -> Self {
        Self { opened, accepted, failed, reset, unopened: 0 }
    }

    /// Subtracts from `opened` the connections that failed before a SYN was sent.
    pub(crate) fn settled(mut self) -> Self {
        self.opened = self.opened.saturating_sub(std::mem::take(&mut self.unopened));
        self
    }

    /// The increase since `start`. `None` if a counter has decreased: then a new namespace has the inode
    /// number of an earlier one.
    #[must_use]
    pub fn since(&self, start: &Self) -> Option<Self> {
        start.is_at_most(self).then(|| Self {
            opened: self.opened.saturating_sub(start.opened),
            accepted: self.accepted.saturating_sub(start.accepted),
            failed: self.failed.saturating_sub(start.failed),
            reset: self.reset.saturating_sub(start.reset),
            unopened: 0,
        })
    }

    /// Whether no counter exceeds the one in `most`.
    #[must_use]
    pub fn is_at_most(&self, most: &Self) -> bool {
        self.is_between(&Self::default(), most)
    }

    /// Whether every counter is within its bounds.
    #[must_use]
    pub fn is_between(&self, least: &Self, most: &Self) -> bool {
        (least.opened..=most.opened).contains(&self.opened)
            && (least.accepted..=most.accepted).contains(&self.accepted)
            && (least.failed..=most.failed).contains(&self.failed)
            && (least.reset..=most.reset).contains(&self.reset)
    }
}
