//! Finding connections that stay in a state too long, while they are in it.

use crate::{
    tcp::limits::Limits,
    track::{Tracker, Transition, connection::Connection, holders::PATIENCE_NS},
};

/// When to check a connection again whose state is in doubt after lost events, in nanoseconds.
const RECHECK_NS: u64 = 250_000_000;

impl Connection {
    /// Nanoseconds in its state, if that is longer than `limits` allow. If it had no event since events were
    /// lost (`loss_gap_ns`), it may have left the state unseen, so only the time up to its last event counts.
    #[must_use]
    pub fn stuck_ns(&self, limits: &Limits, now_ns: u64, loss_gap_ns: u64) -> Option<u64> {
        let limit_ns = limits.of(self.state)?;
        let stay_ns = self.waits_ns(now_ns, loss_gap_ns);
        (stay_ns >= limit_ns).then_some(stay_ns)
    }

    /// How long it has been waiting for the peer at `now_ns`, as far as is known after a loss of events at `loss_gap_ns`, in
    /// nanoseconds.
    #[must_use]
    pub fn waits_ns(&self, now_ns: u64, loss_gap_ns: u64) -> u64 {
        let known_ns = if self.last_ns > loss_gap_ns { now_ns } else { self.last_ns };
        known_ns.saturating_sub(self.waits_from_ns())
    }
}

impl Tracker {
    /// Emits the connections that have been in their state for longer than `limits` allow, each once per
    /// state. One counts as reported when `out` returns true. Returns when the next may be due: at the
    /// latest after the shortest limit, because connections enter states in the meantime.
    pub fn stuck(
        &mut self,
        limits: &Limits,
        now_ns: u64,
        out: &mut impl FnMut(&Transition) -> bool,
    ) -> Option<u64> {
        let mut next_ns = now_ns.saturating_add(limits.shortest()?);
        let loss_gap_ns = self.loss_gap_ns;
        let (expects_holders, holders_ns) = (self.expects_holders, self.holders_ns);
        let (patience_ns, next_holders_ns) = (self.patience_ns, self.next_holders_ns);
        let looked_ns = self.refreshed_ns;
        (self.wants_holders_ns, self.wants_look_ns) = (None, None);
        for connection in self.table.iter_mut() {
            let Some(limit_ns) = limits.of(connection.state) else {
                continue;
            };
            if connection.stuck_reported_in == connection.state {
                continue;
            }
            if let Some(stuck_ns) = connection.stuck_ns(limits, now_ns, loss_gap_ns) {
                // Its line says who holds it now, and what is in its queues.
                let due_ns = connection.waits_from_ns().saturating_add(limit_ns);
                let is_asked = expects_holders && connection.may_have_holders() && holders_ns < due_ns;
                let is_seen = looked_ns >= due_ns || !connection.has_queues();
                let is_looked_at = expects_holders && (connection.needs_a_look() || !is_seen);
                // Without a look it is not known whether anything was sent.
                let is_vital = connection.needs_a_look() && !is_asked;
                let waits_until_ns = due_ns.saturating_add(if is_vital { PATIENCE_NS } else { patience_ns });
                // Where a search takes long, the next one comes too late.
                let may_be_told = is_asked && next_holders_ns < waits_until_ns;
                if (may_be_told || is_looked_at) && now_ns < waits_until_ns {
                    self.wants_holders_ns = may_be_told.then_some(now_ns).or(self.wants_holders_ns);
                    self.wants_look_ns = is_looked_at.then_some(now_ns).or(self.wants_look_ns);
                    next_ns = next_ns.min(now_ns + RECHECK_NS);
                } else if out(&stay(connection, now_ns, stuck_ns, is_asked)) {
                    connection.stuck_reported_in = connection.state;
                }
            } else {
                // After a loss it may be due already, but in doubt: it is checked again soon.
                let due_ns = connection.waits_from_ns().saturating_add(limit_ns);
                next_ns = next_ns.min(due_ns.max(now_ns + RECHECK_NS));
            }
        }
        Some(next_ns)
    }

    /// A connection that was emitted as stuck is no more, though it is in the same state. It may be emitted again.
    pub fn forget_stuck(&mut self, cookie: u64) {
        if let Some(connection) = self.table.get_mut(cookie) {
            connection.stuck_reported_in = 0;
        }
    }

    /// The connections that were emitted as stuck and still are, as they would be emitted now.
    pub fn told_stuck(&self, limits: &Limits, now_ns: u64) -> impl Iterator<Item = Transition> {
        let was_told = |connection: &&Connection| connection.stuck_reported_in == connection.state;
        self.table.iter().filter(was_told).filter_map(move |connection| {
            let stuck_ns = connection.stuck_ns(limits, now_ns, self.loss_gap_ns)?;
            Some(stay(connection, now_ns, stuck_ns, false))
        })
    }

    /// When a line about a stuck connection began to wait for a look at its socket, in nanoseconds.
    #[must_use]
    pub fn wants_look(&self) -> Option<u64> {
        self.wants_look_ns
    }
}

/// A transition from the state to itself, which stands for a stuck connection.
/// `is_unanswered`: nobody has told in time who holds it.
fn stay(connection: &Connection, now_ns: u64, stuck_ns: u64, is_unanswered: bool) -> Transition {
    let mut connection = *connection;
    if is_unanswered {
        connection.doubt_owner();
    }
    let state = connection.state;
    Transition {
        state_ns: connection.since_ns().map(|since_ns| stuck_ns + (connection.waits_from_ns() - since_ns)),
        stuck_ns: Some(stuck_ns),
        ..Transition::without_event(connection, now_ns, state, state)
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::{Event, state as number};
    use zerocopy::FromZeros as _;

    use super::*;
    use crate::facts::holders::Holders;

    const SECOND: u64 = 1_000_000_000;

    /// When the line of a connection that is stuck after 10 s is told, to a second, and whether its owner is doubtful.
    /// Each second the socket is looked at. Nobody answers who holds it; the next search is allowed at `next_s`.
    fn told(next_s: u64) -> (u64, bool) {
        let mut limits = Limits::default();
        limits.set(&["ESTABLISHED=10s".parse().unwrap()]);
        let mut tracker = Tracker::new(true).with_holders(true);
        let (old_state, new_state) = (number::SYN_SENT, number::ESTABLISHED);
        let owned = Event {
            time_ns: 1,
            cookie: 7,
            pid: 70,
            flags: tracer_common::event::flag::OWNED,
            ..Event::new_zeroed()
        };
        tracker.event(&Event { old_state, new_state, ..owned }, &mut |_| {});
        let mut search = Holders::new((0, 0), Vec::new(), true);
        search.next_ns = next_s * SECOND;
        tracker.merge_holders(&search);
        for at_s in 1..30 {
            let (mut is_doubtful, now_ns) = (None, at_s * SECOND + 2);
            tracker.refresh(&[Event { time_ns: now_ns, new_state, ..owned }], false);
            tracker.stuck(&limits, now_ns, &mut |line| {
                is_doubtful = Some(line.connection.has_doubtful_owner());
                true
            });
            if let Some(is_doubtful) = is_doubtful {
                return (at_s, is_doubtful);
            }
        }
        panic!("not told");
    }

    #[test]
    fn a_line_waits_for_a_search_that_may_come_in_time_and_for_no_other() {
        assert_eq!(told(0), (13, true));
        assert_eq!(told(12), (13, true));
        assert_eq!(told(14), (10, true));
    }
}
