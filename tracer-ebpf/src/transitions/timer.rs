//! Which of the kernel's timers runs on this CPU: what ends meanwhile ends by timeout.

use aya_ebpf::{btf_maps::PerCpuArray, macros::btf_map};

/// A timer of the kernel's.
#[derive(Clone, Copy)]
#[repr(u32)]
pub enum Timer {
    /// `reqsk_timer_handler`
    Request,
    /// `tw_timer_handler`
    TimeWait,
}

/// 1 for each [`Timer`] that runs on this CPU.
#[btf_map]
static AT_WORK: PerCpuArray<u64, 2> = PerCpuArray::new();

impl Timer {
    /// For the programs at the handler's entry and exit, which return 0.
    #[inline(always)]
    pub fn set(self, is_at_work: bool) -> i32 {
        if let Some(at_work) = AT_WORK.get_ptr_mut(self as u32) {
            // SAFETY: this CPU's word; the programs that read it are called from the timer itself.
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
