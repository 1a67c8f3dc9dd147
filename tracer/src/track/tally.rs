//! Counts of events, made the way the kernel counts in `/proc/net/snmp`, to be compared with those.

use std::ops::RangeInclusive;

use hashbrown::HashMap;
use tracer_common::{Event, event::flag, state as number};

use crate::facts::counts::TcpCounts;

/// What one event adds to the kernel's counters.
fn counts_of(event: &Event) -> TcpCounts {
    let is = |old: u8, new: u8| event.old_state == old && event.new_state == new;
    // `tcp_done` counts failed attempts. `tcp_close` and `tcp_disconnect` set the state without it; both run
    // in a call of the owner and leave no error.
    let is_own_doing = event.flags & flag::OWNED != 0 && event.error == 0;
    let is_end = event.new_state == number::CLOSE;
    let was_new = matches!(event.old_state, number::SYN_SENT | number::SYN_RECV);
    let has_lived = matches!(event.old_state, number::ESTABLISHED | number::CLOSE_WAIT);
    TcpCounts {
        opened: u64::from(is(number::CLOSE, number::SYN_SENT)),
        accepted: u64::from(is(number::LISTEN, number::SYN_RECV)),
        failed: u64::from(is_end && was_new && !is_own_doing),
        reset: u64::from(is_end && has_lived),
        unopened: u64::from(is(number::SYN_SENT, number::CLOSE) && event.flags & flag::UNSENT != 0),
    }
}

/// Counts of one network namespace.
#[derive(Clone, Debug, Default)]
struct NetnsCounts {
    /// Events between the two readings of the kernel's counters.
    between: TcpCounts,
    /// Events during the reading at the start: the kernel may have counted them before or after it.
    at_start: TcpCounts,
    /// Events during the reading at the end.
    at_end: TcpCounts,
}

/// Counts by network namespace, over the time for which the kernel's counters are compared.
#[derive(Debug, Default)]
pub struct Tally {
    by_netns: HashMap<u32, NetnsCounts>,
    total: TcpCounts,
    /// When the kernel's counters were read at the start, by namespace, in nanoseconds.
    start: HashMap<u32, RangeInclusive<u64>>,
    /// The same at the end.
    end: HashMap<u32, RangeInclusive<u64>>,
}

impl Tally {
    /// Counts an event.
    pub fn count(&mut self, event: &Event) {
        let counts = counts_of(event);
        if counts == TcpCounts::default() {
            return;
        }
        self.total += counts;
        let of_netns = self.by_netns.entry(event.netns).or_default();
        let start = self.start.get(&event.netns);
        let end = self.end.get(&event.netns);
        let is_before = start.is_some_and(|read| event.time_ns < *read.start());
        let is_after = end.is_some_and(|read| event.time_ns > *read.end());
        if is_before || is_after {
            return;
        }
        if start.is_some_and(|read| read.contains(&event.time_ns)) {
            of_netns.at_start += counts;
        } else if end.is_some_and(|read| read.contains(&event.time_ns)) {
            of_netns.at_end += counts;
        } else {
            of_netns.between += counts;
        }
    }

    /// Notes when the kernel's counters of a namespace were read at the start of the capture.
    pub fn read_at_start(&mut self, netns: u32, during_ns: &RangeInclusive<u64>) {
        self.start.insert(netns, with_lead(during_ns));
    }

    /// The same at the end.
    pub fn read_at_end(&mut self, netns: u32, during_ns: &RangeInclusive<u64>) {
        self.end.insert(netns, with_lead(during_ns));
    }

    /// Takes back a connection that was counted as opened, because filters turn out not to select it.
    pub fn drop_filtered(&mut self) {
        self.total.unopened += 1;
    }

    /// The counts of all namespaces.
    #[must_use]
    pub fn total(&self) -> TcpCounts {
        self.total.settled()
    }

    /// The namespaces in which anything was counted.
    pub fn netns(&self) -> impl Iterator<Item = u32> {
        self.by_netns.keys().copied()
    }

    /// The least and the most that the kernel may have counted in a namespace.
    #[must_use]
    pub fn bounds(&self, netns: u32) -> (TcpCounts, TcpCounts) {
        let of_netns = self.by_netns.get(&netns).cloned().unwrap_or_default();
        let mut most = of_netns.between;
        most += of_netns.at_start;
        most += of_netns.at_end;
        (of_netns.between.settled(), most.settled())
    }
}

/// The kernel counts a moment after the event (a client's only when its SYN is sent), so events shortly
/// before a reading belong to it, too.
fn with_lead(during_ns: &RangeInclusive<u64>) -> RangeInclusive<u64> {
    const LEAD_NS: u64 = 1_000_000;
    during_ns.start().saturating_sub(LEAD_NS)..=*during_ns.end()
}
