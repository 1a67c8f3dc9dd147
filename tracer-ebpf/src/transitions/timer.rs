//! Timers at work: what goes while one runs on this CPU goes because its time is over.

use aya_ebpf::{btf_maps::PerCpuArray, macros::btf_map};

/// Whose.
#[derive(Clone, Copy)]
#[repr(u32)]
pub enum Timer {
    Request,
    TimeWait,
}

#[btf_map]
static AT_WORK: PerCpuArray<u64, 2> = PerCpuArray::new();

impl Timer {
    #[inline(always)]
    pub fn set(self, is_at_work: bool) -> i32 {
        if let Some(at_work) = AT_WORK.get_ptr_mut(self as u32) {
            // SAFETY: this CPU's word; what reads it is called by the timer itself.
            unsafe { at_work.write_volatile(u64::from(is_at_work)) };
        }
        0
    }

    #[inline(always)]
    pub fn is_at_work(self) -> bool {
        // SAFETY: as above.
        AT_WORK.get_ptr_mut(self as u32).is_some_and(|at_work| unsafe { at_work.read_volatile() } != 0)
    }
}
