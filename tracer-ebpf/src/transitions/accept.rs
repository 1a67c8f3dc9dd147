//! Who accepts a connection: neither its listener's process nor the first that reads from it need be.

use aya_ebpf::{Global, macros::fexit, programs::FExitContext};
use tracer_common::event::kind;
use tracer_ebpf::{kernel::argument, sock::Sock};

use crate::incident;

/// How many arguments the running kernel's function has; what it returns stands behind them.
#[unsafe(no_mangle)]
static ACCEPT_ARGS: Global<u32> = Global::new(2);

/// `struct sock *inet_csk_accept(struct sock *sk, struct proto_accept_arg *arg)`; before 6.10 with
/// `(struct sock *sk, int flags, int *err, bool kern)`.
#[fexit(function = "inet_csk_accept")]
#[inline(always)]
fn inet_csk_accept(ctx: FExitContext) -> i32 {
    let child = match ACCEPT_ARGS.load() {
        2 => argument::<2>(&ctx),
        4 => argument::<4>(&ctx),
        // What it returns is elsewhere.
        _ => return 0,
    };
    // The helper asks for NULL, which is what an accept in vain returns.
    if let Some(sock) = Sock::tcp(child) {
        incident::of_socket(sock, kind::ACCEPTED, 0);
    }
    0
}
