//! When each socket entered its state: an array used as a set-associative table, because the
//! kernel's own ways to keep something for a socket cost more than all the rest of the program. A
//! socket has a place in any slot of one set; in a full set the one that is in its state for the
//! longest makes room.
//!
//! Nothing is locked. Two CPUs may write one slot at a time, or a softirq in the middle of a task's
//! write, so a slot may end up with a word of each. Such a slot belongs to nobody: its check is the
//! cookie XORed with a hash of the word beside it, and what one socket's check and another's word
//! say is neither's cookie. Memory order does not matter for that, only that words are written
//! whole. The sockets that lose their slot have a stay of unknown length, never a wrong one; the
//! slot is taken again like any other. A socket's own events come one after the other, under the
//! socket's lock, so its slot is found where it was left.

use aya_ebpf::{Global, btf_maps::Array, macros::btf_map};
use tracer_common::{event::Counter, fold};
use tracer_ebpf::hook::count::count;

use crate::word::Word;

const WAYS: usize = fold::WAYS as usize;

/// A place for one socket.
#[repr(C)]
#[derive(Clone, Copy)]
struct Slot {
    /// [`Word::check`] with the socket's cookie.
    check: u64,
    /// A [`Word`]; 0 in a free slot.
    word: u64,
}

/// User space sets the size, a power of two.
#[btf_map]
static SETS: Array<[Slot; WAYS], 1> = Array::new();

/// How many sets there are, less one.
#[unsafe(no_mangle)]
static SET_MASK: Global<u32> = Global::new(0);

/// A slot that is a socket's own, and what it said.
#[derive(Clone, Copy)]
pub struct Entry {
    slot: *mut Slot,
    pub word: Word,
}

impl Entry {
    #[inline(always)]
    pub fn free(self) {
        // SAFETY: a slot of the map, which lasts.
        unsafe { (&raw mut (*self.slot).word).write_volatile(0) };
    }
}

/// The slots that a cookie may be in. The kernel counts cookies up, in ranges of its own on each
/// CPU: neighbours in time are neighbours in memory, and CPUs seldom meet.
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
            let (slot, word) = self.slot(way);
            // SAFETY: as in `Entry::free`.
            let check = unsafe { (&raw const (*slot).check).read_volatile() };
            if word.0 != 0 && word.check(cookie) == check {
                return Some(Entry { slot, word });
            }
        }
        None
    }

    /// Writes a socket into the slot that it has, or into another.
    #[inline(always)]
    pub fn enter(self, found: Option<Entry>, cookie: u64, word: Word, now_ns: u64) {
        let slot = match found {
            Some(entry) => entry.slot,
            None => self.room(now_ns),
        };
        // SAFETY: as in `Entry::free`.
        unsafe {
            (&raw mut (*slot).word).write_volatile(word.0);
            (&raw mut (*slot).check).write_volatile(word.check(cookie));
        }
    }

    /// A free slot, or else the one whose socket is in its state for the longest.
    #[inline(always)]
    fn room(self, now_ns: u64) -> *mut Slot {
        let (mut room, mut is_free, mut longest_ns) = (self.0, false, 0);
        for way in 0..WAYS {
            let (slot, word) = self.slot(way);
            let elapsed_ns = if word.0 == 0 { u64::MAX } else { word.elapsed_ns(now_ns) };
            if elapsed_ns >= longest_ns {
                (room, is_free, longest_ns) = (slot, word.0 == 0, elapsed_ns);
            }
        }
        if !is_free {
            count(Counter::Evicted);
        }
        room
    }

    #[inline(always)]
    fn slot(self, way: usize) -> (*mut Slot, Word) {
        // SAFETY: `way` is less than the set has slots.
        unsafe {
            let slot = self.0.add(way);
            (slot, Word((&raw const (*slot).word).read_volatile()))
        }
    }
}
