//! Incidents: resets and retransmissions.

use tracer_common::{
    Event,
    event::{flag, kind},
    state as number,
};

use crate::{
    tcp::{endpoint::Tuple, reason::Reason, reset::Reset},
    track::{
        Tracker, Transition,
        connection::{Connection, Role},
        learn::{learn_owner, role_of},
    },
};

impl Tracker {
    /// Emits a reset or retransmission with its connection. It never adds a connection to the table, because
    /// that may have ended, or may never have existed.
    pub(super) fn incident(&mut self, event: &Event, out: &mut impl FnMut(&Transition)) {
        let known =
            Some(event.cookie).filter(|cookie| *cookie != 0).and_then(|cookie| self.table.get(cookie));
        let known = known.copied();
        let is_bare = event.flags & flag::BARE != 0;
        let ended = || self.ended_connection(event);
        let remembered = known.or_else(ended);
        let mut connection = remembered.unwrap_or_else(|| self.unknown_connection(event));
        if !is_bare && !connection.is_timewait {
            connection.renew(event);
        }
        let confirmed_before_ns = connection.last_ns;
        note(event, &mut connection);
        if known.is_some() {
            connection.last_ns = connection.last_ns.max(event.time_ns);
            self.table.insert(connection);
        }
        let Event { time_ns, kind, detail, old_state, new_state, .. } = *event;
        out(&if is_bare && remembered.is_some() {
            // The table knows more than a request or timewait socket shows, or a segment without a socket.
            Transition {
                kind,
                detail,
                ..Transition::without_event(connection, time_ns, old_state, new_state)
            }
        } else {
            Transition::of(event, connection)
        });
        // Data has arrived for an orphan. The kernel answers with an RST and drops its timewait socket. If a
        // full socket sent the RST, there was no timewait socket, and the connection has just closed.
        if connection.is_timewait && connection.state == number::FIN_WAIT2 && event.kind == kind::RESET_SENT {
            let confirmed_ns = if is_bare { event.time_ns } else { confirmed_before_ns };
            self.end_timewait(
                &connection,
                event.time_ns,
                confirmed_ns,
                Some(Reason::ResetLocalLateData),
                out,
            );
        }
    }

    /// The connection of a socket in CLOSE, or of a segment that has come too late for its socket.
    fn ended_connection(&self, event: &Event) -> Option<Connection> {
        let is_without_socket = event.cookie == 0 && event.old_state == number::CLOSE;
        let ended = if is_without_socket && event.flags & flag::ANSWERS_SYN != 0 {
            // The peer opens a new connection.
            None
        } else if is_without_socket {
            self.last_ended.find_by_tuple(&Tuple::of(event), event.time_ns)
        } else {
            self.last_ended.find(event.cookie).filter(|_| event.cookie != 0)
        };
        ended.copied()
    }

    /// A connection of which nothing but this event is known.
    fn unknown_connection(&self, event: &Event) -> Connection {
        let mut connection = Connection::first_seen(event);
        if matches!(event.old_state, number::NEW_SYN_RECV | number::LISTEN) {
            connection.role = Role::Server;
        } else if event.flags & flag::BARE == 0 {
            connection.role = role_of(event);
        }
        if connection.role == Role::Server {
            self.inherit_owner(event, &mut connection);
        }
        // In CLOSE the current task is the owner, which closed its own socket: `ss -K` sends its RST before
        // the socket is in CLOSE.
        if event.old_state == number::CLOSE {
            learn_owner(event, &mut connection);
        }
        connection
    }
}

fn note(event: &Event, connection: &mut Connection) {
    let direction = match event.kind {
        kind::RESET_SENT => Reset::Sent,
        kind::RESET_RECEIVED => Reset::Received,
        kind::RETRANSMIT | kind::RETRANSMIT_SYNACK => {
            connection.retransmitted_ns = event.time_ns;
            return;
        }
        _ => return,
    };
    (connection.reset, connection.reset_in, connection.reset_reason) =
        (direction, event.old_state, event.detail);
}

#[cfg(test)]
mod tests {
    use zerocopy::FromZeros as _;

    use super::*;

    const FULL: u64 = 1;

    fn event(time_ns: u64, kind: u8, old_state: u8, new_state: u8) -> Event {
        let flags = flag::DEAD;
        Event { time_ns, cookie: FULL, kind, old_state, new_state, flags, shutdown: 3, ..Event::new_zeroed() }
    }

    /// The kernel reports `FIN_WAIT2 -> CLOSE` without an error in both cases.
    #[test]
    fn an_orphan_that_sends_rst_gets_no_timewait_socket() {
        let closing = [
            event(1, kind::TRANSITION, number::ESTABLISHED, number::FIN_WAIT1),
            event(2, kind::TRANSITION, number::FIN_WAIT1, number::FIN_WAIT2),
        ];
        let rst = event(3, kind::RESET_SENT, number::FIN_WAIT2, number::FIN_WAIT2);
        let close = event(3, kind::TRANSITION, number::FIN_WAIT2, number::CLOSE);
        for (rst, reason) in [(None, None), (Some(rst), Some(Reason::TimeoutClose))] {
            let mut tracker = Tracker::new(true);
            let mut emitted = Vec::new();
            for event in closing.iter().chain(&rst).chain([&close]) {
                tracker
                    .event(event, &mut |transition| emitted.push((transition.new_state, transition.reason)));
            }
            assert_eq!(tracker.has_timewait(), reason.is_none());
            assert_eq!(emitted.contains(&(number::CLOSE, reason)), reason.is_some(), "{emitted:?}");
        }
    }
}
