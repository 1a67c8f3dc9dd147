//! RST segments: sent, with the kernel's reason, and received.

use aya_ebpf::{Global, macros::btf_tracepoint, programs::BtfTracePointContext};
use tracer_common::{
    event::{Counter, REASON_UNTOLD, kind},
    state,
};
use tracer_ebpf::{
    hook::{count::count, netns::netns},
    record::Bare,
    segment::Segment,
    sock::Sock,
    time_wait::TimeWait,
};

use crate::incident;

/// How many arguments the running kernel's hook has.
#[unsafe(no_mangle)]
static SEND_RESET_ARGS: Global<u32> = Global::new(2);

/// Whether anybody wants RSTs that belong to no connection. A flood of them would only take room.
#[unsafe(no_mangle)]
static STRAY_RESETS: Global<u32> = Global::new(1);

/// An RST has gone out: `(struct sock *sk, struct sk_buff *skb, enum sk_rst_reason reason)`, the reason
/// since 6.10.
///
/// `sk` may be a timewait socket, or NULL. `skb` is what it answers to, and NULL where a full socket
/// sends it by itself. Verifiers before 6.13 know neither, trust both since 6.2, and a load through
/// NULL would be the kernel's end: `sk` is only read after a helper has judged it, which asks for NULL
/// too, and `skb` only without a connection's full socket.
#[btf_tracepoint(function = "tcp_send_reset")]
#[inline(always)]
fn tcp_send_reset(ctx: BtfTracePointContext) -> i32 {
    let reason = if SEND_RESET_ARGS.load() > 2 {
        u8::try_from(ctx.arg::<i32>(2)).unwrap_or(REASON_UNTOLD)
    } else {
        REASON_UNTOLD
    };
    let sk: *const core::ffi::c_void = ctx.arg(0);
    let (mut listener, mut waiting) = (None, None);
    if !sk.is_null() {
        if let Some(sock) = Sock::tcp(sk) {
            if sock.state() != state::LISTEN {
                incident::of_socket(sock, kind::RESET_SENT, reason);
                return 0;
            }
            // Of a half-open connection, or of none.
            listener = Some(netns(sock));
        } else {
            waiting = TimeWait::tcp(sk).map(TimeWait::bare);
        }
    }
    if let Some(bare) = waiting.or_else(|| answered(&ctx, listener)) {
        incident::of_bare(&bare, kind::RESET_SENT, reason);
    }
    0
}

/// The segment that was answered, of no connection; perhaps sent to a listener, in this namespace.
#[inline(always)]
fn answered(ctx: &BtfTracePointContext, listener: Option<u32>) -> Option<Bare> {
    let skb: *const u8 = ctx.arg(1);
    if STRAY_RESETS.load() == 0 || skb.is_null() {
        return None;
    }
    let segment = Segment(skb);
    let Some(ends) = segment.ends() else {
        count(Counter::LostIncidents);
        return None;
    };
    let (netns, state) = match listener {
        Some(netns) => (netns, state::LISTEN),
        None => (segment.netns(), state::CLOSE),
    };
    Some(Bare { cookie: 0, ends, netns, state })
}

/// An RST has arrived, and the connection will end: `(struct sock *sk)`.
#[btf_tracepoint(function = "tcp_receive_reset")]
#[inline(always)]
fn tcp_receive_reset(ctx: BtfTracePointContext) -> i32 {
    if let Some(sock) = Sock::of_hook(ctx.arg(0)) {
        incident::of_socket(sock, kind::RESET_RECEIVED, REASON_UNTOLD);
    }
    0
}
