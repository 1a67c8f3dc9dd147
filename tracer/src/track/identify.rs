//! Finding the connection that an event belongs to, and the TIME_WAIT connection that it replaces.

use tracer_common::{Event, event::flag, state as number};

use crate::{
    tcp::state::is_birth,
    track::{
        Tracker, Transition,
        connection::{Connection, Role},
        learn::{role_at_birth, role_of},
        owner::Owner,
        reason::orphan_reason,
    },
};

impl Tracker {
    /// The connection of an event: known, born with it, or seen for the first time. `None` for a late event
    /// of one that has ended.
    pub(super) fn connection_of(&mut self, event: &Event) -> Option<Connection> {
        if is_birth(event.old_state, event.new_state) {
            let role = role_at_birth(event);
            let mut connection = Connection::born(event, role);
            if role == Role::Server {
                self.inherit_owner(event, &mut connection);
                self.take_over_half_open(&mut connection, event.time_ns);
            }
            // A socket that connects again; or one that a sample found before its birth was reported.
            if self.table.get(event.cookie).is_some_and(|before| before.is_timewait) {
                self.timewaits.remove(event.cookie);
            }
            return Some(connection);
        }
        let mut connection = match self.table.get(event.cookie) {
            Some(connection) if connection.is_ended => return None,
            // A snapshot found the timewait socket before the events that led to it were read: the kernel
            // reports `-> CLOSE` a moment after it has made the timewait socket.
            Some(connection) if connection.is_timewait => {
                let mut connection = *connection;
                connection.is_timewait = false;
                self.timewaits.remove(event.cookie);
                connection
            }
            Some(connection) => *connection,
            None if self.recently_ended.contains(event.cookie) => return None,
            None => seen_late(event),
        };
        connection.renew(event);
        Some(connection)
    }

    /// Gives a connection that begins with `event` the owner of its listener, until its own process is known.
    pub(super) fn inherit_owner(&self, event: &Event, connection: &mut Connection) {
        let owner = match event.listener_cookie() {
            // Another listener may have been chosen than the one at this address.
            0 if event.flags & flag::LOOKUP != 0 => None,
            0 => self.listeners.owner_of(connection),
            listener => self.table.get(listener).map(|listener| listener.owner),
        };
        connection.owner = owner.map(Owner::inherited).unwrap_or_default();
    }

    /// Ends the timewait connection whose addresses and ports a new connection has. Returns whether there was
    /// one.
    pub(super) fn end_reused_timewait(
        &mut self,
        event: &Event,
        connection: &Connection,
        out: &mut impl FnMut(&Transition),
    ) -> bool {
        if !may_end_another(event) || connection.tuple.local_port == 0 {
            return false;
        }
        let old = self.timewaits.find_by_tuple(&connection.tuple).filter(|old| *old != event.cookie);
        let old =
            old.and_then(|old| self.table.get(old)).filter(|old| old.tuple == connection.tuple).copied();
        let Some(old) = old else {
            return false;
        };
        // It ended at the SYN, so at most one handshake ago.
        let confirmed_ns = self.timewaits.confirmed_ns(old.cookie).unwrap_or(old.last_ns);
        // An orphan in FIN_WAIT2 only acknowledges a SYN, so a FIN, an RST or its timer had ended that state before.
        let reason = orphan_reason(&old, event.time_ns, self.due_ns(&old, None));
        let mut out = |transition: &Transition| out(&Transition { is_reuse: true, ..*transition });
        self.end_timewait(&old, event.time_ns, confirmed_ns, reason, &mut out);
        true
    }
}

/// A socket that is older than the tracer and was in no snapshot.
fn seen_late(event: &Event) -> Connection {
    let mut connection = Connection::first_seen(event);
    connection.role = if event.old_state == number::LISTEN { Role::Listener } else { role_of(event) };
    connection
}

/// Whether the event is from a connection that has just got its addresses and ports, which a connection in
/// TIME_WAIT may have had.
pub(super) fn may_end_another(event: &Event) -> bool {
    event.new_state == number::SYN_RECV || event.old_state == number::SYN_SENT
}
