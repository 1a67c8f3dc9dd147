//! The way out: ring buffer, wakeups and what did not fit.

use core::{arch::asm, cell::UnsafeCell};

use aya_ebpf::{
    Global,
    bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP},
    btf_maps::{PerCpuArray, RingBuf},
    helpers::generated as helpers,
    macros::btf_map,
    maps::ring_buf::RingBufEntry,
};
use tracer_common::{
    Event,
    event::{COUNTERS, Counter, RECORD_SIZE},
    wakeup::PAUSE_NS,
};

/// User space sets the size.
#[btf_map]
static EVENTS: RingBuf<(), 4096> = RingBuf::new();

#[btf_map]
static COUNTS: PerCpuArray<u64, { COUNTERS as usize }> = PerCpuArray::new();

/// Each time the waiting data grows past a multiple of this power of two, the reader is woken.
#[unsafe(no_mangle)]
static WAKE_BYTES: Global<u64> = Global::new(4096);

/// When the reader was last woken. Races between CPUs cost a superfluous wakeup at worst.
#[unsafe(no_mangle)]
static LAST_WAKE_NS: Shared = Shared(UnsafeCell::new(0));

/// A word that all CPUs load and store whole. The target has no atomics for that, and needs none.
struct Shared(UnsafeCell<u64>);

// SAFETY: loads and stores of an aligned word are single instructions.
unsafe impl Sync for Shared {}

impl Shared {
    #[inline(always)]
    fn load(&self) -> u64 {
        // SAFETY: always initialised, see the type.
        unsafe { self.0.get().read_volatile() }
    }

    #[inline(always)]
    fn store(&self, value: u64) {
        // SAFETY: see the type.
        unsafe { self.0.get().write_volatile(value) }
    }
}

#[inline(always)]
pub fn reserve() -> Option<RingBufEntry<Event>> {
    EVENTS.reserve_untyped::<Event>(0)
}

/// The flags to submit with: whether to wake the reader.
#[inline(always)]
pub fn wakeup(now_ns: u64) -> u64 {
    // Events may come here in another order than their times: one that is older than the last
    // wakeup wraps around to a huge pause, and wakes. It may be the one that the reader, woken
    // by a younger one, found unfinished in its way.
    let rested = now_ns.wrapping_sub(LAST_WAKE_NS.load()) > PAUSE_NS;
    if rested || filled_another_step() {
        LAST_WAKE_NS.store(now_ns);
        u64::from(BPF_RB_FORCE_WAKEUP)
    } else {
        u64::from(BPF_RB_NO_WAKEUP)
    }
}

#[inline(always)]
fn filled_another_step() -> bool {
    // SAFETY: a query of a map that the loader has created.
    let waiting = unsafe {
        helpers::bpf_ringbuf_query((&raw const EVENTS).cast_mut().cast(), u64::from(BPF_RB_AVAIL_DATA))
    };
    waiting & (WAKE_BYTES.load() - 1) < RECORD_SIZE && waiting >= WAKE_BYTES.load()
}

/// Whether the first program is at work on this CPU.
#[btf_map]
static BUSY: PerCpuArray<u64, 1> = PerCpuArray::new();

#[inline(always)]
pub fn set_busy(is_busy: bool) {
    if let Some(busy) = BUSY.get_ptr_mut(0) {
        // SAFETY: this CPU's word; volatile, because what reads it interrupts this very program.
        unsafe { busy.write_volatile(u64::from(is_busy)) };
    }
}

#[inline(always)]
pub fn is_busy() -> bool {
    // SAFETY: as in `set_busy`.
    BUSY.get_ptr_mut(0).is_some_and(|busy| unsafe { busy.read_volatile() } != 0)
}

#[inline(always)]
pub fn count(counter: Counter) {
    if let Some(count) = COUNTS.get_ptr_mut(counter as u32) {
        // SAFETY: a slot of this CPU. Atomic because before 6.2 a softirq may interrupt a task
        // here and count too; by hand because the target has no `fetch_add`.
        unsafe { asm!("lock *(u64 *)({slot} + 0) += {one}", slot = in(reg) count, one = in(reg) 1_u64) };
    }
}
