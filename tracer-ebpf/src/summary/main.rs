//! The kernel side of a summary that no event leaves the kernel for: a program on
//! `sock:inet_sock_set_state` that counts transitions and measures stays. It tells what a
//! transition really is as user space does, from the same code, and says nothing about causes.

#![no_std]
#![no_main]

mod slots;
mod tally;
mod word;

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use tracer_common::{
    event::Counter,
    fold::STATES,
    helper::Helper,
    state::{CLOSE, LISTEN, SYN_RECV, SYN_SENT, TIME_WAIT},
    timewait::{becomes_time_wait, stays_in_fin_wait2},
};
use tracer_ebpf::{
    hook::{self, count::count, select::Filters},
    kernel::{has, now_ns},
    sock::Sock,
};

use crate::{
    slots::{Entry, Set},
    tally::{Service, Tally},
    word::{Role, Word},
};

/// A socket changed its state: `(struct sock *sk, int oldstate, int newstate)`.
#[btf_tracepoint(function = "inet_sock_set_state")]
fn inet_sock_set_state(ctx: BtfTracePointContext) -> i32 {
    hook::first(|| fold::<0>(&ctx))
}

/// What happens while the first is busy.
#[btf_tracepoint(function = "inet_sock_set_state")]
fn inet_sock_set_state_nested(ctx: BtfTracePointContext) -> i32 {
    hook::nested(|| fold::<1>(&ctx))
}

/// `WRITER`: which of the programs this is.
#[inline(always)]
fn fold<const WRITER: usize>(ctx: &BtfTracePointContext) {
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
    let begun = found.filter(|entry| entry.word.state() == old_state && entry.word.is_pending());
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
        set.enter(found, cookie, Word::pending(now_ns, new_state, role), now_ns);
        return;
    }

    let Some(new_state) = truth(sock, old_state, new_state) else {
        if let Some(entry) = found {
            entry.free();
        }
        return;
    };
    let Some(tally) = Tally::<WRITER>::of(Service::of(sock, role)) else {
        return;
    };
    if begun.is_some() {
        tally.transition(CLOSE, SYN_SENT);
    }
    tally.transition(old_state, new_state);
    if !is_birth(old_state, new_state) {
        // After a missed event it is in a state that nobody saw it enter.
        let known = found.filter(|entry| entry.word.state() == old_state);
        tally.stay(old_state, known.map(|entry| entry.word.elapsed_ns(now_ns)));
    }
    if old_state == LISTEN && new_state == SYN_RECV && sock.remote_port() == 0 && has(Helper::SocketCookie) {
        // Older kernels give a child its own cookie only after this: it still has its listener's.
    } else if new_state != CLOSE && new_state != TIME_WAIT {
        set.enter(found, cookie, Word::new(now_ns, new_state, role), now_ns);
    } else if let Some(entry) = found {
        entry.free();
    }
}

/// A state's number; 0 if there is no room for it.
#[inline(always)]
fn number(state: i32) -> u8 {
    if (state as u32) < STATES as u32 { state as u8 } else { 0 }
}

/// Whether the filters select the socket; `None` if a port that is not chosen yet will decide.
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

/// The state that it has really come to; `None` if it stays in its old one.
#[inline(always)]
fn truth(sock: Sock, old_state: u8, new_state: u8) -> Option<u8> {
    if new_state != CLOSE {
        return Some(new_state);
    }
    let (error, flags) = (sock.error(), sock.flags());
    if becomes_time_wait(old_state, new_state, error, flags) {
        Some(TIME_WAIT)
    } else if stays_in_fin_wait2(old_state, new_state, error, flags) {
        None
    } else {
        Some(new_state)
    }
}

/// Whether a connection or a listener begins: nothing was spent in the state before.
#[inline(always)]
fn is_birth(old_state: u8, new_state: u8) -> bool {
    old_state == CLOSE || (old_state == LISTEN && new_state == SYN_RECV)
}

/// Some transitions tell the role; at others the table knows it.
#[inline(always)]
fn role(old_state: u8, new_state: u8, found: Option<Entry>) -> Role {
    match (old_state, new_state) {
        (CLOSE, SYN_SENT) | (SYN_SENT, _) => Role::Client,
        (LISTEN, SYN_RECV) => Role::Server,
        (CLOSE, LISTEN) | (LISTEN, _) => Role::Listener,
        (CLOSE, _) => Role::Unknown,
        // Nothing was known of it at its birth. A client that comes here was known before.
        (SYN_RECV, _) => found.map_or(Role::Server, |entry| entry.word.role()),
        _ => found.map_or(Role::Unknown, |entry| entry.word.role()),
    }
}
