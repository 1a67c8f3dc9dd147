//! A transition with its connection's story: what the tracker hands on.

use tracer_common::{
    Event,
    event::{flag, kind},
};

use crate::{tcp::reason::Reason, track::connection::Connection};

/// What happened to a connection. Its states are the true ones: TIME_WAIT where the kernel says CLOSE.
#[derive(Clone, Copy, Debug)]
pub struct Transition {
    /// When it happened, in nanoseconds of the kernel's monotonic clock.
    pub time_ns: u64,
    /// The connection, with this transition in it.
    pub connection: Connection,
    /// Nanoseconds spent in the old state; `None` if its start was not seen.
    pub state_ns: Option<u64>,
    /// How far `state_ns` and `time_ns` may be off, in nanoseconds: more than 0 only when sampled.
    pub error_ns: u64,
    /// This is no transition but a stay that is too long: nanoseconds in the state, at least.
    pub stuck_ns: Option<u64>,
    /// The CPU that it happened on; `None` where no event tells.
    pub cpu: Option<u16>,
    /// The error pending on the socket, an errno; 0 if there is none.
    pub error: u16,
    /// What else stands in the socket: bits of [`tracer_common::event::flag`].
    pub flags: u16,
    /// What the event is: one of [`tracer_common::event::kind`].
    pub kind: u8,
    /// The event's detail, as its kind says.
    pub detail: u8,
    /// The state before.
    pub old_state: u8,
    /// The state after.
    pub new_state: u8,
    /// The sides that are shut down (`sk_shutdown`): 1 to receive, 2 to send.
    pub shutdown: u8,
    /// Why the connection ended, on the transition that ends it for its processes.
    pub reason: Option<Reason>,
    /// The kernel gave this connection the addresses and ports of one that was in TIME_WAIT; or, on that
    /// one's end, took them away.
    pub is_reuse: bool,
    /// No transition to show, though the connection has ended for its processes: nobody knows what became
    /// of it (an orphan in FIN_WAIT2 with `--no-timewait`).
    pub is_silent: bool,
}

impl Transition {
    /// What an event tells, and its connection.
    pub(super) fn of(event: &Event, connection: Connection) -> Self {
        let has_cpu = event.flags & (flag::TIME_WAIT | flag::BARE) == 0;
        Self {
            time_ns: event.time_ns,
            connection,
            state_ns: None,
            error_ns: 0,
            stuck_ns: None,
            cpu: has_cpu.then_some(event.cpu),
            error: event.error,
            flags: event.flags,
            kind: event.kind,
            detail: event.detail,
            old_state: event.old_state,
            new_state: event.new_state,
            shutdown: event.shutdown,
            reason: None,
            is_reuse: false,
            is_silent: false,
        }
    }

    /// What no event tells: it was found out.
    pub(super) fn found(connection: Connection, time_ns: u64, old_state: u8, new_state: u8) -> Self {
        // A timewait socket is left over when both sides are shut down and no process holds it.
        let (timewait, shutdown) =
            if connection.is_timewait { (flag::TIME_WAIT | flag::DEAD, 3) } else { (0, 0) };
        let bare = if connection.is_bare() { flag::BARE } else { 0 };
        Self {
            time_ns,
            connection,
            state_ns: None,
            error_ns: 0,
            stuck_ns: None,
            cpu: None,
            error: 0,
            flags: timewait | bare,
            kind: kind::TRANSITION,
            detail: 0,
            old_state,
            new_state,
            shutdown,
            reason: None,
            is_reuse: false,
            is_silent: false,
        }
    }

    /// Whether it is a transition: not a reset, nor a retransmission.
    #[must_use]
    pub fn is_transition(&self) -> bool {
        self.kind == kind::TRANSITION
    }
}
