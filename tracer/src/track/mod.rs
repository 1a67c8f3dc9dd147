//! The story of each connection: events in, transitions with owner, time and cause out.
//!
//! # Layout
//! - [`Tracker`]: the connections, and what an event does to one
//! - [`transition`]: what is handed on
//! - [`connection`], [`owner`], [`reason`]: what is known of a connection, whose it is, why it ended
//! - `identify`: which connection an event belongs to
//! - `learn`: what an event tells about its connection
//! - `found`: merging snapshots; `timewait`: merging samples of timewait sockets
//! - `hook_events`, `incidents`: events that are no transitions
//! - `stuck`: stays that are too long
//! - [`tally`]: counting as the kernel counts
//! - [`table`]: where all of this is kept
//!
//! # Example
//! ```
//! use tracer::track::Tracker;
//! use tracer_common::{Event, state};
//! use zerocopy::FromZeros as _;
//!
//! let mut event = Event::new_zeroed();
//! (event.cookie, event.time_ns) = (1, 1_000);
//! (event.old_state, event.new_state) = (state::CLOSE, state::SYN_SENT);
//! let mut next = Event { time_ns: 6_000, ..event };
//! (next.old_state, next.new_state) = (state::SYN_SENT, state::ESTABLISHED);
//!
//! let mut tracker = Tracker::new(true);
//! let mut times = Vec::new();
//! for event in [event, next] {
//!     tracker.event(&event, &mut |transition| times.push(transition.state_ns));
//! }
//! assert_eq!(times, [None, Some(5_000)]);
//! ```

pub mod connection;
mod found;
mod hook_events;
mod identify;
mod incidents;
mod learn;
pub mod owner;
pub mod reason;
mod stuck;
pub mod table;
pub mod tally;
mod timewait;
pub mod transition;

use tracer_common::{Event, event::kind, state as number};

pub use transition::Transition;

use crate::{
    facts::snapshot::TimewaitByNetns,
    tcp::{endpoint::Tuple, reason::Reason},
    track::{
        connection::{Connection, Role},
        identify::may_end_another,
        learn::{learn_owner, note_fin, note_handshake},
        reason::{becomes_time_wait, reason, stays_in_fin_wait2},
        table::{Table, listeners::Listeners, recent::Recent, timewaits::Timewaits},
        tally::Tally,
    },
};

/// Events whose records are prefetched together.
const GROUP: usize = 16;

/// The events in groups, each with the two groups behind it: [`Tracker::prefetch`] asks for the memory of
/// those, so that it is there when their turn comes.
pub fn prefetch_groups(events: &[Event]) -> impl Iterator<Item = [&[Event]; 3]> {
    let group =
        |index: usize| events.get(index * GROUP..).map_or(&[][..], |rest| &rest[..rest.len().min(GROUP)]);
    // Two steps before the first group ask for its memory.
    (0..events.len().div_ceil(GROUP) + 2).map(move |step| {
        [step.checked_sub(2), step.checked_sub(1), Some(step)].map(|index| index.map_or(&[][..], group))
    })
}

/// All connections.
#[derive(Default)]
pub struct Tracker {
    table: Table,
    listeners: Listeners,
    timewaits: Timewaits,
    ended: Recent,
    tally: Tally,
    /// The end of the last loss gap: events were lost at this time or before it, so what began earlier has
    /// no known duration.
    loss_gap_ns: u64,
    /// Whether timewait sockets are followed to their end.
    follows_timewait: bool,
    /// Whether hooks tell of their ends. Samples remain, for what hooks miss.
    is_told_of_timewait: bool,
    /// When the last sample began.
    sampled_ns: u64,
}

impl Tracker {
    /// An empty table. `follows_timewait`: timewait sockets stay in it until a sample
    /// ([`Tracker::sample`]) or a hook tells of their end.
    #[must_use]
    pub fn new(follows_timewait: bool) -> Self {
        Self { follows_timewait, ..Self::default() }
    }

    /// The same, where events tell of timewait sockets' ends.
    #[must_use]
    pub fn told_of_timewait(self, is_told_of_timewait: bool) -> Self {
        Self { is_told_of_timewait, ..self }
    }

    /// Prefetches the records of the next events, all at once: with a million connections each lies in
    /// memory that no cache holds, and waiting for one after the other costs more than all the rest. The
    /// index entries of the events after them are prefetched, too: it takes two steps to come to a record.
    pub fn prefetch(&self, next: &[Event], after: &[Event]) {
        for event in after {
            self.table.prefetch_index(event.cookie);
        }
        for event in next {
            self.table.prefetch(event.cookie);
            if event.new_state == number::CLOSE {
                self.ended.prefetch(event.cookie);
            }
            if self.has_timewait() && (may_end_another(event) || becomes_time_wait(event)) {
                self.timewaits.prefetch(&Tuple::of(event));
            }
        }
    }

