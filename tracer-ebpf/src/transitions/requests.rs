//! Half-open connections: the kernel has sent a SYN-ACK and waits for the ACK (SYN-RECEIVED in RFC 9293).
//! Since 4.4 such a connection is a request socket, for which the tracepoint does not fire; the later full
//! socket inherits its cookie.

use aya_ebpf::{
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};
use tracer_common::{
    event::{gone, kind},
    state,
};
use tracer_ebpf::{request::Request, sock::Sock};

use crate::{incident, timer::Timer};

/// A request begins: `(struct sock *sk, struct request_sock *req, unsigned long timeout)`.
#[fentry(function = "inet_csk_reqsk_queue_hash_add")]
#[inline(always)]
fn inet_csk_reqsk_queue_hash_add(ctx: FEntryContext) -> i32 {
    // DCCP, where the kernel still has it, calls this function, too.
    if Sock::tcp(ctx.arg(0)).is_some() {
        incident::of_bare(&Request(ctx.arg(1)).bare(), kind::REQUEST, 0);
    }
    0
}

/// Its timer runs: the SYN-ACK is sent again, or the request is given up.
#[fentry(function = "reqsk_timer_handler")]
#[inline(always)]
fn reqsk_timer_handler(_: FEntryContext) -> i32 {
    Timer::Request.set(true)
}

#[fexit(function = "reqsk_timer_handler")]
#[inline(always)]
fn reqsk_timer_handler_end(_: FExitContext) -> i32 {
    Timer::Request.set(false)
}

/// It ends: `(struct request_sock *req)`.
#[fentry(function = "tcp_v4_reqsk_destructor")]
#[inline(always)]
fn tcp_v4_reqsk_destructor(ctx: FEntryContext) -> i32 {
    gone(Request(ctx.arg(0)))
}

/// The same for IPv6.
#[fentry(function = "tcp_v6_reqsk_destructor")]
#[inline(always)]
fn tcp_v6_reqsk_destructor(ctx: FEntryContext) -> i32 {
    gone(Request(ctx.arg(0)))
}

#[inline(always)]
fn gone(request: Request) -> i32 {
    // With a socket it has become a connection; without a cookie its beginning was never reported.
    if request.has_socket() || !request.has_cookie() {
        return 0;
    }
    let why = if request.listener_state() != Some(state::LISTEN) {
        gone::LISTENER_GONE
    } else if Timer::Request.is_at_work() {
        gone::TIMEOUT
    } else {
        gone::DROPPED
    };
    incident::of_bare(&request.bare(), kind::REQUEST_GONE, why);
    0
}
