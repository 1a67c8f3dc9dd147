//! Counting, in memory of one CPU.

use core::arch::asm;

use aya_ebpf::{btf_maps::PerCpuArray, macros::btf_map};
use tracer_common::event::{COUNTERS, Counter};

#[btf_map]
static COUNTS: PerCpuArray<u64, { COUNTERS as usize }> = PerCpuArray::new();

#[inline(always)]
pub fn count(counter: Counter) {
    if let Some(count) = COUNTS.get_ptr_mut(counter as u32) {
        // SAFETY: a slot of this CPU.
        unsafe { increment(count) };
    }
}

/// Atomic because a softirq may interrupt a task here and count too; by hand because the target
/// has no `fetch_add`.
///
/// # Safety
///
/// `count` points into a map.
#[inline(always)]
pub unsafe fn increment(count: *mut u64) {
    // SAFETY: as promised.
    unsafe { asm!("lock *(u64 *)({count} + 0) += {one}", count = in(reg) count, one = in(reg) 1_u64) };
}

/// An index below `N`, a power of two. The compiler may know that it is and leave the mask out; the
/// verifier forgets such things, so the mask has to stand there.
#[inline(always)]
pub fn index<const N: usize>(index: u8) -> usize {
    let unknown: usize;
    // SAFETY: a copy, of which the compiler knows nothing.
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
