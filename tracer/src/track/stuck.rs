//! Finding the connections that have been in a state too long, while they are there.

use crate::{
    tcp::limits::Limits,
    track::{Tracker, Transition, connection::Connection},
};

/// When to look again at connections that are in doubt after a loss, in nanoseconds.
const DOUBT_NS: u64 = 250_000_000;

impl Connection {
    /// How long it has been stuck, in nanoseconds: in a state for longer than `limits` allow. Who was
    /// not heard of since events were lost, at `loss_gap_ns`, may have left the state unseen since then.
    #[must_use]
    pub fn stuck_ns(&self, limits: &Limits, now_ns: u64, loss_gap_ns: u64) -> Option<u64> {
        let limit_ns = limits.of(self.state)?;
        let known_ns = if self.last_ns > loss_gap_ns { now_ns } else { self.last_ns };
        let stay_ns = known_ns.saturating_sub(self.in_state_from_ns());
        (stay_ns >= limit_ns).then_some(stay_ns)
    }
}

impl Tracker {
    /// Hands out the connections that have been in their state longer than `limits` allow, once for
    /// each stay. Gives when there may be the next: what enters a state later cannot be due before
    /// the shortest limit has passed.
    pub fn stuck(
        &mut self,
        limits: &Limits,
        now_ns: u64,
        out: &mut impl FnMut(&Transition) -> bool,
    ) -> Option<u64> {
        let mut next_ns = now_ns.saturating_add(limits.shortest()?);
        let loss_gap_ns = self.loss_gap_ns;
        for connection in self.table.iter_mut() {
            let Some(limit_ns) = limits.of(connection.state) else {
                continue;
            };
            if connection.told_stuck == connection.state {
                continue;
            }
            if let Some(stuck_ns) = connection.stuck_ns(limits, now_ns, loss_gap_ns) {
                if out(&stay(connection, now_ns, stuck_ns)) {
                    connection.told_stuck = connection.state;
                }
            } else {
                // In a moment, if it is in doubt: it will be looked at again.
                let due_ns = connection.in_state_from_ns().saturating_add(limit_ns);
                next_ns = next_ns.min(due_ns.max(now_ns + DOUBT_NS));
            }
        }
        Some(next_ns)
    }
}

/// A stay that goes on, told as a transition from the state to itself.
fn stay(connection: &Connection, now_ns: u64, stuck_ns: u64) -> Transition {
    let state = connection.state;
    Transition {
        state_ns: connection.since_ns().map(|_| stuck_ns),
        stuck_ns: Some(stuck_ns),
        ..Transition::found(*connection, now_ns, state, state)
    }
}
