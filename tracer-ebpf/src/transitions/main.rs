//! The kernel side: one program on `sock:inet_sock_set_state` that copies facts. It decides
//! nothing and remembers nothing about a socket; user space tells the story.
//!
//! Beside it, a file for each group of hooks that a kernel may lack, or a user not want: user space
//! loads their programs if it can.

#![no_std]
#![no_main]

mod accept;
mod deliver;
mod incident;
mod record;
mod requests;
mod resets;
mod retransmits;
mod select;
mod timer;
mod waits;

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use tracer_common::{
    event::{Counter, flag, kind},
    state,
};
use tracer_ebpf::{
    hook::{self, count::count, netns::netns, select::Filters},
    record::{Occurrence, Subject},
    sock::{Sock, is_listener},
    task::NamedTask,
};

use crate::select::Stage;

/// A socket changed its state: `(struct sock *sk, int oldstate, int newstate)`.
#[btf_tracepoint(function = "inet_sock_set_state")]
#[inline(always)]
fn inet_sock_set_state(ctx: BtfTracePointContext) -> i32 {
    hook::first(|| report::<true>(&ctx))
}

/// What happens while the first is busy.
#[btf_tracepoint(function = "inet_sock_set_state")]
#[inline(always)]
fn inet_sock_set_state_nested(ctx: BtfTracePointContext) -> i32 {
    hook::nested(|| report::<false>(&ctx))
}

/// `SAYS`: with diagnostics, in the debug object.
#[inline(always)]
fn report<const SAYS: bool>(ctx: &BtfTracePointContext) {
    let Some(sock) = Sock::of_hook(ctx.arg(0)) else {
        return; // MPTCP or SCTP
    };
    let old_state: i32 = ctx.arg(1);
    let new_state: i32 = ctx.arg(2);
    let is_unbound = new_state == i32::from(state::SYN_SENT) && sock.is_unbound();
    let stage = Stage {
        is_unbound,
        leaves_syn_sent: old_state == i32::from(state::SYN_SENT),
        is_unfilled: old_state == i32::from(state::LISTEN)
            && new_state == i32::from(state::SYN_RECV)
            && sock.remote_port() == 0,
        is_listener: is_listener(old_state as u8, new_state as u8),
    };
    let filters = Filters::load();
    if !select::selects(&filters, sock, &stage) {
        count(Counter::Filtered);
        return;
    }
    let occurrence = Occurrence {
        netns: netns(sock),
        flags: if is_unbound { flag::UNBOUND } else { 0 },
        old_state: old_state as u8,
        new_state: new_state as u8,
        kind: kind::TRANSITION,
        detail: 0,
    };
    let task = NamedTask::OnCpu { by_process: filters.for_stories() };
    if !record::report(Subject::Full(sock), task, &occurrence) {
        #[cfg(feature = "log")]
        if SAYS {
            aya_log_ebpf::warn!(ctx, "ring buffer full: {} -> {} lost", old_state, new_state);
        }
        return;
    }
    #[cfg(feature = "log")]
    if SAYS {
        aya_log_ebpf::debug!(
            ctx,
            "{} -> {} port {} to {} netns {}",
            old_state,
            new_state,
            sock.local_port(),
            sock.remote_port(),
            occurrence.netns
        );
    }
}
