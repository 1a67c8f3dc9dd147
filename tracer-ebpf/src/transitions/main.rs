//! Programs that report each event to user space.
//!
//! The main one is on the tracepoint `sock:inet_sock_set_state`. It copies the facts that are in the socket
//! at that moment, and keeps nothing about sockets: user space correlates events by cookie.
//!
//! # Layout
//!
//! * `select`: which transitions are reported. `report`: reserve, fill, submit. `ring`: ring buffers and
//!   wakeups.
//! * `accept`, `cgroups`, `requests`, `resets`, `retransmits`, `timewaits`: a file for each group of hooks that a kernel
//!   may lack, or that nobody may need; user space loads them if it can. `incident`: what they have in
//!   common; `timer`: whether a timer of the kernel's is at work.

#![no_std]
#![no_main]

mod accept;
mod cgroups;
mod incident;
mod report;
mod requests;
mod resets;
mod retransmits;
mod ring;
mod select;
mod timer;
mod timewaits;

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use tracer_common::{
    event::{Counter, flag, kind},
    state,
};
use tracer_ebpf::{
    hook::{self, count::count, filters::Filters, netns::netns},
    record::Occurrence,
    sock::{Sock, queues::is_listener},
    subject::Subject,
    task::NamedTask,
};

use crate::select::Stage;

/// A socket changes its state: `(struct sock *sk, int oldstate, int newstate)`.
#[btf_tracepoint(function = "inet_sock_set_state")]
#[inline(always)]
fn inet_sock_set_state(ctx: BtfTracePointContext) -> i32 {
    hook::first(|| transition::<true>(&ctx))
}

/// The same, for what happens while the first program is busy on this CPU.
#[btf_tracepoint(function = "inet_sock_set_state")]
#[inline(always)]
fn inet_sock_set_state_nested(ctx: BtfTracePointContext) -> i32 {
    hook::nested(|| transition::<false>(&ctx))
}

/// `LOGS`: with log messages, in the debug object.
#[inline(always)]
fn transition<const LOGS: bool>(ctx: &BtfTracePointContext) {
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
    if !report::report(Subject::Full(sock), task, &occurrence) {
        #[cfg(feature = "log")]
        if LOGS {
            aya_log_ebpf::warn!(ctx, "ring buffer full: {} -> {} lost", old_state, new_state);
        }
        return;
    }
    #[cfg(feature = "log")]
    if LOGS {
        aya_log_ebpf::debug!(
            ctx,
            "{} -> {} port {} to {} netns {}",
            old_state,
            new_state,
            sock.local_port(),
            sock.remote_port(),
            occurrence.netns.inum
        );
    }
}
