//! The kernel side: one program on `sock:inet_sock_set_state` that copies facts. It decides
//! nothing and remembers nothing about a socket; user space tells the story.

#![no_std]
#![no_main]

mod deliver;
mod select;

use aya_ebpf::{
    helpers::{bpf_get_current_pid_tgid, generated as helpers},
    macros::btf_tracepoint,
    programs::BtfTracePointContext,
};
use tracer_common::{
    Event,
    event::{COMM_LEN, Counter, flag},
    state,
};

use tracer_ebpf::{
    hook::{self, count::count, netns::netns, select::Filters},
    sock::{Sock, is_listener},
    task::Task,
};

use crate::{deliver::Ring, select::Stage};

/// A socket changed its state: `(struct sock *sk, int oldstate, int newstate)`.
#[btf_tracepoint(function = "inet_sock_set_state")]
fn inet_sock_set_state(ctx: BtfTracePointContext) -> i32 {
    hook::first(|| report::<true>(&ctx))
}

/// What happens while the first is busy.
#[btf_tracepoint(function = "inet_sock_set_state")]
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
        is_listener: is_listener(old_state, new_state),
    };
    let filters = Filters::load();
    if !select::selects(&filters, sock, &stage) {
        count(Counter::Filtered);
        return;
    }
    let ends = sock.ends();
    let netns = netns(sock);
    let (recv_queue, send_queue) = sock.queues(old_state, new_state);

    let Some(ring) = Ring::of_this_cpu() else {
        count(Counter::Lost);
        return;
    };
    let Some(mut entry) = ring.reserve() else {
        count(Counter::Lost);
        #[cfg(feature = "log")]
        if SAYS {
            aya_log_ebpf::warn!(ctx, "ring buffer full: {} -> {} lost", old_state, new_state);
        }
        return;
    };
    // Taken after the reservation: whatever user space has not seen yet when it looks is younger
    // than its look, so it can put events into order without guessing.
    // SAFETY: reads the clock.
    let time_ns = unsafe { helpers::bpf_ktime_get_ns() };
    let pid_tgid = bpf_get_current_pid_tgid();
    let event: *mut Event = entry.as_mut_ptr();
    // SAFETY: `event` points to reserved ring-buffer memory of the size of an Event; each field is
    // written once, none is read.
    unsafe {
        (&raw mut (*event).time_ns).write(time_ns);
        (&raw mut (*event).cookie).write(sock.cookie());
        (&raw mut (*event).cgroup).write(sock.cgroup());
        (&raw mut (*event).bytes_acked).write(sock.bytes_acked());
        (&raw mut (*event).bytes_received).write(sock.bytes_received());
        (&raw mut (*event).local_addr).cast::<[u32; 4]>().write(ends.local_addr);
        (&raw mut (*event).remote_addr).cast::<[u32; 4]>().write(ends.remote_addr);
        if filters.for_stories() {
            (&raw mut (*event).comm).write(Task::current_comm());
        } else {
            helpers::bpf_get_current_comm((&raw mut (*event).comm).cast(), COMM_LEN as u32);
        }
        (&raw mut (*event).pid).write((pid_tgid >> 32) as u32);
        (&raw mut (*event).tid).write(pid_tgid as u32);
        (&raw mut (*event).netns).write(netns);
        (&raw mut (*event).uid).write(sock.uid());
        (&raw mut (*event).srtt_us).write(sock.srtt_us());
        (&raw mut (*event).retransmits).write(sock.retransmits());
        (&raw mut (*event).recv_queue).write(recv_queue);
        (&raw mut (*event).send_queue).write(send_queue);
        (&raw mut (*event).error).write(sock.error());
        (&raw mut (*event).cpu).write(helpers::bpf_get_smp_processor_id() as u16);
        (&raw mut (*event).local_port).write(ends.local_port);
        (&raw mut (*event).remote_port).write(ends.remote_port);
        let unbound = if is_unbound { flag::UNBOUND } else { 0 };
        (&raw mut (*event).flags).write(sock.flags() | unbound);
        (&raw mut (*event).family).write(ends.family);
        (&raw mut (*event).old_state).write(old_state as u8);
        (&raw mut (*event).new_state).write(new_state as u8);
        (&raw mut (*event).shutdown).write(sock.shutdown());
        (&raw mut (*event).reserved).write(0);
    }
    #[cfg(feature = "log")]
    if SAYS {
        aya_log_ebpf::debug!(
            ctx,
            "{} -> {} port {} to {} netns {}",
            old_state,
            new_state,
            ends.local_port,
            ends.remote_port,
            netns
        );
    }
    entry.submit(ring.wakeup(time_ns));
}
