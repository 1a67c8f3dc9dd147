//! What an event tells about its connection.

use tracer_common::{Event, event::flag, state as number};

use crate::track::{
    connection::{Connection, FirstFin, Role},
    owner::{Evidence, Owner},
    reason,
};

/// The role of what begins with this event; [`Role::Unknown`] for a repaired connection (`TCP_REPAIR`).
pub(super) fn role_at_birth(event: &Event) -> Role {
    match (event.old_state, event.new_state) {
        (number::CLOSE, number::SYN_SENT) => Role::Client,
        (number::CLOSE, number::LISTEN) => Role::Listener,
        (number::LISTEN, number::SYN_RECV) => Role::Server,
        _ => Role::Unknown,
    }
}

/// The task that works on a socket is its owner; but not on one that is aborted, where it is the
/// administrator's. A listener that is aborted has no error yet, but it has an owner.
pub(super) fn learn_owner(event: &Event, connection: &mut Connection) {
    let is_aborted_listener = event.old_state == number::LISTEN && connection.owner.is_known();
    if event.flags & flag::OWNED != 0 && event.error != reason::ECONNABORTED && !is_aborted_listener {
        let owner = Owner { comm: event.comm, pid: event.pid, tid: event.tid, evidence: Evidence::Own };
        connection.owner.learn(owner);
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

/// What a state tells about who closed first.
pub(super) fn first_fin_of(state: u8) -> FirstFin {
    match state {
        number::FIN_WAIT1 | number::FIN_WAIT2 => FirstFin::Local,
        number::CLOSE_WAIT | number::LAST_ACK => FirstFin::Remote,
        number::CLOSING => FirstFin::Both,
        _ => FirstFin::Nobody,
    }
}

/// A server's handshake is what the kernel measured from SYN-ACK to ACK, because its SYN_RECV is
/// over as soon as it begins; a client's is its time in SYN_SENT.
pub(super) fn note_handshake(event: &Event, state_ns: Option<u64>, connection: &mut Connection) {
    if event.new_state != number::ESTABLISHED {
        return;
    }
    connection.handshake_us = match (connection.role, event.old_state) {
        (Role::Server, number::SYN_RECV) => event.srtt_us,
        (Role::Client, number::SYN_SENT) => {
            state_ns.map_or(0, |ns| u32::try_from(ns / 1000).unwrap_or(u32::MAX).max(1))
        }
        _ => connection.handshake_us,
    };
}
