//! What the kernel programs share: reading sockets, being on the hook, and what every program must
//! have.

#![no_std]
#![feature(asm_experimental_arch)]
#![allow(unstable_features, reason = "inline assembly for this target has no other way")]

// A feature because of its maps: whatever links them creates them.
#[cfg(feature = "hook")]
pub mod hook;
pub mod kernel;
pub mod record;
pub mod request;
pub mod segment;
pub mod sock;
pub mod task;
pub mod time_wait;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    // SAFETY: the verifier refuses a program in which this could be reached.
    unsafe { core::hint::unreachable_unchecked() }
}

/// `bpf_get_socket_cookie` on a socket of a tracing program (5.12) is for GPL-compatible programs.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
