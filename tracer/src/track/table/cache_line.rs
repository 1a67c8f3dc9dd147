//! A cache line of the index: a few slots, each with a tag of its key.

use std::iter::from_fn;

use crate::track::table::cookie::spread;

/// Places in a line.
pub(super) const PLACES: usize = 12;

/// Consecutive keys that share a line. The kernel numbers sockets in order, so sockets that live at the same
/// time are found in the same line. Keys that are hashes do not profit.
pub(super) const NEIGHBOURS: u64 = 8;

/// The tag of an empty place.
pub(super) const EMPTY: u8 = 0;

#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(64))]
pub(super) struct CacheLine {
    /// The [`tag`] of each place's key; [`EMPTY`] where there is none.
    pub(super) tags: [u8; PLACES],
    /// How many keys whose search comes through this line are stored in a later one. At 0, a search ends
    /// here.
    pub(super) passed: u32,
    pub(super) slots: [u32; PLACES],
}

impl CacheLine {
    /// The places with this tag: nearly always none or one. All tags are compared at once, as one number. A
    /// subtraction's borrow can also report a place after a true match whose tag differs in the lowest bit,
    /// so only the first place is certain.
    pub(super) fn places_with(&self, tag: u8) -> impl Iterator<Item = usize> + use<> {
        const ONES: u128 = u128::from_le_bytes([1; 16]) >> (128 - 8 * PLACES);
        let mut tags = [0; 16];
        tags[..PLACES].copy_from_slice(&self.tags);
        let differ = u128::from_le_bytes(tags) ^ (ONES * u128::from(tag));
        let mut same = differ.wrapping_sub(ONES) & !differ & (ONES << 7);
        from_fn(move || {
            let place = same.trailing_zeros() as usize / 8;
            same &= same.wrapping_sub(1);
            (place < PLACES).then_some(place)
        })
    }
}

/// The tag of a key. Neighbours have different tags. None is [`EMPTY`], or a number that
/// [`CacheLine::places_with`] may take for it.
pub(super) fn tag(key: u64) -> u8 {
    let [of_neighbours, ..] = spread(key / NEIGHBOURS).to_le_bytes();
    let [of_key, ..] = (key % NEIGHBOURS).to_le_bytes();
    0x80 | (of_neighbours & 0x78) | of_key
}
