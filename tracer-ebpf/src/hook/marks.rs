//! The values that filters name, with the side on which they count ([`tracer_common::filter`]).

use aya_ebpf::{
    btf_maps::{Array, LpmTrie, lpm_trie::Key},
    macros::btf_map,
};
use tracer_common::filter::PORTS;

/// Marks of every port, in one value: a lookup is one load.
#[btf_map]
static PORT_MARKS: Array<[u8; PORTS], 1> = Array::new();

/// Marks of address prefixes. IPv4 prefixes are v4-mapped, so one table serves both families. User space sets
/// the size.
#[btf_map]
static ADDR_MARKS: LpmTrie<[u32; 4], u32, 1> = LpmTrie::new();

/// The marks of all ports.
#[derive(Clone, Copy)]
pub(crate) struct PortMarks(&'static [u8; PORTS]);

impl PortMarks {
    #[inline(always)]
    pub(crate) fn get() -> Option<Self> {
        PORT_MARKS.get(0).map(Self)
    }

    #[inline(always)]
    pub(crate) fn of(self, port: u16) -> u8 {
        // SAFETY: there is a mark for each value of a u16. The checked access would leave a panic in the
        // program, which then does not load.
        unsafe { *self.0.get_unchecked(usize::from(port)) }
    }
}

const ADDR_BITS: u32 = 128;

/// The marks of the longest prefix that an address has; 0 for none.
#[inline(always)]
pub(crate) fn addr_marks(address: [u32; 4]) -> u8 {
    ADDR_MARKS.get(&Key::new(ADDR_BITS, address)).map_or(0, |marks| *marks as u8)
}
