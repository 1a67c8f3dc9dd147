//! What programs on the tracepoint need.
//!
//! # Layout
//!
//! * [`count`]: per-CPU counters. [`filters`], `marks`: filters on constant facts. [`netns`]: a cache of
//!   namespace numbers.
//! * [`first`] and [`nested`]: two programs on one hook.
//!
//! Since 6.2 the kernel skips a tracing program that would interrupt itself on a CPU, so an event in a
//! softirq that interrupts a task's event would be missed. A second program, attached behind the first, does
//! the work while the first one runs, and otherwise returns at once.

pub mod count;
pub mod filters;
mod marks;
pub mod netns;

use aya_ebpf::{btf_maps::PerCpuArray, macros::btf_map};
use tracer_common::event::Counter;

use crate::hook::count::count;

/// 1 while the first program runs on this CPU.
#[btf_map]
static BUSY: PerCpuArray<u64, 1> = PerCpuArray::new();

/// Does the work of the first program.
#[inline(always)]
pub fn first(work: impl FnOnce()) -> i32 {
    if let Some(busy) = BUSY.get_ptr_mut(0) {
        // SAFETY: this CPU's word; volatile, because the program that reads it interrupts this one.
        unsafe { busy.write_volatile(1) };
        work();
        // SAFETY: as above.
        unsafe { busy.write_volatile(0) };
    }
    0
}

/// Does the work of the second program: that of the first, while the first is busy.
#[inline(always)]
pub fn nested(work: impl FnOnce()) -> i32 {
    if is_busy() {
        count(Counter::Nested);
        work();
    }
    0
}

#[inline(always)]
fn is_busy() -> bool {
    // SAFETY: as in `first`.
    BUSY.get_ptr_mut(0).is_some_and(|busy| unsafe { busy.read_volatile() } != 0)
}
