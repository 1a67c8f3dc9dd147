//! Facts about a connection that follow from an event: role, owner, first FIN, handshake.

use tracer_common::{Event, event::flag, state as number};

use crate::track::{
    connection::{Connection, FirstFin, Role},
    owner::{Evidence, Owner},
    reason,
};

/// The role of a socket whose birth is this event; [`Role::Unknown`] for a birth that RFC 9293 does not have.
pub(super) fn role_at_birth(event: &Event) -> Role {
    match (event.old_state, event.new_state) {
        (number::CLOSE, number::SYN_SENT) => Role::Client,
        (number::CLOSE, number::LISTEN) => Role::Listener,
        (number::LISTEN, number::SYN_RECV) => Role::Server,
        _ => Role::Unknown,
    }
}

/// Takes the task that works on a socket as its owner. If the socket is being aborted, the task is the
/// administrator's (`ss -K`) and is not taken; nor is a kernel thread, which works for somebody else. An
/// aborted listener has no error set yet, so one with a known owner keeps it.
pub(super) fn learn_owner(event: &Event, connection: &mut Connection) {
    let is_aborted_listener = event.old_state == number::LISTEN && connection.owner.is_known();
    let is_at_work = event.flags & (flag::OWNED | flag::KERNEL_THREAD) == flag::OWNED;
    if is_at_work && event.error != reason::ECONNABORTED && !is_aborted_listener {
        connection.owner.learn(Owner::of(event, Evidence::Own));
    }
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

/// Sets the duration of the handshake. A server's is the kernel's measurement from SYN-ACK to ACK (`srtt_us`),
/// because since Linux 4.4 its SYN_RECV lasts only microseconds. A client's is its time in SYN_SENT.
pub(super) fn note_handshake(event: &Event, state_ns: Option<u64>, connection: &mut Connection) {
    if event.new_state != number::ESTABLISHED {
        return;
    }
    let handshake_us = match (connection.role, event.old_state) {
        (Role::Server, number::SYN_RECV) => event.srtt_us,
        (Role::Client, number::SYN_SENT) => {
            state_ns.map_or(0, |ns| u32::try_from(ns / 1000).unwrap_or(u32::MAX).max(1))
        }
        _ => connection.handshake_us(),
    };
    connection.set_handshake_us(handshake_us);
}
