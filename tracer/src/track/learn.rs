//! Facts about a connection that follow from an event: role, owner, first FIN, handshake.

use tracer_common::{
    Event,
    event::{flag, kind},
    state as number,
};

use crate::{
    text::escape::name,
    track::{
        connection::{Connection, FirstFin, Role},
        owner::{Evidence, Owner},
        reason,
    },
};

/// The name of a tracer's process.
const PROGRAM: &str = env!("CARGO_PKG_NAME");

/// The role of a socket whose birth is this event; [`Role::Unknown`] for a birth that RFC 9293 does not have.
pub(super) fn role_at_birth(event: &Event) -> Role {
    match (event.old_state, event.new_state) {
        (number::CLOSE, number::SYN_SENT) => Role::Client,
        (number::CLOSE, number::LISTEN) => Role::Listener,
        (number::LISTEN, number::SYN_RECV) => Role::Server,
        _ => Role::Unknown,
    }
}

/// The role of a socket that is older than the tracer, from its state or from what a snapshot shows.
pub(super) fn role_of(event: &Event) -> Role {
    let is_found = event.old_state == event.new_state && event.kind == kind::TRANSITION;
    match (event.old_state, event.new_state) {
        (_, number::LISTEN) => Role::Listener,
        (number::SYN_SENT, _) | (_, number::SYN_SENT) => Role::Client,
        _ if is_found && event.flags & flag::CONNECTED != 0 => Role::Client,
        _ if is_found && event.flags & flag::ACCEPTED != 0 => Role::Server,
        _ => Role::Unknown,
    }
}

/// Takes the task that works on a socket as its owner. If the socket is being aborted, the task is the
/// administrator's (`ss -K`) and is not taken; nor is a kernel thread, which works for somebody else. An
/// aborted listener has no error set yet, so one with a known owner keeps it.
pub(super) fn learn_owner(event: &Event, connection: &mut Connection) {
    let is_aborted_listener = event.old_state == number::LISTEN && connection.owner.is_known();
    let is_at_work = event.flags & (flag::OWNED | flag::KERNEL_THREAD) == flag::OWNED;
    let is_bystander = connection.owner.is_known() && is_searching_tracer(event, &connection.owner);
    if is_at_work && event.error != reason::ECONNABORTED && !is_aborted_listener && !is_bystander {
        connection.owner.learn(Owner::of(event, Evidence::Own));
    }
}

/// Whether the task is a tracer that was searching for holders. The kernel's iterator (`iter/task_file`) has a file for a
/// moment. If its process closes it just then, it is the tracer's thread that closes it last.
fn is_searching_tracer(event: &Event, owner: &Owner) -> bool {
    event.pid != owner.pid && event.tid != event.pid && name(&event.comm) == PROGRAM.as_bytes()
}

pub(super) fn note_fin(event: &Event, connection: &mut Connection) {
    if event.old_state == number::FIN_WAIT1 && event.new_state == number::CLOSING {
        connection.first_fin = FirstFin::Both;
    } else if connection.first_fin == FirstFin::Nobody {
        connection.first_fin = first_fin_of(event.new_state);
        if connection.first_fin == FirstFin::Nobody {
            connection.first_fin = first_fin_of(event.old_state);
        }
    }
}

/// Which side closed first, as far as a state shows it.
pub(super) fn first_fin_of(state: u8) -> FirstFin {
    match state {
        number::FIN_WAIT1 | number::FIN_WAIT2 => FirstFin::Local,
        number::CLOSE_WAIT | number::LAST_ACK => FirstFin::Remote,
        number::CLOSING => FirstFin::Both,
        _ => FirstFin::Nobody,
    }
}

/// Sets the duration of the handshake, which ends with this event after `state_ns` in the old state.
pub(super) fn note_handshake(event: &Event, state_ns: Option<u64>, connection: &mut Connection) {
    if event.new_state != number::ESTABLISHED {
        return;
    }
    match (connection.role, event.old_state) {
        (Role::Server, number::SYN_RECV) => connection.set_handshake_us(server_handshake_us(event)),
        (Role::Client, number::SYN_SENT) => {
            connection.set_handshake_us(client_handshake_us(event, state_ns));
        }
        _ => {}
    }
}

/// A server's is the kernel's measurement from SYN-ACK to ACK (`srtt_us`), because since Linux 4.4 its SYN_RECV
/// lasts only microseconds. With TCP_DEFER_ACCEPT that runs to the first data, which comes instead of the ACK.
/// With a SYN cookie, or after a second SYN-ACK, the kernel takes it from the timestamps: a multiple of a
/// millisecond, in whose last bits a cookie hides other facts.
fn server_handshake_us(event: &Event) -> u32 {
    let is_to_data = event.flags & flag::DATA_BEFORE != 0 && event.bytes_received == 0;
    if is_to_data || event.srtt_us.is_multiple_of(1000) { 0 } else { event.srtt_us }
}

/// A client's is its time in SYN_SENT; where the SYN may have waited for data, the kernel's measurement, which
/// begins with the SYN. A repaired socket (TCP_REPAIR) sends none.
fn client_handshake_us(event: &Event, state_ns: Option<u64>) -> u32 {
    if event.flags & flag::UNSENT != 0 {
        0
    } else if event.flags & flag::FASTOPEN_CONNECT != 0 {
        // After another SYN it begins with that one.
        if event.retransmits == 0 { event.srtt_us } else { 0 }
    } else {
        state_ns.map_or(0, |ns| u32::try_from(ns / 1000).unwrap_or(u32::MAX).max(1))
    }
}

#[cfg(test)]
mod tests {
    use zerocopy::FromZeros as _;

    use super::*;

    #[test]
    fn a_tracer_that_searches_does_not_become_the_owner() {
        let mut comm = [0; 16];
        comm[..PROGRAM.len()].copy_from_slice(PROGRAM.as_bytes());
        let owned = Event { flags: flag::OWNED, pid: 7, tid: 7, ..Event::new_zeroed() };
        let searching = Event { pid: 9, tid: 10, comm, ..owned };
        let mut connection = Connection::first_seen(&owned);
        learn_owner(&owned, &mut connection);
        learn_owner(&searching, &mut connection);
        assert_eq!(connection.owner.pid, 7);
        // Another process's thread has closed what it was given.
        learn_owner(&Event { comm: *b"worker\0\0\0\0\0\0\0\0\0\0", ..searching }, &mut connection);
        assert_eq!(connection.owner.pid, 9);
    }
}
