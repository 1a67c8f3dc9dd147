//! Retransmitted segments.

use aya_ebpf::{Global, macros::btf_tracepoint, programs::BtfTracePointContext};
use tracer_common::event::{REASON_UNKNOWN, kind};
use tracer_ebpf::{request::Request, sock::Sock};

use crate::incident;

/// How many arguments the running kernel's hook has.
#[unsafe(no_mangle)]
static RETRANSMIT_ARGS: Global<u32> = Global::new(2);

/// A segment was retransmitted: `(struct sock *sk, struct sk_buff *skb, int err)`. Since 6.17 the hook also
/// fires when that failed, with `err` set.
#[btf_tracepoint(function = "tcp_retransmit_skb")]
#[inline(always)]
fn tcp_retransmit_skb(ctx: BtfTracePointContext) -> i32 {
    if RETRANSMIT_ARGS.load() > 2 && ctx.arg::<i32>(2) != 0 {
        return 0;
    }
    if let Some(sock) = Sock::of_hook(ctx.arg(0)) {
        incident::of_socket(sock, kind::RETRANSMIT, REASON_UNKNOWN);
    }
    0
}

/// A SYN-ACK was retransmitted: `(struct sock *sk, struct request_sock *req)`. The connection is the request;
/// `sk` is its listener.
#[btf_tracepoint(function = "tcp_retransmit_synack")]
#[inline(always)]
fn tcp_retransmit_synack(ctx: BtfTracePointContext) -> i32 {
    let request = Request(ctx.arg(1));
    incident::of_bare(&request.bare(), kind::RETRANSMIT_SYNACK, REASON_UNKNOWN);
    0
}
