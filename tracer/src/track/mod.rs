//! Connection tracking: takes events, emits transitions with owner, time in state and reason.
//!
//! # Layout
//! - [`Tracker`]: all connections, and what an event does to one of them
//! - [`transition`]: what the tracker emits
//! - [`connection`], [`owner`], [`reason`]: what is known of a connection, which process owns it, why it
//!   ended
//! - `identify`: finds the connection that an event belongs to
//! - `learn`: owner, first FIN and handshake from an event
//! - `checkpoint`: all that is known, for a part of a recording that stands alone
//! - `conclude`: whether the connection goes on, becomes a timewait socket or ends
//! - `orphan`: how long an orphan may stay in FIN_WAIT2
//! - `snapshots`, `timewait`: merge snapshots, and samples of timewait sockets
//! - `hook_events`, `incidents`: events that are not transitions
//! - `holders`: corrects owners by who holds the sockets now
//! - `stuck`: connections that stay in a state too long
//! - `gaps`: transitions that are missing although nothing was lost
//! - `groups`: events in groups, for prefetching
//! - [`tally`]: counts the way the kernel does
//! - [`table`]: the connection table and its indexes
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

pub mod checkpoint;
mod conclude;
pub mod connection;

mod gaps;
mod groups;
mod holders;
mod hook_events;
mod identify;
mod incidents;
mod learn;
mod orphan;
pub mod owner;
pub mod reason;
mod snapshots;
mod stuck;
pub mod table;
pub mod tally;
mod timewait;
pub mod transition;

use tracer_common::{Event, event::kind};

pub use groups::prefetch_groups;
pub use transition::Transition;

use crate::{
    facts::snapshot::TimewaitByNetns,
    track::{
        connection::Connection,
        learn::{learn_owner, note_fin, note_handshake},
        table::{Table, ended::LastEnded, listeners::Listeners, recent::RecentCookies, timewaits::Timewaits},
        tally::Tally,
    },
};

/// Follows all connections.
#[derive(Default)]
pub struct Tracker {
    table: Table,
    listeners: Listeners,
    timewaits: Timewaits,
    recently_ended: RecentCookies,
    last_ended: LastEnded,
    tally: Tally,
    /// The end of the last loss gap: events were lost at or before this time, so a state that was entered
    /// before it has no known duration.
    loss_gap_ns: u64,
    /// See [`Tracker::gaps`].
    gaps: u64,
    /// Whether timewait sockets are followed to their end.
    follows_timewait: bool,
    /// Whether hooks report the end of timewait sockets. They are still sampled, because hooks can miss one.
    has_timewait_hooks: bool,
    /// Whether the source tells who holds which sockets.
    expects_holders: bool,
    /// When the last search for holders began.
    holders_ns: u64,
    /// When the next one is allowed.
    next_holders_ns: u64,
    /// How long a line waits for one, in nanoseconds.
    patience_ns: u64,
    /// Since when a line waits for another one.
    wants_holders_ns: Option<u64>,
    /// See [`Tracker::wants_look`].
    wants_look_ns: Option<u64>,
    /// See [`Tracker::refreshed_ns`].
    refreshed_ns: u64,
    /// The number of the last search.
    search: u8,
    /// Length of a jiffy in nanoseconds; 0 if it is not known.
    tick_ns: u64,
}

impl Tracker {
    /// A tracker without connections. With `follows_timewait` it keeps timewait sockets until a sample
    /// ([`Tracker::sample`]) or a hook shows that they are gone.
    #[must_use]
    pub fn new(follows_timewait: bool) -> Self {
        Self { follows_timewait, patience_ns: holders::PATIENCE_NS, ..Self::default() }
    }

    /// Sets whether hooks report the end of timewait sockets.
    #[must_use]
    pub fn with_timewait_hook(self, has_timewait_hooks: bool) -> Self {
        Self { has_timewait_hooks, ..self }
    }

