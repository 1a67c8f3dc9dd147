//! What becomes of timewait sockets, which have no transitions.

use aya_ebpf::{
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};
use tracer_common::{
    event::{gone, kind},
    state,
};
use tracer_ebpf::time_wait::TimeWait;

use crate::{incident, timer::Timer};

/// The timer begins anew: `(struct inet_timewait_sock *tw, int timeo, bool rearm)`. One that was an orphan
/// in FIN_WAIT2 has got the peer's FIN, or one in TIME_WAIT has got it again.
#[fentry(function = "__inet_twsk_schedule")]
#[inline(always)]
fn __inet_twsk_schedule(ctx: FEntryContext) -> i32 {
    let rearm: u64 = ctx.arg(2);
    if rearm & 0xff != 0
        && let Some(waiting) = TimeWait::tcp(ctx.arg(0))
        && waiting.substate() == state::TIME_WAIT
    {
        incident::of_bare(&waiting.bare(), kind::TIME_WAIT, 0);
    }
    0
}

/// Its timer: its time is over.
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

/// It goes: `(struct inet_timewait_sock *tw)`.
#[fentry(function = "inet_twsk_kill")]
#[inline(always)]
fn inet_twsk_kill(ctx: FEntryContext) -> i32 {
    if let Some(waiting) = TimeWait::tcp(ctx.arg(0)) {
        let why = if Timer::TimeWait.is_at_work() { gone::TIMEOUT } else { gone::DROPPED };
        incident::of_bare(&waiting.bare(), kind::TIME_WAIT_GONE, why);
    }
    0
}
