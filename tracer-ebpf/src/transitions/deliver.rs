//! The way out: ring buffers and wakeups.

use core::cell::UnsafeCell;

use aya_ebpf::{
    Global,
    bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP},
    btf_maps::{ArrayOfMaps, RingBuf},
    helpers::generated as helpers,
    macros::btf_map,
    maps::ring_buf::RingBufEntry,
};
use tracer_common::{Event, event::RECORD_SIZE, wakeup::PAUSE_NS};

type Buffer = RingBuf<(), 4096>;

/// One for each CPU, because a ring buffer is one lock: two CPUs that fight for it take more than
/// twice as long. User space sets how many there are, and makes them.
#[btf_map]
static EVENTS: ArrayOfMaps<Buffer, 1> = ArrayOfMaps::new();

/// Makes a CPU's number that of its ring: a power of two, minus one. A CPU that was not there when
/// user space counted shares the ring of another.
#[unsafe(no_mangle)]
static RING_MASK: Global<u32> = Global::new(0);

/// Each time the waiting data of a ring grows past a multiple of this power of two, the reader is
/// woken.
#[unsafe(no_mangle)]
static WAKE_BYTES: Global<u64> = Global::new(4096);

/// When the reader was last woken, whichever ring it was for: it looks at all of them. Races
/// between CPUs cost a superfluous wakeup at worst.
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

/// The ring buffer of this CPU. A program on a tracepoint stays on its CPU to its end.
#[derive(Clone, Copy)]
pub struct Ring {
    buffer: &'static Buffer,
    cpu: u32,
}

impl Ring {
    /// `None` would be a hole in the array, of which user space leaves none.
    #[inline(always)]
    pub fn of_this_cpu() -> Option<Self> {
        // SAFETY: reads the CPU's number.
        let cpu = unsafe { helpers::bpf_get_smp_processor_id() };
        EVENTS.get(cpu & RING_MASK.load()).map(|buffer| Self { buffer, cpu })
    }

    #[inline(always)]
    pub fn cpu(self) -> u16 {
        self.cpu as u16
    }

    #[inline(always)]
    pub fn reserve(self) -> Option<RingBufEntry<Event>> {
        self.buffer.reserve_untyped::<Event>(0)
    }

    /// The flags to submit with: whether to wake the reader.
    #[inline(always)]
    pub fn wakeup(self, now_ns: u64) -> u64 {
        // Events may come here in another order than their times: one that is older than the last
        // wakeup wraps around to a huge pause, and wakes. It may be the one that the reader, woken
        // by a younger one, found unfinished in its way.
        let rested = now_ns.wrapping_sub(LAST_WAKE_NS.load()) > PAUSE_NS;
        if rested || self.filled_another_step() {
            LAST_WAKE_NS.store(now_ns);
            u64::from(BPF_RB_FORCE_WAKEUP)
        } else {
            u64::from(BPF_RB_NO_WAKEUP)
        }
    }

    #[inline(always)]
    fn filled_another_step(self) -> bool {
        let ring = core::ptr::from_ref(self.buffer).cast_mut().cast();
        // SAFETY: a query of a map that user space has created.
        let waiting = unsafe { helpers::bpf_ringbuf_query(ring, u64::from(BPF_RB_AVAIL_DATA)) };
        waiting & (WAKE_BYTES.load() - 1) < RECORD_SIZE && waiting >= WAKE_BYTES.load()
    }
}