    /// Sets the length of a jiffy.
    #[must_use]
    pub fn with_tick(self, tick_ns: u64) -> Self {
        Self { tick_ns, ..self }
    }

    /// Takes an event. Emits its transition, and transitions of other connections that it proves. Resets and
    /// retransmissions are emitted with their connection.
    pub fn event(&mut self, event: &Event, out: &mut impl FnMut(&Transition)) {
        if event.kind != kind::TRANSITION {
            return self.hook_event(event, out);
        }
        self.tally.count(event);
        let Some(mut connection) = self.connection_of(event) else {
            return self.note_unheard(event);
        };
        let is_reuse = self.end_reused_timewait(event, &connection, out);
        learn_owner(event, &mut connection);
        if event.old_state == event.new_state {
            // For example `close` after `shutdown`: at most the flags have changed.
            connection.last_ns = event.time_ns;
            self.table.insert(connection);
            return;
        }
        let is_late = connection.state != event.old_state && self.note_gap(event, &mut connection);
        self.forget_across_loss_gap(&mut connection);
        let state_ns = connection.leave(event.time_ns);
        note_fin(event, &mut connection);
        note_handshake(event, state_ns, &mut connection);
        connection.note_idle(event, self.tick_ns);
        connection.set_since(event.time_ns);
        connection.last_ns = event.time_ns;
        connection.state = event.new_state;
        if is_late {
            // It has left this state since.
            connection.forget_since();
        }

        let mut transition = Transition { state_ns, is_reuse, ..Transition::of(event, connection) };
        self.conclude(event, &mut transition, out);
    }

    /// A state that was entered before events were lost has no known duration.
    fn forget_across_loss_gap(&self, connection: &mut Connection) {
        if connection.since_ns().is_some_and(|since_ns| since_ns <= self.loss_gap_ns) {
            connection.forget_since();
        }
    }

    /// Notes that events were lost at or before `until_ns`.
    pub fn lost(&mut self, until_ns: u64) {
        self.loss_gap_ns = self.loss_gap_ns.max(until_ns);
    }

    /// The end of the last loss gap, in nanoseconds; 0 if nothing was lost.
    #[must_use]
    pub fn loss_gap_ns(&self) -> u64 {
        self.loss_gap_ns
    }

    /// When the counters of all connections were last read, in nanoseconds of the kernel's monotonic clock; 0 if they
    /// were not, or if there is never time for all.
    #[must_use]
    pub fn refreshed_ns(&self) -> u64 {
        self.refreshed_ns
    }

    /// Drops a connection once filters turn out not to select it.
    pub fn drop_filtered(&mut self, cookie: u64) {
        if self.table.remove(cookie).is_some() {
            self.tally.drop_filtered(cookie);
        }
    }

    /// Removes a connection, and remembers for a while that it ended: late events must not bring it back.
    fn end(&mut self, cookie: u64) {
        self.table.remove(cookie);
        self.recently_ended.insert(cookie);
    }

    /// Whether any timewait socket is followed now.
    #[must_use]
    pub fn has_timewait(&self) -> bool {
        !self.timewaits.is_empty()
    }

    /// How many listeners there are.
    #[must_use]
    pub fn listening(&self) -> usize {
        self.listeners.len()
    }

    /// How many timewait sockets are followed in each network namespace.
    #[must_use]
    pub fn timewait_by_netns(&self) -> &TimewaitByNetns {
        self.timewaits.by_netns()
    }

    /// How many sockets are in the table: full, half-open and timewait ones.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether the table is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// The socket with this cookie.
    #[must_use]
    pub fn get(&self, cookie: u64) -> Option<&Connection> {
        self.table.get(cookie)
    }

    /// All sockets.
    pub fn iter(&self) -> impl Iterator<Item = &Connection> {
        self.table.iter()
    }

    /// Counts of connections opened, accepted, failed and reset, as the kernel counts them.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The same, to set when the kernel's counters were read.
    pub fn tally_mut(&mut self) -> &mut Tally {
        &mut self.tally
    }
}
