//! A hash index whose lookup touches one cache line, so that it can be prefetched. Common hash tables do not
//! offer that. With a million connections, cache misses cost more than all other work on an event.

use crate::track::table::{
    cache_line::{CacheLine, EMPTY, NEIGHBOURS, PLACES, tag},
    cookie::spread,
    prefetch::prefetch,
};

/// Maps keys to slots: the places of records in another table. The keys themselves are in those records.
#[derive(Debug, Default)]
pub struct Index {
    /// Empty at first.
    lines: Vec<CacheLine>,
    len: usize,
}

impl Index {
    /// An index of these records, given as keys and slots.
    #[must_use]
    pub fn of(records: Vec<(u64, u32)>) -> Self {
        let mut index = Self::default();
        while (records.len() + 1) * 4 > index.lines.len() * PLACES * 3 {
            let lines = (index.lines.len() * 2).max(1);
            index.lines.resize(lines, CacheLine::default());
        }
        for (key, slot) in records {
            index.insert(key, slot);
        }
        index
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether to [`Index::grow`] before the next key. A quarter of the places stays empty, so that few keys
    /// are not in their first line.
    #[must_use]
    pub fn is_full(&self) -> bool {
        (self.len + 1) * 4 > self.lines.len() * PLACES * 3
    }

    /// Doubles the lines and inserts all records again, given as keys and slots.
    pub fn grow(&mut self, records: impl Iterator<Item = (u64, u32)>) {
        let lines = (self.lines.len() * 2).max(1);
        // Frees the old lines before it allocates the new ones.
        self.lines = Vec::new();
        self.lines.resize(lines, CacheLine::default());
        self.len = 0;
        for (key, slot) in records {
            self.insert(key, slot);
        }
    }

    /// Adds a key that is not in the index. If that [`Index::is_full`], it must [`Index::grow`] first.
    pub fn insert(&mut self, key: u64, slot: u32) {
        let mut at = self.first_line(key);
        while let Some(line) = self.lines.get_mut(at) {
            if let Some(place) = line.places_with(EMPTY).next() {
                line.tags[place] = tag(key);
                line.slots[place] = slot;
                self.len += 1;
                return;
            }
            line.passed += 1;
            at = self.line_after(at);
        }
    }

    /// The slot of a key. `is_key` says whether the record in a slot has this key.
    pub fn find(&self, key: u64, is_key: impl Fn(u32) -> bool) -> Option<u32> {
        let (at, place) = self.find_place(key, is_key)?;
        Some(self.lines[at].slots[place])
    }

    /// Removes a key, and returns its slot.
    pub fn remove(&mut self, key: u64, is_key: impl Fn(u32) -> bool) -> Option<u32> {
        let (found, place) = self.find_place(key, is_key)?;
        let mut at = self.first_line(key);
        while at != found {
            self.lines[at].passed -= 1;
            at = self.line_after(at);
        }
        self.lines[found].tags[place] = EMPTY;
        self.len -= 1;
        Some(self.lines[found].slots[place])
    }

    /// The slot that most likely has the key, without a look at its record.
    #[must_use]
    pub fn likely_slot(&self, key: u64) -> Option<u32> {
        let line = self.lines.get(self.first_line(key))?;
        line.places_with(tag(key)).next().map(|place| line.slots[place])
    }

    /// Prefetches the cache line of a key.
    pub fn prefetch(&self, key: u64) {
        if let Some(line) = self.lines.get(self.first_line(key)) {
            prefetch(line);
        }
    }

    /// The line of a key, and its place in it.
    fn find_place(&self, key: u64, is_key: impl Fn(u32) -> bool) -> Option<(usize, usize)> {
        let mut at = self.first_line(key);
        loop {
            let line = self.lines.get(at)?;
            if let Some(place) = line.places_with(tag(key)).find(|place| is_key(line.slots[*place])) {
                return Some((at, place));
            }
            if line.passed == 0 {
                return None;
            }
            at = self.line_after(at);
        }
    }

    /// The line in which the search for a key begins.
    fn first_line(&self, key: u64) -> usize {
        // The uppermost bits, which are spread best, as a fraction of all lines.
        let fraction = spread(key / NEIGHBOURS) >> 32;
        usize::try_from((fraction * self.lines.len() as u64) >> 32).unwrap_or_default()
    }

    fn line_after(&self, at: usize) -> usize {
        if at + 1 < self.lines.len() { at + 1 } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    /// Insertions (true) and removals of cookies that rise as the kernel's do, with gaps of all sizes.
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
        fn it_finds_what_a_hash_map_finds(steps in steps()) {
            let mut index = Index::default();
            let mut slots = HashMap::new();
            let mut cookies = Vec::new();
            for (is_in, cookie) in steps {
                if !is_in {
                    let is_key = |slot: u32| cookies[slot as usize] == cookie;
                    prop_assert_eq!(index.remove(cookie, is_key), slots.remove(&cookie));
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
                let is_key = |slot: u32| cookies[slot as usize] == *cookie;
                prop_assert_eq!(index.find(*cookie, is_key), slots.get(cookie).copied());
            }
            for (cookie, slot) in &slots {
                let is_key = |slot: u32| cookies[slot as usize] == *cookie;
                prop_assert_eq!(index.remove(*cookie, is_key), Some(*slot));
            }
            prop_assert!(index.lines.iter().all(|line| line.tags == [EMPTY; PLACES] && line.passed == 0));
        }
    }
}
