//! What happened, counted as the kernel counts it in `/proc/net/snmp`, to be held against that.

use std::ops::RangeInclusive;

use hashbrown::HashMap;
use tracer_common::{Event, event::flag, state as number};

use crate::facts::counts::TcpCounts;

/// What one event adds to the counters.
fn counted(event: &Event) -> TcpCounts {
    let is = |old: u8, new: u8| event.old_state == old && event.new_state == new;
    // `tcp_close` and `tcp_disconnect` set the state by themselves, past `tcp_done`, which is
    // what counts; both run in the owner's call and leave no error.
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

/// Counts of one namespace.
#[derive(Clone, Debug, Default)]
struct NetnsCounts {
    /// All events.
    all: TcpCounts,
    /// Those while the kernel's counters were being read at the start.
    at_start: TcpCounts,
    /// Those while they were being read at the end.
    at_end: TcpCounts,
}

/// Counts of all namespaces, within the time over which the kernel's counters are compared.
#[derive(Debug, Default)]
pub struct Tally {
    by_netns: HashMap<u32, NetnsCounts>,
    total: TcpCounts,
    start: HashMap<u32, RangeInclusive<u64>>,
    end: HashMap<u32, RangeInclusive<u64>>,
}

impl Tally {
    /// Counts an event.
    pub fn count(&mut self, event: &Event) {
        let counts = counted(event);
        if counts == TcpCounts::default() {
            return;
        }
        self.total += counts;
        let of = self.by_netns.entry(event.netns).or_default();
        let start = self.start.get(&event.netns);
        let end = self.end.get(&event.netns);
        let is_before = start.is_some_and(|read| event.time_ns < *read.start());
        let is_after = end.is_some_and(|read| event.time_ns > *read.end());
        if is_before || is_after {
            return;
        }
        if start.is_some_and(|read| read.contains(&event.time_ns)) {
            of.at_start += counts;
        } else if end.is_some_and(|read| read.contains(&event.time_ns)) {
            of.at_end += counts;
        } else {
            of.all += counts;
        }
    }

    /// The kernel's counters of the namespace were read during this time, at the start.
    pub fn read_at_start(&mut self, netns: u32, during_ns: &RangeInclusive<u64>) {
        self.start.insert(netns, with_lead(during_ns));
    }

    /// The same at the end.
    pub fn read_at_end(&mut self, netns: u32, during_ns: &RangeInclusive<u64>) {
        self.end.insert(netns, with_lead(during_ns));
    }

    /// A connection that was opened turns out to be none of those that filters ask for.
    pub fn drop_filtered(&mut self) {
        self.total.unopened += 1;
    }

    /// Everything that was counted.
    #[must_use]
    pub fn total(&self) -> TcpCounts {
        self.total.settled()
    }

    /// The namespaces in which anything was counted.
    pub fn netns(&self) -> impl Iterator<Item = u32> {
        self.by_netns.keys().copied()
    }

    /// The least and the most that the kernel may have counted in the namespace.
    #[must_use]
    pub fn bounds(&self, netns: u32) -> (TcpCounts, TcpCounts) {
        let of = self.by_netns.get(&netns).cloned().unwrap_or_default();
        let mut most = of.all;
        most += of.at_start;
        most += of.at_end;
        (of.all.settled(), most.settled())
    }
}

/// The kernel counts a moment after the event: when the SYN has gone.
fn with_lead(during_ns: &RangeInclusive<u64>) -> RangeInclusive<u64> {
    const LEAD_NS: u64 = 1_000_000;
    during_ns.start().saturating_sub(LEAD_NS)..=*during_ns.end()
}
