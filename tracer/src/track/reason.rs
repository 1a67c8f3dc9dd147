//! Why a connection ended, from its last event and its history.

use tracer_common::{Event, event::flag, state as number, timewait};

use crate::{
    tcp::{reason::Reason, reset::Reset},
    track::{
        connection::{Connection, FirstFin, Role},
        owner::Evidence,
    },
};

/// `SHUTDOWN_MASK`
const BOTH_SIDES: u8 = 3;

const EPIPE: u16 = 32;
/// Set by `tcp_abort`, which the kernel runs for `ss -K`.
pub const ECONNABORTED: u16 = 103;
const ECONNRESET: u16 = 104;
const ETIMEDOUT: u16 = 110;
const ECONNREFUSED: u16 = 111;
/// The errors that ICMP messages and missing routes leave on a socket (`icmp_err_convert` in
/// `net/ipv4/icmp.c`, `tcp_v6_err`), without those that have a reason of their own.
const UNREACHABLE: [u16; 9] = [1, 13, 71, 92, 95, 100, 101, 112, 113];

/// Whether the kernel's `-> CLOSE` means that a timewait socket in TIME_WAIT replaces the full socket.
#[must_use]
pub fn becomes_time_wait(event: &Event) -> bool {
    timewait::becomes_time_wait(event.old_state, event.new_state, event.error, event.flags, event.send_queue)
}

/// Whether the kernel's `FIN_WAIT2 -> CLOSE` means that a timewait socket replaces an orphan (a full socket
/// that its process has closed). The timewait socket stays in FIN_WAIT2 until the peer's FIN comes.
#[must_use]
pub fn stays_in_fin_wait2(event: &Event) -> bool {
    timewait::stays_in_fin_wait2(event.old_state, event.new_state, event.error, event.flags, event.linger2)
}

/// Why the connection ends with `event`, a transition into CLOSE or TIME_WAIT.
#[must_use]
pub fn reason(event: &Event, connection: &Connection) -> Reason {
    if becomes_time_wait(event) {
        return orderly_reason(connection, event.old_state);
    }
    // `tcp_reset` ends the connection in any case. A process that asks for the error just then (`SO_ERROR`) takes it away.
    let has_received_rst = rst_in_state(event, connection) == Reset::Received;
    match event.error {
        0 if has_received_rst && event.old_state == number::SYN_SENT => Reason::Refused,
        0 if has_received_rst => reset(event, connection),
        0 => without_error(event, connection),
        ECONNREFUSED => Reason::Refused,
        ECONNRESET | EPIPE => reset(event, connection),
        ECONNABORTED => Reason::Aborted,
        ETIMEDOUT => timeout(event),
        errno if UNREACHABLE.contains(&errno) => Reason::Unreachable,
        _ => Reason::Unknown,
    }
}

/// The reason of an orderly close, by which side closed first. `old_state` decides where no FIN was seen.
#[must_use]
pub fn orderly_reason(connection: &Connection, old_state: u8) -> Reason {
    match (connection.first_fin, old_state) {
        (FirstFin::Both, _) | (_, number::CLOSING) => Reason::FinBoth,
        (FirstFin::Remote, _) | (_, number::LAST_ACK) => Reason::FinRemote,
        _ => Reason::FinLocal,
    }
}

fn timeout(event: &Event) -> Reason {
    match event.old_state {
        number::SYN_SENT => Reason::TimeoutConnect,
        number::FIN_WAIT1 | number::FIN_WAIT2 | number::CLOSING | number::LAST_ACK => Reason::TimeoutClose,
        // Keepalive probes are sent only while no data is unacknowledged.
        _ if event.flags & flag::KEEPALIVE != 0 && event.send_queue == 0 => Reason::TimeoutKeepalive,
        _ => Reason::TimeoutRetransmit,
    }
}

/// The RST that was sent or received in the state that ends.
fn rst_in_state(event: &Event, connection: &Connection) -> Reset {
    if connection.reset_in == event.old_state { connection.reset } else { Reset::None }
}

/// The kernel leaves the same error if it answers data with an RST: data that nobody can read any more. The RST's
/// own record, which comes before, tells who sent it.
fn reset(event: &Event, connection: &Connection) -> Reason {
    match (rst_in_state(event, connection), event.old_state) {
        (Reset::Sent, _) => Reason::ResetLocalLateData,
        (Reset::None, number::FIN_WAIT1 | number::FIN_WAIT2) if event.shutdown == BOTH_SIDES => {
            Reason::Unknown
        }
        _ if has_written_after_fin(event, connection) => Reason::ResetRemoteAfterFin,
        _ => Reason::ResetRemote,
    }
}

/// Whether the peer has closed in order, and this side has data on the way that the peer will not take. In
/// LAST_ACK one sequence number is this side's FIN.
fn has_written_after_fin(event: &Event, connection: &Connection) -> bool {
    let fin = match event.old_state {
        number::CLOSE_WAIT => 0,
        number::LAST_ACK => 1,
        _ => return false,
    };
    connection.first_fin == FirstFin::Remote && event.send_queue > fin
}

