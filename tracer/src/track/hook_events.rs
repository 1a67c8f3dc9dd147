//! What hooks tell that a kernel may lack: who accepts, what becomes of timewait sockets, and connections
//! that are half open. Without them it is inferred, or sampled.

use tracer_common::{
    Event,
    event::{gone, kind},
    state as number,
};

use crate::{
    tcp::reason::Reason,
    track::{
        Tracker, Transition,
        connection::{Connection, Role},
        owner::{Evidence, Owner},
    },
};

impl Tracker {
    /// Takes what is no transition; hands out those that it proves, and incidents as they are.
    pub(super) fn hook_event(&mut self, event: &Event, out: &mut impl FnMut(&Transition)) {
        match event.kind {
            kind::ACCEPTED => self.accepted(event),
            kind::TIME_WAIT => self.in_time_wait(event, out),
            kind::TIME_WAIT_GONE => self.time_wait_gone(event, out),
            kind::REQUEST => self.half_open(event),
            kind::REQUEST_GONE => self.half_open_gone(event, out),
            kind::RESET_SENT | kind::RESET_RECEIVED | kind::RETRANSMIT | kind::RETRANSMIT_SYNACK => {
                self.incident(event, out);
            }
            // A kind that a newer recording may have: nothing is made of it.
            _ => {}
        }
    }

    fn accepted(&mut self, event: &Event) {
        if let Some(connection) = self.table.get_mut(event.cookie) {
            let owner =
                Owner { comm: event.comm, pid: event.pid, tid: event.tid, evidence: Evidence::Accept };
            connection.owner.learn(owner);
        }
    }

    fn in_time_wait(&mut self, event: &Event, out: &mut impl FnMut(&Transition)) {
        match self.timewait_at(event.cookie) {
            Some(connection) if connection.state == number::FIN_WAIT2 => {
                self.turn_to_time_wait(&connection, event.time_ns, event.time_ns, out);
            }
            Some(_) => self.timewaits.confirm(event.cookie, event.time_ns),
            None => {}
        }
    }

    fn time_wait_gone(&mut self, event: &Event, out: &mut impl FnMut(&Transition)) {
        let Some(connection) = self.timewait_at(event.cookie) else {
            return;
        };
        if connection.state == number::TIME_WAIT && event.detail != gone::TIMEOUT {
            // It has given way to a new connection, whose events will say so; or, if there is none, a look
            // will miss it.
            self.timewaits.confirm(event.cookie, event.time_ns);
            return;
        }
        let is_timeout = event.detail == gone::TIMEOUT;
        let reason = if is_timeout { Reason::TimeoutClose } else { Reason::Unknown };
        let reason = (connection.state == number::FIN_WAIT2).then_some(reason);
        self.end_timewait(&connection, event.time_ns, event.time_ns, reason, out);
    }

    fn timewait_at(&self, cookie: u64) -> Option<Connection> {
        self.table.get(cookie).filter(|connection| connection.is_timewait).copied()
    }

    fn half_open(&mut self, event: &Event) {
        if self.table.get(event.cookie).is_some() || self.ended.contains(event.cookie) {
            return;
        }
        let mut connection = Connection::born(event, Role::Server);
        connection.state = number::NEW_SYN_RECV;
        connection.set_since(event.time_ns);
        self.inherit_owner(&mut connection);
        self.table.insert(connection);
    }

    fn half_open_gone(&mut self, event: &Event, out: &mut impl FnMut(&Transition)) {
        let known = self.table.get(event.cookie).filter(|known| known.state == number::NEW_SYN_RECV);
        let Some(mut connection) = known.copied() else {
            return;
        };
        self.forget_across_loss_gap(&mut connection);
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
        out(&Transition { state_ns, reason: Some(reason), ..Transition::of(&event, connection) });
    }

    /// A connection's socket is there: it was half open until now.
    pub(super) fn was_half_open(&self, connection: &mut Connection, now_ns: u64) {
        let before = self.table.get(connection.cookie).copied();
        if let Some(mut before) = before.filter(|before| before.state == number::NEW_SYN_RECV) {
            self.forget_across_loss_gap(&mut before);
            connection.begin_with(&before);
            // RFC 9293 knows one state for both.
            let spent_ns = before.since_ns().and_then(|since_ns| now_ns.checked_sub(since_ns));
            connection.was_in(number::SYN_RECV, spent_ns);
        }
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::event::flag;
    use zerocopy::FromZeros as _;

    use super::*;
    use crate::{facts::snapshot::Snapshot, tcp::state::LIVED_STATES};

    const COOKIE: u64 = 7;

    fn event(time_ns: u64, kind: u8, old_state: u8, new_state: u8) -> Event {
        let flags = if kind == kind::TRANSITION { 0 } else { flag::BARE };
        Event { time_ns, cookie: COOKIE, kind, old_state, new_state, flags, ..Event::new_zeroed() }
    }

    fn half_open(at_ns: u64) -> Event {
        event(at_ns, kind::REQUEST, number::NEW_SYN_RECV, number::NEW_SYN_RECV)
    }

    fn tell(tracker: &mut Tracker, event: &Event) -> Vec<Transition> {
        let mut told = Vec::new();
        tracker.event(event, &mut |transition| told.push(*transition));
        told
    }

    #[test]
    fn half_open_time_is_of_the_connection() {
        for (loss_gap_ns, spent_ns) in [(0, Some(60)), (10, None)] {
            let mut tracker = Tracker::new(true);
            tell(&mut tracker, &half_open(10));
            tracker.lost(loss_gap_ns);
            tell(&mut tracker, &event(60, kind::TRANSITION, number::LISTEN, number::SYN_RECV));
            let told =
                tell(&mut tracker, &event(70, kind::TRANSITION, number::SYN_RECV, number::ESTABLISHED));
            let index = LIVED_STATES.iter().position(|state| *state == number::SYN_RECV).unwrap();
            assert_eq!(told[0].state_ns, Some(10));
            assert_eq!(told[0].connection.spent_ns(index), spent_ns);
            assert_eq!(told[0].connection.born_ns(), Some(10));
        }
    }

    /// No socket tells of its user and its counters.
    #[test]
    fn what_is_half_open_has_nothing_but_its_ends() {
        let mut tracker = Tracker::new(true);
        tell(&mut tracker, &half_open(10));
        let again = Event { kind: kind::RETRANSMIT_SYNACK, time_ns: 20, ..half_open(10) };
        let told = tell(&mut tracker, &again);
        assert!(told[0].connection.is_bare() && told[0].flags & flag::BARE != 0);
        tell(&mut tracker, &event(60, kind::TRANSITION, number::LISTEN, number::SYN_RECV));
        assert!(!tracker.get(COOKIE).unwrap().is_bare());
    }

    /// A look does not find it. As long as SYN-ACKs may come it is there.
    #[test]
    fn what_is_half_open_is_not_missed_at_once() {
        let second = 1_000_000_000;
        for (looked_ns, gone) in [(second, 0), (60 * second, 0), (300 * second, 1)] {
            let mut tracker = Tracker::new(true);
            tell(&mut tracker, &half_open(10));
            let netns = [0].into();
            let snapshot = Snapshot { during_ns: (looked_ns, looked_ns), netns, ..Snapshot::default() };
            assert_eq!(tracker.retire(&snapshot), gone);
        }
    }
}
