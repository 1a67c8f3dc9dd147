//! What becomes of timewait sockets, which have no transitions.

use aya_ebpf::{
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};
use tracer_common::{
    event::{gone, kind},
    state,
};
use tracer_ebpf::{sock::Sock, timewait::Timewait};

use crate::{incident, timer::Timer};

/// One should be made for a full socket: `(const struct sock *sk, struct inet_timewait_death_row *dr, int state)`,
/// which returns NULL if there are too many already.
#[fexit(function = "inet_twsk_alloc")]
#[inline(always)]
fn inet_twsk_alloc(ctx: FExitContext) -> i32 {
    let made: u64 = ctx.arg(3);
    if made == 0
        && let Some(sock) = Sock::of_hook(ctx.arg(0))
    {
        incident::of_socket(sock, kind::NO_TIME_WAIT, 0);
    }
    0
}

/// Its timer starts again: `(struct inet_timewait_sock *tw, int timeo, bool rearm)`. In TIME_WAIT that means
/// that the peer's FIN has come: the first one, to a socket that waited in FIN_WAIT2, or another one.
#[fentry(function = "__inet_twsk_schedule")]
#[inline(always)]
fn __inet_twsk_schedule(ctx: FEntryContext) -> i32 {
    let rearm: u64 = ctx.arg(2);
    if rearm & 0xff != 0
        && let Some(timewait) = Timewait::tcp(ctx.arg(0))
        && timewait.substate() == state::TIME_WAIT
    {
        incident::of_bare(&timewait.bare(), kind::TIME_WAIT, 0);
    }
    0
}

/// Its timer runs: its time is over.
#[fentry(function = "tw_timer_handler")]
#[inline(always)]
fn tw_timer_handler(_: FEntryContext) -> i32 {
    Timer::TimeWait.set(true)
}

#[fexit(function = "tw_timer_handler")]
#[inline(always)]
fn tw_timer_handler_end(_: FExitContext) -> i32 {
    Timer::TimeWait.set(false)
}

/// It ends: `(struct inet_timewait_sock *tw)`.
#[fentry(function = "inet_twsk_kill")]
#[inline(always)]
fn inet_twsk_kill(ctx: FEntryContext) -> i32 {
    if let Some(timewait) = Timewait::tcp(ctx.arg(0)) {
        let why = if Timer::TimeWait.is_at_work() { gone::TIMEOUT } else { gone::DROPPED };
        incident::of_bare(&timewait.bare(), kind::TIME_WAIT_GONE, why);
    }
    0
}
