//! Which connection an event belongs to, and which one it has put an end to.

use tracer_common::{Event, state as number};

use crate::{
    tcp::{reason::Reason, state::is_birth},
    track::{
        Tracker, Transition,
        connection::{Connection, Role},
        learn::role_at_birth,
        owner::Owner,
    },
};

impl Tracker {
    /// The connection that the event belongs to: known, born with it, or seen for the first time.
    pub(super) fn connection_of(&mut self, event: &Event) -> Option<Connection> {
        if is_birth(event.old_state, event.new_state) {
            let role = role_at_birth(event);
            let mut connection = Connection::born(event, role);
            if role == Role::Server {
                self.inherit_owner(&mut connection);
                self.was_half_open(&mut connection, event.time_ns);
            }
            // A socket that is used again; or one that was found waiting before its birth was told.
            if self.table.get(event.cookie).is_some_and(|before| before.is_timewait) {
                self.timewaits.remove(event.cookie);
            }
            return Some(connection);
        }
        let mut connection = match self.table.get(event.cookie) {
            // Nothing happens to a full socket that is none any more. But one that was found waiting
            // may have more to tell: what happened before, and the handing over itself, which the
            // kernel tells of a moment after the timewait socket is there.
            Some(connection) if connection.is_ended => return None,
            Some(connection) if connection.is_timewait => {
                let mut connection = *connection;
                connection.is_timewait = false;
                self.timewaits.remove(event.cookie);
                connection
            }
            Some(connection) => *connection,
            None if self.ended.contains(event.cookie) => return None,
            None => self.older(event),
        };
        connection.renew(event);
        Some(connection)
    }

    /// A socket that is older than the tracer, and that the snapshot has missed.
    fn older(&self, event: &Event) -> Connection {
        let mut connection = Connection::first_seen(event);
        connection.role =
            if event.old_state == number::LISTEN { Role::Listener } else { self.role_of(event) };
        if connection.role == Role::Server {
            self.inherit_owner(&mut connection);
        }
        connection
    }

    /// Until its own process is known, a server's connection is its listener's.
    pub(super) fn inherit_owner(&self, connection: &mut Connection) {
        let owner = self.listeners.owner_of(&connection.tuple);
        connection.owner = owner.map(Owner::inherited).unwrap_or_default();
    }

    /// A connection with the addresses and ports of one in TIME_WAIT proves that one's end.
    pub(super) fn end_reused_timewait(
        &mut self,
        event: &Event,
        connection: &Connection,
        out: &mut impl FnMut(&Transition),
    ) -> bool {
        if !may_end_another(event) || connection.tuple.local_port == 0 {
            return false;
        }
        let old = self.timewaits.at(&connection.tuple).filter(|old| *old != event.cookie);
        let old =
            old.and_then(|old| self.table.get(old)).filter(|old| old.tuple == connection.tuple).copied();
        let Some(old) = old else {
            return false;
        };
        // It gave way to the SYN, a handshake ago at the most.
        let confirmed_ns = self.timewaits.confirmed_ns(old.cookie).unwrap_or(old.last_ns);
        let reason = (old.state == number::FIN_WAIT2).then_some(Reason::Unknown);
        let mut out = |transition: &Transition| out(&Transition { is_reuse: true, ..*transition });
        self.end_timewait(&old, event.time_ns, confirmed_ns, reason, &mut out);
        true
    }
}

/// Whether the event is of a connection that has just got its tuple, which one in TIME_WAIT may have
/// had.
pub(super) fn may_end_another(event: &Event) -> bool {
    event.new_state == number::SYN_RECV || event.old_state == number::SYN_SENT
}
