//! When each socket entered its state: a set-associative table in an array, because the kernel's own storage
//! for sockets, and its hash tables, cost more than all the rest of the program. A socket may be in any slot
//! of one set. When a set is full, the socket that has been in its state for the longest makes room.
//!
//! There are no locks. Two CPUs may write a slot at the same time, or a softirq may interrupt a task's write,
//! and leave one word of each in it. Such a slot belongs to nobody: its check word is the cookie XORed with a
//! hash of the other word, and with a foreign word that gives nobody's cookie. The order of memory accesses
//! does not matter, only that each word is written whole. The sockets that lose their slot have one time in
//! state of unknown length, never a wrong one, and the slot is used again like any other. The events of one
//! socket come one after the other, under the socket's lock.

use aya_ebpf::{Global, btf_maps::Array, macros::btf_map};
use tracer_common::{aggregate, event::Counter};
use tracer_ebpf::hook::count::count;

use crate::packed::Packed;

const WAYS: usize = aggregate::WAYS as usize;

/// A place for one socket.
#[repr(C)]
#[derive(Clone, Copy)]
struct Slot {
    /// [`Packed::check`] with the socket's cookie.
    check: u64,
    /// A [`Packed`]; 0 in a free slot.
    packed: u64,
}

/// User space sets the number of sets, a power of two.
#[btf_map]
static SETS: Array<[Slot; WAYS], 1> = Array::new();

/// The number of sets, minus one.
#[unsafe(no_mangle)]
static SET_MASK: Global<u32> = Global::new(0);

/// A socket's slot, and what was in it.
#[derive(Clone, Copy)]
pub struct Entry {
    slot: *mut Slot,
    pub packed: Packed,
}

impl Entry {
    #[inline(always)]
    pub fn free(self) {
        // SAFETY: a slot of the map, which stays.
        unsafe { (&raw mut (*self.slot).packed).write_volatile(0) };
    }
}

/// The slots for a cookie. The kernel counts cookies up, in a range of its own on each CPU: sockets of the
/// same time are neighbours in memory, and CPUs rarely meet.
#[derive(Clone, Copy)]
pub struct Set(*mut Slot);

impl Set {
    #[inline(always)]
    pub fn of(cookie: u64) -> Option<Self> {
        let index = (cookie / WAYS as u64) as u32 & SET_MASK.load();
        SETS.get_ptr_mut(index).map(|set| Self(set.cast()))
    }

    #[inline(always)]
    pub fn find(self, cookie: u64) -> Option<Entry> {
        for way in 0..WAYS {
            let (slot, packed) = self.slot(way);
            // SAFETY: as in `Entry::free`.
            let check = unsafe { (&raw const (*slot).check).read_volatile() };
            if packed.0 != 0 && packed.check(cookie) == check {
                return Some(Entry { slot, packed });
            }
        }
        None
    }

    /// Writes a socket into the slot that it has, or into another.
    #[inline(always)]
    pub fn enter(self, found: Option<Entry>, cookie: u64, packed: Packed, now_ns: u64) {
        let slot = match found {
            Some(entry) => entry.slot,
            None => self.room(now_ns),
        };
        // SAFETY: as in `Entry::free`.
        unsafe {
            (&raw mut (*slot).packed).write_volatile(packed.0);
            (&raw mut (*slot).check).write_volatile(packed.check(cookie));
        }
    }

    /// A free slot, or that of the socket that has been in its state for the longest.
    #[inline(always)]
    fn room(self, now_ns: u64) -> *mut Slot {
        let (mut room, mut is_free, mut longest_ns) = (self.0, false, 0);
        for way in 0..WAYS {
            let (slot, packed) = self.slot(way);
            let elapsed_ns = if packed.0 == 0 { u64::MAX } else { packed.elapsed_ns(now_ns) };
            if elapsed_ns >= longest_ns {
                (room, is_free, longest_ns) = (slot, packed.0 == 0, elapsed_ns);
            }
        }
        if !is_free {
            count(Counter::Evicted);
        }
        room
    }

    #[inline(always)]
    fn slot(self, way: usize) -> (*mut Slot, Packed) {
        // SAFETY: `way` is less than the set has slots.
        unsafe {
            let slot = self.0.add(way);
            (slot, Packed((&raw const (*slot).packed).read_volatile()))
        }
    }
}
