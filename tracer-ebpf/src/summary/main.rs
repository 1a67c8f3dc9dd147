//! The kernel side of `summary --in-kernel`: a program on `sock:inet_sock_set_state` that counts transitions
//! and measures times in states, so no event leaves the kernel. Whether a `-> CLOSE` is really one into
//! TIME_WAIT is decided by the code that user space uses, too. Reasons are not counted.
//!
//! # Layout
//!
//! * `table`: when each socket entered its state; `packed`: the word in it. `writer`: the counts.

#![no_std]
#![no_main]

mod packed;
mod table;
mod writer;

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use tracer_common::{
    aggregate::STATES,
    event::Counter,
    helper::Helper,
    state::{CLOSE, CLOSING, LISTEN, SYN_RECV, SYN_SENT, TIME_WAIT},
    timewait::{becomes_time_wait, stays_in_fin_wait2},
};
use tracer_ebpf::{
    hook::{self, count::count, filters::Filters},
    kernel::{has, now_ns},
    sock::Sock,
};

use crate::{
    packed::{Packed, Role},
    table::{Entry, Set},
    writer::{Service, Writer},
};

/// A socket changes its state: `(struct sock *sk, int oldstate, int newstate)`.
#[btf_tracepoint(function = "inet_sock_set_state")]
fn inet_sock_set_state(ctx: BtfTracePointContext) -> i32 {
    hook::first(|| transition::<0>(&ctx))
}

/// The same, for what happens while the first program is busy on this CPU.
#[btf_tracepoint(function = "inet_sock_set_state")]
fn inet_sock_set_state_nested(ctx: BtfTracePointContext) -> i32 {
    hook::nested(|| transition::<1>(&ctx))
}

/// `PROGRAM`: which of the two programs this is.
#[inline(always)]
fn transition<const PROGRAM: usize>(ctx: &BtfTracePointContext) {
    let Some(sock) = Sock::of_hook(ctx.arg(0)) else {
        return; // MPTCP or SCTP
    };
    let (old_state, new_state) = (number(ctx.arg(1)), number(ctx.arg(2)));
    if old_state == new_state {
        return;
    }
    let selected = selects(sock, new_state == SYN_SENT && sock.is_unbound());
    if selected == Some(false) {
        count(Counter::Filtered);
        if old_state != SYN_SENT {
            return;
        }
    }
    let cookie = sock.cookie();
    let Some(set) = Set::of(cookie) else {
        return;
    };
    let found = set.find(cookie);
    let begun = found.filter(|entry| entry.packed.state() == old_state && entry.packed.is_pending());
    if selected == Some(false) {
        if let Some(entry) = begun {
            count(Counter::Filtered);
            entry.free();
        }
        return;
    }
    let now_ns = now_ns();
    let role = role(old_state, new_state, found);
    if selected.is_none() {
        set.enter(found, cookie, Packed::pending(now_ns, new_state, role), now_ns);
        return;
    }

    let Some(new_state) = actual_state(sock, old_state, new_state) else {
        if let Some(entry) = found {
            entry.free();
        }
        return;
    };
    let Some(writer) = Writer::<PROGRAM>::of(Service::of(sock, role)) else {
        return;
    };
    if begun.is_some() {
        writer.transition(CLOSE, SYN_SENT);
    }
    writer.transition(old_state, new_state);
    if !begins(old_state, new_state) {
        // After a missed event the table has another state, and the time in this one is unknown.
        let known = found.filter(|entry| entry.packed.state() == old_state);
        writer.time_in_state(old_state, known.map(|entry| entry.packed.elapsed_ns(now_ns)));
    }
    if old_state == LISTEN && new_state == SYN_RECV && sock.remote_port() == 0 && has(Helper::SocketCookie) {
        // Older kernels (6.12 still) give a new connection its cookie after this; now it has its listener's.
    } else if new_state != CLOSE && new_state != TIME_WAIT {
        set.enter(found, cookie, Packed::new(now_ns, new_state, role), now_ns);
    } else if let Some(entry) = found {
        entry.free();
    }
}

/// A state's number; 0 for one that is too large for the tables.
#[inline(always)]
fn number(state: i32) -> u8 {
    if (state as u32) < STATES as u32 { state as u8 } else { 0 }
}

/// Whether the socket passes the filters; `None` if the local port will decide, which is not chosen yet.
#[inline(always)]
fn selects(sock: Sock, is_unbound: bool) -> Option<bool> {
    let filters = Filters::load();
    if filters.is_open() {
        return Some(true);
    }
    if !filters.netns(sock) || !filters.addrs(sock) {
        return Some(false);
    }
    if is_unbound { filters.ports_unbound(sock) } else { Some(filters.ports(sock)) }
}

/// The state that the connection is really in; `None` if it stays in the old one.
#[inline(always)]
fn actual_state(sock: Sock, old_state: u8, new_state: u8) -> Option<u8> {
    if new_state != CLOSE {
        return Some(new_state);
    }
    let (error, flags) = (sock.error(), sock.flags(false));
    let send_queue = if old_state == CLOSING { sock.queues(old_state, new_state).1 } else { 0 };
    if becomes_time_wait(old_state, new_state, error, flags, send_queue) {
        Some(TIME_WAIT)
    } else if stays_in_fin_wait2(old_state, new_state, error, flags, sock.linger2()) {
        None
    } else {
        Some(new_state)
    }
}

/// Whether a connection or a listener begins, so that there is no time in the old state.
#[inline(always)]
fn begins(old_state: u8, new_state: u8) -> bool {
    old_state == CLOSE || (old_state == LISTEN && new_state == SYN_RECV)
}

/// Known from some transitions, else from the table.
#[inline(always)]
fn role(old_state: u8, new_state: u8, found: Option<Entry>) -> Role {
    match (old_state, new_state) {
        (CLOSE, SYN_SENT) | (SYN_SENT, _) => Role::Client,
        (LISTEN, SYN_RECV) => Role::Server,
        (CLOSE, LISTEN) | (LISTEN, _) => Role::Listener,
        (CLOSE, _) => Role::Unknown,
        // A server of which the table has no beginning. A client here (simultaneous open) is in the table.
        (SYN_RECV, _) => found.map_or(Role::Server, |entry| entry.packed.role()),
        _ => found.map_or(Role::Unknown, |entry| entry.packed.role()),
    }
}
