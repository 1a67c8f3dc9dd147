//! Being on the tracepoint, with counters and filters; and being there twice.
//!
//! Since 6.2 the kernel skips a program that would interrupt itself on a CPU: a softirq in the
//! middle of a task's event would go unseen. A second program, behind the first on the same hook,
//! does the work while the first is busy, and nothing else.

pub mod count;
pub mod netns;
pub mod select;

use aya_ebpf::{btf_maps::PerCpuArray, macros::btf_map};
use tracer_common::event::Counter;

use crate::hook::count::count;

/// Whether the first program is at work on this CPU.
#[btf_map]
static BUSY: PerCpuArray<u64, 1> = PerCpuArray::new();

/// The first program.
#[inline(always)]
pub fn first(work: impl FnOnce()) -> i32 {
    if let Some(busy) = BUSY.get_ptr_mut(0) {
        // SAFETY: this CPU's word; volatile, because what reads it interrupts this very program.
        unsafe { busy.write_volatile(1) };
        work();
        // SAFETY: as above.
        unsafe { busy.write_volatile(0) };
    }
    0
}

/// The second.
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
