//! What a transition does to its connection: it goes on, becomes a timewait socket, or ends.

use tracer_common::{Event, state as number};

use crate::{
    tcp::reason::Reason,
    track::{
        Tracker, Transition,
        connection::{Connection, Role},
        reason::{becomes_time_wait, reason, stays_in_fin_wait2},
    },
};

impl Tracker {
    /// Keeps the connection, follows its timewait socket, or ends it; then emits the transition.
    pub(super) fn conclude(
        &mut self,
        event: &Event,
        transition: &mut Transition,
        out: &mut impl FnMut(&Transition),
    ) {
        let connection = &mut transition.connection;
        if event.new_state != number::CLOSE {
            if event.new_state == number::LISTEN {
                self.listeners.add(connection);
            }
            self.table.insert(*connection);
            out(transition);
        } else if connection.role == Role::Listener {
            self.listeners.remove(connection);
            self.end(connection.cookie);
            out(transition);
        } else if stays_in_fin_wait2(event)
            && !connection.has_reset_in_fin_wait2()
            && !connection.lacks_timewait()
        {
            connection.state = number::FIN_WAIT2;
            // The kernel reports CLOSE, but the connection stays in FIN_WAIT2: its time there goes on.
            match transition.state_ns {
                Some(spent_ns) => connection.set_since(event.time_ns.saturating_sub(spent_ns)),
                None => connection.set_at_least_since(event.time_ns),
            }
            connection.undo_leave(number::FIN_WAIT2, transition.state_ns);
            transition.is_silent = true;
            transition.new_state = number::FIN_WAIT2;
            self.follow_timewait_or_end(&mut transition.connection);
            self.timewaits.set_due(event.cookie, self.orphan_due_ns(event));
            if !self.follows_timewait {
                self.give_reason(transition, Reason::Unknown);
                out(transition);
            }
        } else if becomes_time_wait(event) && !connection.lacks_timewait() {
            let reason = reason(event, connection);
            connection.state = number::TIME_WAIT;
            connection.is_ended = true;
            transition.new_state = number::TIME_WAIT;
            self.give_reason(transition, reason);
            self.follow_timewait_or_end(&mut transition.connection);
            out(transition);
        } else {
            let reason = reason(event, connection);
            if !reason.is_orderly() {
                self.last_ended.insert(connection);
            }
            self.end(connection.cookie);
            self.give_reason(transition, reason);
            out(transition);
        }
    }

    /// The transition ends its connection for the processes.
    pub(super) fn give_reason(&self, transition: &mut Transition, reason: Reason) {
        let idle_ns = transition.connection.idle_before_end_ns(transition.time_ns, self.tick_ns);
        transition.idle_ns = idle_ns.map(|(idle_ns, error_ns)| (idle_ns, error_ns + transition.error_ns));
        transition.reason = Some(reason);
    }

    fn follow_timewait_or_end(&mut self, connection: &mut Connection) {
        if self.follows_timewait {
            connection.is_timewait = true;
            self.timewaits.add(connection);
            self.table.insert(*connection);
        } else {
            self.end(connection.cookie);
        }
    }
}