    /// Takes an event; hands out its transition, and those that it proves. Resets and retransmissions are
    /// handed out with their connection.
    pub fn event(&mut self, event: &Event, out: &mut impl FnMut(&Transition)) {
        if event.kind != kind::TRANSITION {
            return self.hook_event(event, out);
        }
        self.tally.count(event);
        let Some(mut connection) = self.connection_of(event) else {
            // Ended before, and not born again: a record of the past.
            return;
        };
        let is_reuse = self.end_reused_timewait(event, &connection, out);
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
        self.forget_across_loss_gap(&mut connection);
        let state_ns = connection.leave(event.time_ns);
        note_fin(event, &mut connection);
        note_handshake(event, state_ns, &mut connection);
        connection.set_since(event.time_ns);
        connection.last_ns = event.time_ns;
        connection.state = event.new_state;

        let mut transition = Transition { state_ns, is_reuse, ..Transition::of(event, connection) };
        self.conclude(event, &mut transition, out);
    }

    /// Keeps the connection, follows its timewait socket, or ends it; and hands the transition out.
    fn conclude(&mut self, event: &Event, transition: &mut Transition, out: &mut impl FnMut(&Transition)) {
        let connection = &mut transition.connection;
        if event.new_state != number::CLOSE {
            if event.new_state == number::LISTEN {
                self.listeners.add(connection);
            }
            self.table.insert(*connection);
            out(transition);
        } else if connection.role == Role::Listener {
            self.listeners.remove(connection);
            self.forget(connection.cookie);
            out(transition);
        } else if stays_in_fin_wait2(event) && !connection.has_reset_in_fin_wait2() {
            connection.state = number::FIN_WAIT2;
            // The kernel's event ends nothing: FIN_WAIT2 goes on since it began.
            match transition.state_ns {
                Some(spent_ns) => connection.set_since(event.time_ns.saturating_sub(spent_ns)),
                None => connection.set_found(event.time_ns),
            }
            connection.take_back_leave(number::FIN_WAIT2, transition.state_ns);
            transition.is_silent = true;
            transition.new_state = number::FIN_WAIT2;
            self.follow_timewait_or_forget(&mut transition.connection);
            if !self.follows_timewait {
                transition.reason = Some(Reason::Unknown);
                out(transition);
            }
        } else if becomes_time_wait(event) {
            transition.reason = Some(reason(event, connection));
            connection.state = number::TIME_WAIT;
            connection.is_ended = true;
            transition.new_state = number::TIME_WAIT;
            self.follow_timewait_or_forget(&mut transition.connection);
            out(transition);
        } else {
            transition.reason = Some(reason(event, connection));
            self.forget(connection.cookie);
            out(transition);
        }
    }

    fn follow_timewait_or_forget(&mut self, connection: &mut Connection) {
        if self.follows_timewait {
            connection.is_timewait = true;
            self.timewaits.add(connection);
            self.table.insert(*connection);
        } else {
            self.forget(connection.cookie);
        }
    }

    /// What began before events were lost has no known duration.
    fn forget_across_loss_gap(&self, connection: &mut Connection) {
        if connection.since_ns().is_some_and(|since_ns| since_ns <= self.loss_gap_ns) {
            connection.forget_since();
        }
    }

    /// Events were lost up to `until_ns`.
    pub fn lost(&mut self, until_ns: u64) {
        self.loss_gap_ns = self.loss_gap_ns.max(until_ns);
    }

    /// The end of the last loss gap, in nanoseconds; 0 if nothing was lost.
    #[must_use]
    pub fn loss_gap_ns(&self) -> u64 {
        self.loss_gap_ns
    }

    /// Drops a connection that filters turn out not to select.
    pub fn drop_filtered(&mut self, cookie: u64) {
        if self.table.remove(cookie).is_some() {
            self.tally.drop_filtered();
        }
    }

    fn forget(&mut self, cookie: u64) {
        self.table.remove(cookie);
        self.ended.insert(cookie);
    }

    /// Whether any timewait sockets are followed.
    #[must_use]
    pub fn has_timewait(&self) -> bool {
        !self.timewaits.is_empty()
    }

    /// How many sockets listen.
    #[must_use]
    pub fn listening(&self) -> usize {
        self.listeners.len()
    }

    /// How many timewait sockets are followed in each network namespace.
    #[must_use]
    pub fn timewait_by_netns(&self) -> &TimewaitByNetns {
        self.timewaits.by_netns()
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
