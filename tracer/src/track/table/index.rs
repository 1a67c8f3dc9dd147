//! Where the record of a key lies: a hash table whose every look reads one line of the processor's
//! cache, which can be asked for long before. That is what a common table does not offer; and with a
//! million connections, waiting for its memory costs more than all else that is done with an event.

use std::iter::from_fn;

use crate::track::table::{cookie::spread, prefetch::prefetch};

/// Places in a line.
const PLACES: usize = 12;

/// Keys that follow each other and share a line: the kernel gives cookies out in order, so what lives at
/// the same time is found together. Other keys are hashes.
const NEIGHBOURS: u64 = 8;

/// A line of the processor's cache.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(64))]
struct Line {
    /// A few bits of each place's key; 0 where the place is empty.
    tags: [u8; PLACES],
    /// How many keys that belong here, or before, had to go on to later lines.
    passed: u32,
    slots: [u32; PLACES],
}

impl Line {
    /// The places with this tag: nearly always none or one. All are compared at once, as one number; a
    /// borrow on the way takes a tag that differs in the lowest bit, behind one that is the same, for
    /// the same, too. Only the first place is certain.
    fn with(&self, tag: u8) -> impl Iterator<Item = usize> + use<> {
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

/// The slots of all records.
#[derive(Debug, Default)]
pub struct Index {
    /// None at first.
    lines: Vec<Line>,
    len: usize,
}

impl Index {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether another one wants more lines: a quarter of the places stays empty, so that few keys have
    /// to go on.
    #[must_use]
    pub fn is_full(&self) -> bool {
        (self.len + 1) * 4 > self.lines.len() * PLACES * 3
    }

    /// Twice as many lines, and these records in them.
    pub fn grow(&mut self, records: impl Iterator<Item = (u64, u32)>) {
        let lines = (self.lines.len() * 2).max(1);
        // The old ones first: the records know their keys.
        self.lines = Vec::new();
        self.lines.resize(lines, Line::default());
        self.len = 0;
        for (key, slot) in records {
            self.insert(key, slot);
        }
    }

    /// Adds a key that is not there, after [`Index::grow`] where it [`Index::is_full`].
    pub fn insert(&mut self, key: u64, slot: u32) {
        let mut at = self.home(key);
        while let Some(line) = self.lines.get_mut(at) {
            if let Some(place) = line.with(EMPTY).next() {
                line.tags[place] = tag(key);
                line.slots[place] = slot;
                self.len += 1;
                return;
            }
            line.passed += 1;
            at = self.after(at);
        }
    }

    /// The slot of a key; `is_it` looks whether the record in a slot is the key's.
    pub fn find(&self, key: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let (at, place) = self.place(key, is_it)?;
        Some(self.lines[at].slots[place])
    }

    /// Takes a key out, and gives its slot.
    pub fn remove(&mut self, key: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let (found, place) = self.place(key, is_it)?;
        let mut at = self.home(key);
        while at != found {
            self.lines[at].passed -= 1;
            at = self.after(at);
        }
        self.lines[found].tags[place] = EMPTY;
        self.len -= 1;
        Some(self.lines[found].slots[place])
    }

    /// The slot that is most likely the key's.
    #[must_use]
    pub fn guess(&self, key: u64) -> Option<u32> {
        let line = self.lines.get(self.home(key))?;
        line.with(tag(key)).next().map(|place| line.slots[place])
    }

    /// Has the key's line brought near, without waiting for it.
    pub fn prefetch(&self, key: u64) {
        if let Some(line) = self.lines.get(self.home(key)) {
            prefetch(line);
        }
    }

    /// The line and the place of a key.
    fn place(&self, key: u64, is_it: impl Fn(u32) -> bool) -> Option<(usize, usize)> {
        let mut at = self.home(key);
        loop {
            let line = self.lines.get(at)?;
            if let Some(place) = line.with(tag(key)).find(|place| is_it(line.slots[*place])) {
                return Some((at, place));
            }
            if line.passed == 0 {
                return None;
            }
            at = self.after(at);
        }
    }

    /// Where the search for a key begins.
    fn home(&self, key: u64) -> usize {
        // As a fraction of the lines; the uppermost bits are the best spread ones.
        let fraction = spread(key / NEIGHBOURS) >> 32;
        usize::try_from((fraction * self.lines.len() as u64) >> 32).unwrap_or_default()
    }

    fn after(&self, at: usize) -> usize {
        if at + 1 < self.lines.len() { at + 1 } else { 0 }
    }
}

/// The tag of an empty place.
const EMPTY: u8 = 0;

/// Neighbours have different ones, and none has [`EMPTY`] or what may be taken for it, see [`Line::with`].
fn tag(key: u64) -> u8 {
    let [of_neighbours, ..] = spread(key / NEIGHBOURS).to_le_bytes();
    let [of_key, ..] = (key % NEIGHBOURS).to_le_bytes();
    0x80 | (of_neighbours & 0x78) | of_key
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    /// Cookies as the kernel gives them out, with gaps of all sizes; put in, and taken out again.
    fn steps() -> impl Strategy<Value = Vec<(bool, u64)>> {
        let gap = prop_oneof![Just(1_u64), Just(1), Just(1), 1..100_u64, Just(4096), any::<u64>()];
        let cookies = prop::collection::vec(gap, 1..300).prop_map(|gaps| {
            let mut cookie = 0_u64;
            gaps.into_iter()
                .map(|gap| {
                    cookie = cookie.wrapping_add(gap);
                    cookie
                })
                .collect::<Vec<_>>()
        });
        cookies.prop_flat_map(|cookies| {
            prop::collection::vec((any::<bool>(), prop::sample::select(cookies)), 1..1500)
        })
    }

    proptest! {
        #[test]
        fn it_finds_what_a_map_would(steps in steps()) {
            let mut index = Index::default();
            let mut slots = HashMap::new();
            let mut cookies = Vec::new();
            for (is_in, cookie) in steps {
                if !is_in {
                    let is_it = |slot: u32| cookies[slot as usize] == cookie;
                    prop_assert_eq!(index.remove(cookie, is_it), slots.remove(&cookie));
                } else if !slots.contains_key(&cookie) {
                    if index.is_full() {
                        index.grow(slots.iter().map(|(cookie, slot)| (*cookie, *slot)));
                    }
                    let slot = u32::try_from(cookies.len()).unwrap();
                    index.insert(cookie, slot);
                    slots.insert(cookie, slot);
                    cookies.push(cookie);
                }
                prop_assert_eq!(index.len(), slots.len());
            }
            for cookie in &cookies {
                let is_it = |slot: u32| cookies[slot as usize] == *cookie;
                prop_assert_eq!(index.find(*cookie, is_it), slots.get(cookie).copied());
            }
            for (cookie, slot) in &slots {
                let is_it = |slot: u32| cookies[slot as usize] == *cookie;
                prop_assert_eq!(index.remove(*cookie, is_it), Some(*slot));
            }
            prop_assert!(index.lines.iter().all(|line| line.tags == [EMPTY; PLACES] && line.passed == 0));
        }
    }
}
