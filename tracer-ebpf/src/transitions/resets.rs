//! RST segments: those sent, with the kernel's reason, and those received.

use aya_ebpf::{Global, macros::btf_tracepoint, programs::BtfTracePointContext};
use tracer_common::{
    event::{Counter, REASON_UNKNOWN, flag, kind},
    state,
};
use tracer_ebpf::{
    hook::{count::count, netns::netns},
    netns::Netns,
    segment::Segment,
    sock::Sock,
    subject::Bare,
    timewait::Timewait,
};

use crate::incident;

/// How many arguments the running kernel's hook has.
#[unsafe(no_mangle)]
static SEND_RESET_ARGS: Global<u32> = Global::new(2);

/// Whether RSTs that belong to no connection are reported. A flood of them would fill the ring buffer.
#[unsafe(no_mangle)]
static STRAY_RESETS: Global<u32> = Global::new(1);

/// An RST was sent: `(struct sock *sk, struct sk_buff *skb, enum sk_rst_reason reason)`, the reason since
/// 6.10.
///
/// `sk` may be a timewait socket, or NULL. `skb` is the segment that the RST answers; it is NULL when a full
/// socket resets its connection by itself. Verifiers from 6.2 to 6.12 take both for valid pointers: they
/// remove checks for NULL and leave loads unguarded, and a load through NULL would crash the kernel. So `sk`
/// is read only through what a helper returns, which checks for NULL, and `skb` only if there is no full
/// socket of a connection.
#[btf_tracepoint(function = "tcp_send_reset")]
#[inline(always)]
fn tcp_send_reset(ctx: BtfTracePointContext) -> i32 {
    let reason = if SEND_RESET_ARGS.load() > 2 {
        u8::try_from(ctx.arg::<i32>(2)).unwrap_or(REASON_UNKNOWN)
    } else {
        REASON_UNKNOWN
    };
    let sk: *const core::ffi::c_void = ctx.arg(0);
    let (mut listener, mut timewait) = (None, None);
    if !sk.is_null() {
        if let Some(sock) = Sock::tcp(sk) {
            if sock.state() != state::LISTEN {
                incident::of_socket(sock, kind::RESET_SENT, reason);
                return 0;
            }
            // The RST is for a half-open connection, or for none.
            listener = Some((netns(sock), sock.cookie()));
        } else {
            timewait = Timewait::tcp(sk).map(Timewait::bare);
        }
    }
    if let Some(bare) = timewait.or_else(|| answered(&ctx, listener)) {
        incident::of_bare(&bare, kind::RESET_SENT, reason);
    }
    0
}

/// What an RST that belongs to no connection answers: a segment to a listener in the given namespace, or to
/// nobody.
#[inline(always)]
fn answered(ctx: &BtfTracePointContext, listener: Option<(Netns, u64)>) -> Option<Bare> {
    let skb: *const u8 = ctx.arg(1);
    if STRAY_RESETS.load() == 0 || skb.is_null() {
        return None;
    }
    let segment = Segment(skb);
    let Some(endpoints) = segment.endpoints() else {
        count(Counter::LostIncidents);
        return None;
    };
    let (netns, state, listener_cookie) = match listener {
        Some((netns, cookie)) => (netns, state::LISTEN, cookie),
        None => (segment.netns(), state::CLOSE, 0),
    };
    let flags = if segment.opens() { flag::ANSWERS_SYN } else { 0 };
    Some(Bare { cookie: 0, endpoints, netns, state, listener_cookie, flags })
}

/// An RST was received, and the connection will end: `(struct sock *sk)`.
#[btf_tracepoint(function = "tcp_receive_reset")]
#[inline(always)]
fn tcp_receive_reset(ctx: BtfTracePointContext) -> i32 {
    if let Some(sock) = Sock::of_hook(ctx.arg(0)) {
        incident::of_socket(sock, kind::RESET_RECEIVED, REASON_UNKNOWN);
    }
    0
}
