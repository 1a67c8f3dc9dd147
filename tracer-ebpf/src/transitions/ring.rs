//! Ring buffers, and when to wake the reader.

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

/// A ring buffer for each CPU. Each has one lock, and two CPUs that contend for it take more than twice as
/// long. User space sets how many there are, and creates them.
#[btf_map]
static EVENTS: ArrayOfMaps<Buffer, 1> = ArrayOfMaps::new();

/// CPU number AND this is the ring's index: a power of two, minus one. A CPU that came online later shares
/// the ring of another.
#[unsafe(no_mangle)]
static RING_MASK: Global<u32> = Global::new(0);

/// The reader is woken each time a ring's unread bytes exceed another multiple of this power of two.
#[unsafe(no_mangle)]
static WAKE_BYTES: Global<u64> = Global::new(4096);

/// When the reader was last woken, through any ring: it reads all of them. A race between CPUs costs one
/// superfluous wakeup at worst.
#[unsafe(no_mangle)]
static LAST_WAKE_NS: Shared = Shared(UnsafeCell::new(0));

/// A word that all CPUs load and store. The target has no atomic types.
struct Shared(UnsafeCell<u64>);

// SAFETY: loads and stores of an aligned word are single instructions, so nobody sees half of one.
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

/// The ring buffer of this CPU. A tracing program is not moved to another CPU while it runs.
#[derive(Clone, Copy)]
pub struct Ring {
    buffer: &'static Buffer,
    cpu: u32,
}

impl Ring {
    /// `None` only for an empty place in the array, and user space fills all.
    #[inline(always)]
    pub fn of_this_cpu() -> Option<Self> {
        // SAFETY: returns the CPU's number.
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

    /// The flags for `submit`: whether to wake the reader; see [`tracer_common::wakeup`].
    #[inline(always)]
    pub fn wakeup(self, now_ns: u64) -> u64 {
        // Events are not always submitted in the order of their times. For one that is older than the last
        // wakeup the pause wraps around to a huge one, so it wakes the reader: the reader may have found that
        // very event unfinished when a younger one had woken it.
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
        // SAFETY: queries a map that user space has created.
        let unread = unsafe { helpers::bpf_ringbuf_query(ring, u64::from(BPF_RB_AVAIL_DATA)) };
        unread & (WAKE_BYTES.load() - 1) < RECORD_SIZE && unread >= WAKE_BYTES.load()
    }
}
