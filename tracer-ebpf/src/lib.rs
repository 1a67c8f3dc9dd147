//! What the kernel programs share.
//!
//! # Layout
//!
//! * [`kernel`]: loads from kernel memory, at offsets that user space found in the kernel's BTF.
//! * [`sock`], [`request`], [`timewait`], [`mptcp`], [`segment`], [`netns`], [`cgroup`], [`task`]: readers of one kernel
//!   structure each;
//!   [`endpoints`]: what identifies a connection.
//! * [`subject`], [`record`]: filling in an event, in one place for all programs.
//! * [`hook`]: what programs on the tracepoint need: counters, filters, the second program behind the first.
//!
//! The programs are the folders `transitions` (a record for each event), `summary` (counts in the kernel) and
//! `sockets` (iterators over existing sockets); each is an object file of its own.

#![no_std]
#![feature(asm_experimental_arch)]
#![allow(unstable_features, reason = "inline assembly for this target has no other way")]

pub mod cgroup;
pub mod endpoints;
// A feature because of its maps: a program that links them creates them.
#[cfg(feature = "hook")]
pub mod hook;
pub mod kernel;
pub mod mptcp;
pub mod netns;
pub mod record;
pub mod request;
pub mod segment;
pub mod sock;
pub mod subject;
pub mod task;
pub mod timewait;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    // SAFETY: the verifier refuses a program that could get here.
    unsafe { core::hint::unreachable_unchecked() }
}

/// Tracing programs may call `bpf_get_socket_cookie` (since 5.12) only under a licence that goes with the
/// GPL.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
