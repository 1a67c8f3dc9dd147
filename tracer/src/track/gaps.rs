//! Transitions that are missing although no loss is known. A connection leaves the state that it entered last, so an
//! event that tells of another one shows that something in between was not reported, or not taken in its turn.

use tracer_common::{Event, state};

use crate::{
    tcp::state::State,
    track::{Tracker, connection::Connection},
};

impl Tracker {
    /// How many times a connection left a state other than the one that it was last told to have entered, or went on
    /// after its end, while nothing was lost. None of it should ever happen.
    #[must_use]
    pub fn gaps(&self) -> u64 {
        self.gaps
    }

    /// Takes note of an event that does not follow on the connection's state, which is set to the event's. Returns
    /// whether the event comes late: a later one has been taken.
    #[cold]
    pub(super) fn note_gap(&mut self, event: &Event, connection: &mut Connection) -> bool {
        let is_late = event.time_ns < connection.last_ns;
        // A state that was merely found may have been read a moment before or after the transition.
        let is_sure = connection.since_ns().is_some() && self.loss_gap_ns == 0;
        if is_late {
            // It may be what was missing.
            self.gaps = self.gaps.saturating_sub(u64::from(connection.set_gap(false)));
        } else if is_sure {
            connection.set_gap(true);
            self.gaps += 1;
            tell(event, connection.state);
        }
        connection.state = event.old_state;
        connection.forget_since();
        is_late
    }

    /// Takes note of an event of a connection that has ended. Nothing is told of it.
    #[cold]
    pub(super) fn note_unheard(&mut self, event: &Event) {
        let ended = self.table.get(event.cookie);
        // `close` of a socket in CLOSE, for example, changes nothing; and what was missing may come late.
        let changes = event.old_state != event.new_state;
        let is_after = ended.is_none_or(|ended| ended.last_ns <= event.time_ns);
        // After a loss a connection may have been taken for ended because a snapshot lacked it.
        if changes && is_after && self.loss_gap_ns == 0 {
            self.gaps += 1;
            tell(event, ended.map_or(state::CLOSE, |ended| ended.state));
        }
    }
}

fn tell(event: &Event, known: u8) {
    let Event { cookie, time_ns, cpu, local_port, remote_port, .. } = event;
    let [known, old, new] = [known, event.old_state, event.new_state].map(State::from_kernel);
    log::info!(
        "socket {cookie}, port {local_port} to {remote_port}, was last told to be in {known}, and went from {old} to {new} \
         at {time_ns} ns on CPU {cpu}"
    );
}

#[cfg(test)]
mod tests {
    use zerocopy::FromZeros as _;

    use super::*;

    const CLIENT: [(u8, u8); 5] = [
        (state::CLOSE, state::SYN_SENT),
        (state::SYN_SENT, state::ESTABLISHED),
        (state::ESTABLISHED, state::FIN_WAIT1),
        (state::FIN_WAIT1, state::FIN_WAIT2),
        (state::FIN_WAIT2, state::CLOSE),
    ];

    /// The event at this place in a client's life.
    fn event(place: usize) -> Event {
        let (old_state, new_state) = CLIENT[place];
        Event { cookie: 7, time_ns: 100 + place as u64, old_state, new_state, ..Event::new_zeroed() }
    }

    /// How many gaps there are in events that come in this order, and how many transitions are told.
    fn gaps(tracker: &mut Tracker, order: &[usize]) -> (u64, usize) {
        let mut told = 0;
        for place in order {
            tracker.event(&event(*place), &mut |_| told += 1);
        }
        (tracker.gaps(), told)
    }

    #[test]
    fn a_transition_that_is_missing_is_noticed_at_the_next() {
        for follows in [true, false] {
            assert_eq!(gaps(&mut Tracker::new(follows), &[0, 1, 2, 3, 4]), (0, 5));
            assert_eq!(gaps(&mut Tracker::new(follows), &[0, 1, 3, 4]), (1, 4));
            assert_eq!(gaps(&mut Tracker::new(follows), &[0, 2, 4]), (2, 3));
        }
    }

    #[test]
    fn one_that_comes_late_is_not_missing() {
        for follows in [true, false] {
            assert_eq!(gaps(&mut Tracker::new(follows), &[0, 1, 3, 2, 4]), (0, 5));
            let (gaps, told) = gaps(&mut Tracker::new(follows), &[0, 1, 3, 4, 2]);
            assert!(gaps > 0 && told == 4, "after the end it is not told any more");
        }
    }

    #[test]
    fn after_its_end_a_connection_changes_no_more() {
        for follows in [true, false] {
            let mut tracker = Tracker::new(follows);
            gaps(&mut tracker, &[0, 1, 2, 3, 4]);
            let again = Event { time_ns: 200, old_state: state::CLOSE, new_state: state::CLOSE, ..event(4) };
            tracker.event(&again, &mut |_| {});
            assert_eq!(tracker.gaps(), 0, "`close` after the end");
            tracker.event(&Event { time_ns: 201, ..event(3) }, &mut |_| {});
            assert_eq!(tracker.gaps(), 1);
        }
    }

    #[test]
    fn what_a_known_loss_explains_is_no_gap() {
        let mut tracker = Tracker::new(true);
        gaps(&mut tracker, &[0, 1]);
        tracker.lost(102);
        assert_eq!(gaps(&mut tracker, &[3, 4]), (0, 2));
    }

    /// A snapshot is merged before the events that happened while it was taken.
    #[test]
    fn events_from_before_a_snapshot_are_no_gap() {
        let mut tracker = Tracker::new(true);
        let found =
            Event { time_ns: 102, old_state: state::FIN_WAIT1, new_state: state::FIN_WAIT1, ..event(0) };
        tracker.merge_snapshot(&[found]);
        assert_eq!(gaps(&mut tracker, &[1, 2, 3, 4]), (0, 4));
    }
}
