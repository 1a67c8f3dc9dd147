//! The story of each connection: events in, transitions with owner, time and cause out.

mod census;
pub mod connection;
mod hooked;
mod identify;
mod incident;
mod learn;
pub mod owner;
pub mod reason;
mod sample;
mod stuck;
pub mod table;
pub mod tally;

pub use sample::Sample;

use std::collections::HashSet;

use tracer_common::{Event, event::kind, state as number};

use crate::track::{
    connection::{Connection, Role, Tuple},
    identify::may_end_another,
    learn::{learn_owner, note_fin, note_handshake, role_at_birth},
    reason::{Reason, becomes_time_wait, reason, stays_in_fin_wait2},
    table::{Table, listeners::Listeners, recent::Recent, timewaits::Waiting},
    tally::Tally,
};

/// A transition with its story.
#[derive(Clone, Copy, Debug)]
pub struct Tracked {
    /// The facts. The states are the true ones: TIME_WAIT where the kernel says CLOSE.
    pub event: Event,
    /// The connection, with this transition in it.
    pub connection: Connection,
    /// Nanoseconds in the old state; `None` if its start was not seen.
    pub state_ns: Option<u64>,
    /// How far `state_ns` and the event's time may be off: more than 0 only when sampled.
    pub error_ns: u64,
    /// Set on the transition that ends the connection for its processes.
    pub reason: Option<Reason>,
    /// The kernel gave this connection the addresses and ports of one that was in TIME_WAIT; or,
    /// on that one's end, took them away.
    pub is_reuse: bool,
    /// No transition to show, though the connection has ended for its processes: nobody knows what
    /// became of it (an orphan in FIN_WAIT2 with `--no-timewait`).
    pub is_silent: bool,
    /// No transition at all, but a stay that is too long: nanoseconds in the state, at least.
    pub stuck_ns: Option<u64>,
}

impl Tracked {
    /// Nothing but what happened, and whose connection it is.
    fn plain(event: Event, connection: Connection) -> Self {
        Self {
            event,
            connection,
            state_ns: None,
            error_ns: 0,
            reason: None,
            is_reuse: false,
            is_silent: false,
            stuck_ns: None,
        }
    }
}

/// Events whose records are brought near together.
const GROUP: usize = 16;

/// The events in groups, each with the two behind it: who brings those near first, see
/// [`Tracker::warm`], finds them there when their turn comes.
pub fn with_next(events: &[Event]) -> impl Iterator<Item = [&[Event]; 3]> {
    let group =
        |index: usize| events.get(index * GROUP..).map_or(&[][..], |rest| &rest[..rest.len().min(GROUP)]);
    // The two before the first make ready for it.
    (0..events.len().div_ceil(GROUP) + 2).map(move |step| {
        [step.checked_sub(2), step.checked_sub(1), Some(step)].map(|index| index.map_or(&[][..], group))
    })
}

/// All connections.
#[derive(Default)]
pub struct Tracker {
    table: Table,
    listeners: Listeners,
    waiting: Waiting,
    ended: Recent,
    tally: Tally,
    /// Events were lost at this time or before it: what began earlier has no known length.
    hole_ns: u64,
    /// Whether timewait sockets are followed to their end.
    follows_waiting: bool,
    /// Whether hooks tell of it. Looks remain, for what hooks miss.
    is_told_of_waiting: bool,
    /// When the last look began.
    looked_ns: u64,
}

impl Tracker {
    /// `follows_waiting`: somebody will call [`Tracker::sample`].
    #[must_use]
    pub fn new(follows_waiting: bool) -> Self {
        Self { follows_waiting, ..Self::default() }
    }

    /// Whether events tell of timewait sockets, too.
    #[must_use]
    pub fn told_of_waiting(self, is_told_of_waiting: bool) -> Self {
        Self { is_told_of_waiting, ..self }
    }

    /// Brings the records of the next events near, all at once: with a million connections each lies
    /// in memory that no cache holds, and waiting for one after the other costs more than all the rest.
    /// Where those after the next lie is brought near, too: it takes two steps to come to a record.
    pub fn warm(&self, next: &[Event], after: &[Event]) {
        for event in after {
            self.table.prefetch_index(event.cookie);
        }
        for event in next {
            self.table.prefetch(event.cookie);
            if event.new_state == number::CLOSE {
                self.ended.prefetch(event.cookie);
            }
            if self.has_waiting() && (may_end_another(event) || becomes_time_wait(event)) {
                self.waiting.prefetch(&Tuple::of(event));
            }
        }
    }

