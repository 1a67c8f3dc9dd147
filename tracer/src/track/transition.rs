//! A transition with its connection: what the tracker emits.

use tracer_common::{
    Event,
    event::{flag, kind},
    state as number,
};

use crate::{
    tcp::reason::Reason,
    track::connection::{Connection, FirstFin},
};

/// A transition, an incident or a stuck connection. The states are the true ones: TIME_WAIT, or a lasting
/// FIN_WAIT2, where the kernel reports CLOSE because a timewait socket replaces the full one.
#[derive(Clone, Copy, Debug)]
pub struct Transition {
    /// When it happened, in nanoseconds of the kernel's monotonic clock.
    pub time_ns: u64,
    /// The connection after this transition.
    pub connection: Connection,
    /// Nanoseconds spent in the old state; `None` if its start was not seen.
    pub state_ns: Option<u64>,
    /// How far `state_ns` and `time_ns` may be off, in nanoseconds: more than 0 only when sampled.
    pub error_ns: u64,
    /// For a stuck connection, which is no transition: nanoseconds in the state, at least.
    pub stuck_ns: Option<u64>,
    /// The CPU of the event; `None` without an event.
    pub cpu: Option<u16>,
    /// The error pending on the socket, an errno; 0 if there is none. For a client that was not connected also that
    /// of an ICMP message that did not end it.
    pub error: u16,
    /// Further facts from the socket: bits of [`tracer_common::event::flag`].
    pub flags: u16,
    /// One of [`tracer_common::event::kind`].
    pub kind: u8,
    /// [`Event::detail`], whose meaning depends on `kind`.
    pub detail: u8,
    /// The state before.
    pub old_state: u8,
    /// The state after.
    pub new_state: u8,
    /// The sides that are shut down (`sk_shutdown`): 1 to receive, 2 to send.
    pub shutdown: u8,
    /// On a transition that ends a connection: the time since data was last sent or received, and how far it may
    /// be off, in nanoseconds.
    pub idle_ns: Option<(u64, u64)>,
    /// Why the connection ended, on the transition that ends it for its processes.
    pub reason: Option<Reason>,
    /// This connection has the addresses and ports of one that was in TIME_WAIT; or it is that one, which
    /// ends here.
    pub is_reuse: bool,
    /// The connection has ended for its processes, but there is no transition to show, because what follows
    /// cannot be known: an orphan in FIN_WAIT2, with `--no-timewait` or in a namespace that is gone.
    pub is_silent: bool,
}

impl Transition {
    /// The transition that an event reports.
    pub(super) fn of(event: &Event, connection: Connection) -> Self {
        // What an ICMP message has left on a client: `SO_ERROR` gives it.
        let soft_error = if event.kind == kind::TRANSITION { u16::from(event.detail) } else { 0 };
        let has_cpu = event.flags & (flag::TIME_WAIT | flag::BARE) == 0;
        Self {
            time_ns: event.time_ns,
            connection,
            state_ns: None,
            error_ns: 0,
            stuck_ns: None,
            cpu: has_cpu.then_some(event.cpu),
            error: if event.error == 0 { soft_error } else { event.error },
            flags: event.flags,
            kind: event.kind,
            detail: event.detail,
            old_state: event.old_state,
            new_state: event.new_state,
            shutdown: event.shutdown,
            idle_ns: None,
            reason: None,
            is_reuse: false,
            is_silent: false,
        }
    }

    /// A transition or incident that is known without a full event.
    pub(super) fn without_event(connection: Connection, time_ns: u64, old_state: u8, new_state: u8) -> Self {
        // For a timewait socket both sides are shut down, and no process holds it.
        let (timewait_flags, shutdown) =
            if connection.is_timewait { (flag::TIME_WAIT | flag::DEAD, 3) } else { (0, 0) };
        let bare_flag = if connection.is_bare() { flag::BARE } else { 0 };
        Self {
            time_ns,
            connection,
            state_ns: None,
            error_ns: 0,
            stuck_ns: None,
            cpu: None,
            error: 0,
            flags: timewait_flags | bare_flag,
            kind: kind::TRANSITION,
            detail: 0,
            old_state,
            new_state,
            shutdown,
            idle_ns: None,
            reason: None,
            is_reuse: false,
            is_silent: false,
        }
    }

    /// Whose FIN or RST came first, on the transition that ends the connection; [`FirstFin::Nobody`] if there was
    /// neither. Where no FIN was seen, the reason tells who sent the RST.
    #[must_use]
    pub fn closed_by(&self) -> Option<FirstFin> {
        let reason = self.reason?;
        let first_fin = self.connection.first_fin;
        if first_fin != FirstFin::Nobody {
            return Some(first_fin);
        }
        // These need no RST yet (`tcp_need_reset`).
        let is_new = matches!(self.old_state, number::SYN_SENT | number::NEW_SYN_RECV);
        Some(match reason {
            Reason::FinBoth => FirstFin::Both,
            Reason::FinRemote | Reason::ResetRemote | Reason::ResetRemoteAfterFin | Reason::Refused => {
                FirstFin::Remote
            }
            Reason::Aborted | Reason::NeverAccepted if is_new => FirstFin::Nobody,
            Reason::FinLocal
            | Reason::ResetLocal
            | Reason::ResetLocalLinger
            | Reason::ResetLocalUnread
            | Reason::ResetLocalLateData
            | Reason::Aborted
            | Reason::NeverAccepted
            // `tcp_keepalive_timer` sends an RST.
            | Reason::TimeoutKeepalive => FirstFin::Local,
            _ => FirstFin::Nobody,
        })
    }

    /// Whether this is a transition or a stuck connection, and not a reset or a retransmission.
    #[must_use]
    pub fn is_transition(&self) -> bool {
        self.kind == kind::TRANSITION
    }
}
