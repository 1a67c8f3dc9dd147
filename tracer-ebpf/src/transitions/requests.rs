//! Half-open connections: the kernel has sent a SYN-ACK and waits for the ACK. They have no socket yet, but
//! a request, of which the tracepoint tells nothing; the connection's socket inherits its cookie.

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

/// One begins: `(struct sock *sk, struct request_sock *req, unsigned long timeout)`.
#[fentry(function = "inet_csk_reqsk_queue_hash_add")]
#[inline(always)]
fn inet_csk_reqsk_queue_hash_add(ctx: FEntryContext) -> i32 {
    // DCCP has requests, too, where there still is DCCP.
    if Sock::tcp(ctx.arg(0)).is_some() {
        incident::of_bare(&Request(ctx.arg(1)).bare(), kind::REQUEST, 0);
    }
    0
}

/// Its timer: the SYN-ACK is sent again, or it is given up.
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

/// It goes: `(struct request_sock *req)`.
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
    // With a socket of its own it has become a connection; without a cookie it never was told.
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