/// A client that leaves SYN_SENT without a pending error: its owner closed it, perhaps after an ICMP message whose
/// error did not end it; or `connect` failed in `tcp_v4_connect` before it could send a SYN.
fn never_connected(event: &Event, is_owned: bool) -> Reason {
    let is_failed_call = event.flags & flag::UNSENT != 0 && event.shutdown != BOTH_SIDES;
    let has_no_port = event.flags & flag::NO_PORT != 0 || event.local_port == 0;
    match u16::from(event.detail) {
        _ if !is_owned => Reason::Unknown,
        _ if is_failed_call && has_no_port => Reason::NoFreePort,
        // No route to the peer from this port, or no memory.
        _ if is_failed_call => Reason::Unknown,
        ECONNREFUSED => Reason::Refused,
        errno if UNREACHABLE.contains(&errno) => Reason::Unreachable,
        _ if event.retransmits > 0 => Reason::Unanswered,
        _ => Reason::Cancelled,
    }
}

fn without_error(event: &Event, connection: &Connection) -> Reason {
    let is_owned = event.flags & flag::OWNED != 0;
    if timewait::may_not_wait(event.old_state, event.new_state, event.error, event.flags, event.linger2) {
        return Reason::TimeoutClose;
    }
    if stays_in_fin_wait2(event) && connection.lacks_timewait() {
        // The kernel forgets it, and the peer is still open.
        return Reason::Unknown;
    }
    match event.old_state {
        // As in CLOSING: in order only if this side's FIN is acknowledged.
        number::LAST_ACK if event.send_queue == 0 => return Reason::FinRemote,
        number::SYN_SENT => return never_connected(event, is_owned),
        _ => {}
    }
    if !is_owned {
        // The kernel drops an orphan when there are too many, or when TCP_LINGER2 is over.
        let is_closing = matches!(event.old_state, number::FIN_WAIT1 | number::FIN_WAIT2);
        return match connection.role {
            Role::Server if connection.owner.evidence < Evidence::Snapshot && !is_closing => {
                Reason::NeverAccepted
            }
            _ if is_closing => Reason::TimeoutClose,
            _ => Reason::Unknown,
        };
    }
    // `__tcp_close` first sets `sk_shutdown` to both sides; `tcp_disconnect` does not, but in LAST_ACK and CLOSING
    // they are shut down already.
    if event.shutdown != BOTH_SIDES {
        return Reason::ResetLocal;
    }
    // The order of the checks is that of `__tcp_close`.
    let has_fin = u32::from(event.flags & flag::DONE != 0);
    if event.recv_queue > has_fin {
        Reason::ResetLocalUnread
    } else if event.flags & flag::LINGER_ZERO != 0 {
        Reason::ResetLocalLinger
    } else {
        Reason::ResetLocal
    }
}

/// Why an orphan in FIN_WAIT2 ended without TIME_WAIT: a timeout if its time was over at `due_ns`, else unknown (an
/// RST may have ended it). `None` in other states: a connection in TIME_WAIT already has its reason.
#[must_use]
pub fn orphan_reason(connection: &Connection, now_ns: u64, due_ns: Option<u64>) -> Option<Reason> {
    if connection.state != number::FIN_WAIT2 {
        return None;
    }
    let is_timeout = due_ns.is_some_and(|due_ns| now_ns >= due_ns);
    Some(if is_timeout { Reason::TimeoutClose } else { Reason::Unknown })
}

#[cfg(test)]
mod tests {
    use zerocopy::FromZeros as _;

    use super::*;

    #[test]
    fn a_reset_is_told_though_a_process_has_taken_the_error() {
        let end = |old_state| {
            let flags = flag::OWNED;
            Event { old_state, new_state: number::CLOSE, flags, send_queue: 9, ..Event::new_zeroed() }
        };
        let told = |old_state, reset, reset_in| {
            let first_fin = if old_state == number::CLOSE_WAIT { FirstFin::Remote } else { FirstFin::Nobody };
            let mut connection = Connection::default();
            (connection.reset, connection.reset_in, connection.first_fin) = (reset, reset_in, first_fin);
            reason(&end(old_state), &connection)
        };
        let (open, waiting) = (number::ESTABLISHED, number::CLOSE_WAIT);
        assert_eq!(told(open, Reset::Received, open), Reason::ResetRemote);
        assert_eq!(told(waiting, Reset::Received, waiting), Reason::ResetRemoteAfterFin);
        assert_eq!(told(number::SYN_SENT, Reset::Received, number::SYN_SENT), Reason::Refused);
        assert_eq!(told(open, Reset::None, 0), Reason::ResetLocal);
        assert_eq!(told(waiting, Reset::Received, open), Reason::ResetLocal, "of another state");
    }
}