    /// Takes an event; hands out its transition, and those that it proves. What is no transition is
    /// handed out as it is.
    pub fn event(&mut self, event: &Event, out: &mut impl FnMut(&Tracked)) {
        if event.kind != kind::TRANSITION {
            return self.hooked(event, out);
        }
        self.tally.count(event);
        let Some(mut connection) = self.take_up(event) else {
            // Ended before, and not born again: a record of the past.
            return;
        };
        let is_reuse = self.settle_reuse(event, &connection, out);
        learn_owner(event, &mut connection);
        if event.old_state == event.new_state {
            // Such as `close` after `shutdown`: nothing has changed but perhaps the flags.
            connection.last_ns = event.time_ns;
            self.table.insert(connection);
            return;
        }
        if connection.state != event.old_state {
            // Something was missed between.
            connection.state = event.old_state;
            connection.forget_since();
        }
        self.forget_across_hole(&mut connection);
        let state_ns = connection.leave(event.time_ns);
        note_fin(event, &mut connection);
        note_handshake(event, state_ns, &mut connection);
        connection.set_since(event.time_ns);
        connection.last_ns = event.time_ns;
        connection.state = event.new_state;

        let mut tracked = Tracked { state_ns, is_reuse, ..Tracked::plain(*event, connection) };
        self.conclude(&mut tracked, out);
    }

    /// Keeps, turns into a waiting one, or ends the connection; and tells.
    fn conclude(&mut self, tracked: &mut Tracked, out: &mut impl FnMut(&Tracked)) {
        let event = &tracked.event;
        let connection = &mut tracked.connection;
        if event.new_state != number::CLOSE {
            if event.new_state == number::LISTEN {
                self.listeners.add(connection);
            }
            self.table.insert(*connection);
            out(tracked);
        } else if connection.role == Role::Listener {
            self.listeners.remove(connection);
            self.forget(connection.cookie);
            out(tracked);
        } else if stays_in_fin_wait2(event) && !connection.has_reset_in_fin_wait2() {
            connection.state = number::FIN_WAIT2;
            // The kernel's event ends nothing: FIN_WAIT2 goes on since it began.
            match tracked.state_ns {
                Some(spent_ns) => connection.set_since(event.time_ns.saturating_sub(spent_ns)),
                None => connection.set_found(event.time_ns),
            }
            connection.take_back_leave(number::FIN_WAIT2, tracked.state_ns);
            tracked.is_silent = true;
            tracked.event.new_state = number::FIN_WAIT2;
            self.wait_or_forget(tracked);
            if !self.follows_waiting {
                tracked.reason = Some(Reason::Unknown);
                out(tracked);
            }
        } else if becomes_time_wait(event) {
            tracked.reason = Some(reason(event, connection));
            connection.state = number::TIME_WAIT;
            connection.is_ended = true;
            tracked.event.new_state = number::TIME_WAIT;
            self.wait_or_forget(tracked);
            out(tracked);
        } else {
            tracked.reason = Some(reason(event, connection));
            self.forget(connection.cookie);
            out(tracked);
        }
    }

    fn wait_or_forget(&mut self, tracked: &mut Tracked) {
        let connection = &mut tracked.connection;
        if self.follows_waiting {
            connection.is_waiting = true;
            self.waiting.add(connection);
            self.table.insert(*connection);
        } else {
            self.forget(connection.cookie);
        }
    }

    /// What began before events were lost has no known length.
    fn forget_across_hole(&self, connection: &mut Connection) {
        if connection.since_ns().is_some_and(|since_ns| since_ns <= self.hole_ns) {
            connection.forget_since();
        }
    }

    /// Events were lost up to `until_ns`.
    pub fn lost(&mut self, until_ns: u64) {
        self.hole_ns = self.hole_ns.max(until_ns);
    }

    /// Events were lost up to this time.
    #[must_use]
    pub fn hole_ns(&self) -> u64 {
        self.hole_ns
    }

    /// Drops a connection that turns out to be none of those that filters ask for.
    pub fn disown(&mut self, cookie: u64) {
        if self.table.remove(cookie).is_some() {
            self.tally.disown();
        }
    }

    fn forget(&mut self, cookie: u64) {
        self.table.remove(cookie);
        self.ended.insert(cookie);
    }

    /// Whether any connections wait so.
    #[must_use]
    pub fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// How many sockets listen.
    #[must_use]
    pub fn listening(&self) -> usize {
        self.listeners.len()
    }

    /// The namespaces in which connections wait in TIME_WAIT, or as orphans in FIN_WAIT2.
    #[must_use]
    pub fn namespaces_waiting(&self) -> HashSet<u32> {
        self.waiting.netns()
    }

    /// Live sockets.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// A live socket.
    #[must_use]
    pub fn get(&self, cookie: u64) -> Option<&Connection> {
        self.table.get(cookie)
    }

    /// All live sockets.
    pub fn iter(&self) -> impl Iterator<Item = &Connection> {
        self.table.iter()
    }

    /// What happened, counted as the kernel counts.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// What happened, counted as the kernel counts.
    pub fn tally_mut(&mut self) -> &mut Tally {
        &mut self.tally
    }
}

/// Whether a connection or a listener begins with the event.
#[must_use]
pub fn is_birth(event: &Event) -> bool {
    role_at_birth(event).is_some()
}
