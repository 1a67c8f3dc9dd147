//! Which process accepts a connection. It need be neither the one that called `listen` nor the first one that
//! uses the connection.

use aya_ebpf::{Global, macros::fexit, programs::FExitContext};
use tracer_common::event::kind;
use tracer_ebpf::{kernel::argument, sock::Sock, task::Task};

use crate::incident;

/// How many arguments the running kernel's function has; the return value stands behind them.
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
        // Unknown, so the place of the return value is, too.
        _ => return 0,
    };
    // It accepts for a server in the kernel, such as nfsd, and is nobody's process.
    if Task::current_is_kernel_thread() != 0 {
        return 0;
    }
    // NULL, which a failed accept returns, is checked by the helper.
    if let Some(sock) = Sock::tcp(child) {
        incident::of_socket(sock, kind::ACCEPTED, 0);
    }
    0
}
