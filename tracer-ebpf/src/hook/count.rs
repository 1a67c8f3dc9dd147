//! Counters, in per-CPU memory.

use core::arch::asm;

use aya_ebpf::{btf_maps::PerCpuArray, macros::btf_map};
use tracer_common::event::{COUNTERS, Counter};

#[btf_map]
static COUNTS: PerCpuArray<u64, { COUNTERS as usize }> = PerCpuArray::new();

/// Adds one.
#[inline(always)]
pub fn count(counter: Counter) {
    if let Some(count) = COUNTS.get_ptr_mut(counter as u32) {
        // SAFETY: a slot of this CPU.
        unsafe { increment(count) };
    }
}

/// Adds one. Atomic, because a softirq may interrupt a task here and count too; in assembly, because the
/// target has no `fetch_add`.
///
/// # Safety
///
/// `count` points into a map.
#[inline(always)]
pub unsafe fn increment(count: *mut u64) {
    // SAFETY: as promised.
    unsafe { asm!("lock *(u64 *)({count} + 0) += {one}", count = in(reg) count, one = in(reg) 1_u64) };
}

/// An index below `N`, a power of two. The verifier needs the mask even where the compiler knows that the
/// index is small enough, and would leave it out.
#[inline(always)]
pub fn index<const N: usize>(index: u8) -> usize {
    let unknown: usize;
    // SAFETY: copies a register; the compiler knows nothing about the result.
    unsafe {
        asm!(
            "{unknown} = {index}",
            unknown = lateout(reg) unknown,
            index = in(reg) usize::from(index),
            options(pure, nomem, nostack)
        );
    }
    unknown % N
}
