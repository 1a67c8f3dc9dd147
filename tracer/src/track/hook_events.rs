//! Events of optional hooks: accepted connections, timewait sockets and half-open connections. Where the
//! kernel lacks a hook, its facts are inferred, sampled or not known.

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
    /// Takes an event that is not a transition. Emits the transitions that it proves; emits resets and
    /// retransmissions as they are.
    pub(super) fn hook_event(&mut self, event: &Event, out: &mut impl FnMut(&Transition)) {
        match event.kind {
            kind::ACCEPTED => self.accepted(event),
            kind::TIME_WAIT => self.entered_time_wait(event, out),
            kind::TIME_WAIT_GONE => self.timewait_ended(event, out),
            kind::NO_TIME_WAIT => self.no_timewait_socket(event),
            kind::REQUEST => self.half_open(event),
            kind::REQUEST_GONE => self.half_open_ended(event, out),
            kind::RESET_SENT | kind::RESET_RECEIVED | kind::RETRANSMIT | kind::RETRANSMIT_SYNACK => {
                self.incident(event, out);
            }
            // An unknown kind, from a newer recording.
            _ => {}
        }
    }

    fn accepted(&mut self, event: &Event) {
        if let Some(connection) = self.table.get_mut(event.cookie) {
            connection.owner.learn(Owner::of(event, Evidence::Accept));
            // A search that is under way may not have found it yet.
            connection.last_ns = connection.last_ns.max(event.time_ns);
        }
    }

    fn entered_time_wait(&mut self, event: &Event, out: &mut impl FnMut(&Transition)) {
        match self.timewait_socket(event.cookie) {
            Some(connection) if connection.state == number::FIN_WAIT2 => {
                self.turn_to_time_wait(&connection, event.time_ns, event.time_ns, out);
            }
            Some(_) => self.timewaits.confirm(event.cookie, event.time_ns),
            None => {}
        }
    }

    fn no_timewait_socket(&mut self, event: &Event) {
        if let Some(connection) = self.table.get_mut(event.cookie) {
            connection.set_lacks_timewait();
        }
    }

    fn timewait_ended(&mut self, event: &Event, out: &mut impl FnMut(&Transition)) {
        let Some(connection) = self.timewait_socket(event.cookie) else {
            return;
        };
        if connection.state == number::TIME_WAIT && event.detail != gone::TIMEOUT {
            // A new connection with the same addresses and ports has replaced it, and its events will end
            // this one. Or an RST has ended it (RFC 1337): the next samples will not find this one.
            self.timewaits.set_gone(event.cookie, event.time_ns);
            return;
        }
        let is_timeout = event.detail == gone::TIMEOUT;
        let reason = if is_timeout { Reason::TimeoutClose } else { Reason::Unknown };
        let reason = (connection.state == number::FIN_WAIT2).then_some(reason);
        self.end_timewait(&connection, event.time_ns, event.time_ns, reason, out);
    }

    fn timewait_socket(&self, cookie: u64) -> Option<Connection> {
        self.table.get(cookie).filter(|connection| connection.is_timewait).copied()
    }

    fn half_open(&mut self, event: &Event) {
        if self.table.get(event.cookie).is_some() || self.recently_ended.contains(event.cookie) {
            return;
        }
        let mut connection = Connection::born(event, Role::Server);
        connection.state = number::NEW_SYN_RECV;
        connection.set_since(event.time_ns);
        self.inherit_owner(event, &mut connection);
        self.table.insert(connection);
    }

    fn half_open_ended(&mut self, event: &Event, out: &mut impl FnMut(&Transition)) {
        let known = self.table.get(event.cookie).filter(|known| known.state == number::NEW_SYN_RECV);
        let Some(mut connection) = known.copied() else {
            return;
        };
        self.forget_across_loss_gap(&mut connection);
        let state_ns = connection.leave(event.time_ns);
        connection.state = number::CLOSE;
        connection.last_ns = event.time_ns;
        self.end(event.cookie);
        let reason = match event.detail {
            gone::TIMEOUT => Reason::TimeoutConnect,
            gone::LISTENER_GONE => Reason::NeverAccepted,
            _ => Reason::ResetRemote,
        };
        let event = Event { kind: kind::TRANSITION, detail: 0, new_state: number::CLOSE, ..*event };
        out(&Transition { state_ns, reason: Some(reason), ..Transition::of(&event, connection) });
    }

    /// Takes over birth and duration of the half-open connection that has now got a full socket.
    pub(super) fn take_over_half_open(&self, connection: &mut Connection, now_ns: u64) {
        let request = self.table.get(connection.cookie).copied();
        if let Some(mut request) = request.filter(|request| request.state == number::NEW_SYN_RECV) {
            self.forget_across_loss_gap(&mut request);
            connection.inherit_birth(&request);
            // The request knew the listener that it came from.
            connection.owner = request.owner;
            // RFC 9293 has one state, SYN-RECEIVED, for the kernel's NEW_SYN_RECV and SYN_RECV.
            let spent_ns = request.since_ns().and_then(|since_ns| now_ns.checked_sub(since_ns));
            connection.add_spent(number::SYN_RECV, spent_ns);
        }
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::event::flag;
    use zerocopy::FromZeros as _;

    use super::*;
    use crate::{
        facts::snapshot::{Snapshot, TimewaitSample},
        tcp::{netns::NetnsId, state::LIVED_STATES},
    };

    const COOKIE: u64 = 7;

    fn event(time_ns: u64, kind: u8, old_state: u8, new_state: u8) -> Event {
        let flags = if kind == kind::TRANSITION { 0 } else { flag::BARE };
        Event { time_ns, cookie: COOKIE, kind, old_state, new_state, flags, ..Event::new_zeroed() }
    }

    fn half_open(at_ns: u64) -> Event {
        event(at_ns, kind::REQUEST, number::NEW_SYN_RECV, number::NEW_SYN_RECV)
    }

    fn feed(tracker: &mut Tracker, event: &Event) -> Vec<Transition> {
        let mut emitted = Vec::new();
        tracker.event(event, &mut |transition| emitted.push(*transition));
        emitted
    }

    #[test]
    fn time_half_open_counts_for_the_connection() {
        for (loss_gap_ns, spent_ns) in [(0, Some(60)), (10, None)] {
            let mut tracker = Tracker::new(true);
            feed(&mut tracker, &half_open(10));
            tracker.lost(loss_gap_ns);
            feed(&mut tracker, &event(60, kind::TRANSITION, number::LISTEN, number::SYN_RECV));
            let emitted =
                feed(&mut tracker, &event(70, kind::TRANSITION, number::SYN_RECV, number::ESTABLISHED));
            let index = LIVED_STATES.iter().position(|state| *state == number::SYN_RECV).unwrap();
            assert_eq!(emitted[0].state_ns, Some(10));
            assert_eq!(emitted[0].connection.spent_ns(index), spent_ns);
            assert_eq!(emitted[0].connection.born_ns(), Some(10));
        }
    }

    /// `tcp_max_tw_buckets` is reached: the connection ends with the transition that looks like one into TIME_WAIT.
    #[test]
    fn without_a_timewait_socket_there_is_no_time_wait() {
        for (flags, reason) in [(flag::DONE, Reason::FinLocal), (flag::DEAD, Reason::Unknown)] {
            let mut tracker = Tracker::new(true);
            feed(&mut tracker, &event(10, kind::TRANSITION, number::ESTABLISHED, number::FIN_WAIT1));
            feed(&mut tracker, &event(20, kind::TRANSITION, number::FIN_WAIT1, number::FIN_WAIT2));
            let none = event(30, kind::NO_TIME_WAIT, number::FIN_WAIT2, number::FIN_WAIT2);
            feed(&mut tracker, &Event { flags, ..none });
            let end = Event { flags, ..event(31, kind::TRANSITION, number::FIN_WAIT2, number::CLOSE) };
            let emitted = feed(&mut tracker, &end);
            assert_eq!((emitted[0].new_state, emitted[0].reason), (number::CLOSE, Some(reason)));
            assert!(tracker.is_empty() && !tracker.has_timewait());
        }
    }

    /// An RST can end TIME_WAIT early (RFC 1337). The samples show that no new connection has replaced it; the
    /// hook knows when it was.
    #[test]
    fn time_wait_ends_when_the_hook_saw_it_go() {
        let second = 1_000_000_000;
        let mut tracker = Tracker::new(true).with_timewait_hook(true);
        feed(&mut tracker, &event(10, kind::TRANSITION, number::ESTABLISHED, number::FIN_WAIT1));
        feed(&mut tracker, &event(20, kind::TRANSITION, number::FIN_WAIT1, number::FIN_WAIT2));
        let closed = event(30, kind::TRANSITION, number::FIN_WAIT2, number::CLOSE);
        feed(&mut tracker, &Event { flags: flag::DONE, ..closed });
        let gone = event(100, kind::TIME_WAIT_GONE, number::TIME_WAIT, number::TIME_WAIT);
        assert!(feed(&mut tracker, &Event { detail: gone::DROPPED, ..gone }).is_empty());
        let mut emitted = Vec::new();
        for from_ns in [second, 2 * second] {
            let sample =
                TimewaitSample { from_ns, netns: [NetnsId::default()].into(), ..TimewaitSample::default() };
            tracker.sample(&sample, from_ns, &mut |transition| emitted.push(*transition));
        }
        let [end] = &emitted[..] else { panic!("{emitted:?}") };
        assert_eq!((end.old_state, end.new_state), (number::TIME_WAIT, number::CLOSE));
        assert_eq!((end.state_ns, end.error_ns), (Some(70), 0));
    }

    /// Without a full socket, user and counters are not known.
    #[test]
    fn a_half_open_connection_is_bare() {
        let mut tracker = Tracker::new(true);
        feed(&mut tracker, &half_open(10));
        let again = Event { kind: kind::RETRANSMIT_SYNACK, time_ns: 20, ..half_open(10) };
        let emitted = feed(&mut tracker, &again);
        assert!(emitted[0].connection.is_bare() && emitted[0].flags & flag::BARE != 0);
        feed(&mut tracker, &event(60, kind::TRANSITION, number::LISTEN, number::SYN_RECV));
        assert!(!tracker.get(COOKIE).unwrap().is_bare());
    }

    /// Snapshots do not contain half-open connections. One is kept while another SYN-ACK may be sent.
    #[test]
    fn a_half_open_connection_outlives_snapshots_without_it() {
        let second = 1_000_000_000;
        for (snapshot_ns, gone) in [(second, 0), (60 * second, 0), (300 * second, 1)] {
            let mut tracker = Tracker::new(true);
            feed(&mut tracker, &half_open(10));
            let netns = [0].into();
            let snapshot = Snapshot { during_ns: (snapshot_ns, snapshot_ns), netns, ..Snapshot::default() };
            assert_eq!(tracker.retire(&snapshot), gone);
        }
    }
}
