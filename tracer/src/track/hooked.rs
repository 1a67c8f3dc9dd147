//! What hooks tell that a kernel may lack: who accepts, what becomes of timewait sockets, and connections
//! that are half open. Without them it is inferred, or sampled.

use tracer_common::{
    Event,
    event::{gone, kind},
    state as number,
};

use crate::track::{
    Tracked, Tracker,
    connection::{Connection, Role},
    owner::{Owner, Source},
    reason::Reason,
};

impl Tracker {
    /// Takes what is no transition; hands out those that it proves, and incidents as they are.
    pub(super) fn hooked(&mut self, event: &Event, out: &mut impl FnMut(&Tracked)) {
        match event.kind {
            kind::ACCEPTED => self.accepted(event),
            kind::TIME_WAIT => self.in_time_wait(event, out),
            kind::TIME_WAIT_GONE => self.time_wait_gone(event, out),
            kind::REQUEST => self.half_open(event),
            kind::REQUEST_GONE => self.half_open_gone(event, out),
            _ => self.incident(event, out),
        }
    }

    fn accepted(&mut self, event: &Event) {
        if let Some(connection) = self.table.get_mut(event.cookie) {
            let owner = Owner { comm: event.comm, pid: event.pid, tid: event.tid, source: Source::Accept };
            connection.owner.learn(owner);
        }
    }

    fn in_time_wait(&mut self, event: &Event, out: &mut impl FnMut(&Tracked)) {
        match self.waiting_at(event.cookie) {
            Some(connection) if connection.state == number::FIN_WAIT2 => {
                self.turn_to_time_wait(&connection, event.time_ns, event.time_ns, out);
            }
            Some(_) => self.waiting.confirm(event.cookie, event.time_ns),
            None => {}
        }
    }

    fn time_wait_gone(&mut self, event: &Event, out: &mut impl FnMut(&Tracked)) {
        let Some(connection) = self.waiting_at(event.cookie) else {
            return;
        };
        if connection.state == number::TIME_WAIT && event.detail != gone::TIMEOUT {
            // It has given way to a new connection, whose events will say so; or, if there is none, a look
            // will miss it.
            self.waiting.confirm(event.cookie, event.time_ns);
            return;
        }
        let is_timeout = event.detail == gone::TIMEOUT;
        let reason = if is_timeout { Reason::TimeoutClose } else { Reason::Unknown };
        let reason = (connection.state == number::FIN_WAIT2).then_some(reason);
        self.end_waiting(&connection, event.time_ns, event.time_ns, reason, out);
    }

    fn waiting_at(&self, cookie: u64) -> Option<Connection> {
        self.table.get(cookie).filter(|connection| connection.is_waiting).copied()
    }

    fn half_open(&mut self, event: &Event) {
        if self.table.get(event.cookie).is_some() || self.ended.contains(event.cookie) {
            return;
        }
        let mut connection = Connection::born(event, Role::Server);
        connection.state = number::NEW_SYN_RECV;
        connection.set_since(event.time_ns);
        let owner = self.listeners.owner_of(&connection.tuple);
        connection.owner = owner.map(Owner::inherited).unwrap_or_default();
        self.table.insert(connection);
    }

    fn half_open_gone(&mut self, event: &Event, out: &mut impl FnMut(&Tracked)) {
        let known = self.table.get(event.cookie).filter(|known| known.state == number::NEW_SYN_RECV);
        let Some(mut connection) = known.copied() else {
            return;
        };
        self.forget_across_hole(&mut connection);
        let state_ns = connection.leave(event.time_ns);
        connection.state = number::CLOSE;
        connection.last_ns = event.time_ns;
        self.forget(event.cookie);
        let reason = match event.detail {
            gone::TIMEOUT => Reason::TimeoutConnect,
            gone::LISTENER_GONE => Reason::NeverAccepted,
            _ => Reason::ResetRemote,
        };
        let event = Event { kind: kind::TRANSITION, detail: 0, new_state: number::CLOSE, ..*event };
        out(&Tracked { state_ns, reason: Some(reason), ..Tracked::plain(event, connection) });
    }

    /// A connection's socket is there: it was half open until now.
    pub(super) fn was_half_open(&self, connection: &mut Connection, now_ns: u64) {
        let before = self.table.get(connection.cookie);
        if let Some(before) = before.filter(|before| before.state == number::NEW_SYN_RECV) {
            connection.begin_with(before);
            // RFC 9293 knows one state for both.
            let spent_ns = before.since_ns().and_then(|since_ns| now_ns.checked_sub(since_ns));
            connection.stay(number::SYN_RECV, spent_ns);
        }
    }
}
