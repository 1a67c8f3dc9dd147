//! The connection table: a record for each live socket, found by its cookie.
//!
//! Records are stored in blocks that never move, so a million of them take little more than their size: a
//! plain hash table doubles when it grows, and is then half empty. Going through all records reads memory in
//! order.
//!
//! # Layout
//! - [`Table`]: records of connections
//! - [`timewaits`], [`listeners`]: further facts about timewait sockets and listeners
//! - [`recent`]: cookies of sockets that ended recently; [`ended`]: the records of some
//! - [`index`], `cache_line`, `prefetch`: a hash index that can be prefetched
//! - [`cookie`]: hashing of cookies

mod cache_line;
pub mod cookie;
pub mod ended;
pub mod index;
pub mod listeners;
pub(super) mod prefetch;
pub mod recent;
pub mod timewaits;

use std::collections::HashSet;

use crate::track::{
    connection::Connection,
    table::{index::Index, prefetch::prefetch},
};

/// Records per block.
const BLOCK_LEN: usize = 1024;

/// The cookie of a free record: the kernel's cookies begin at 1.
const NO_COOKIE: u64 = 0;

/// The records of all live sockets. A record's slot is its number, counted over all blocks.
#[derive(Default)]
pub struct Table {
    blocks: Vec<Box<[Connection]>>,
    /// Slots of free records.
    free: Vec<u32>,
    index: Index,
}

impl Table {
    /// How many records there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// The record of a socket.
    #[must_use]
    pub fn get(&self, cookie: u64) -> Option<&Connection> {
        self.slot(cookie).map(|slot| record_at(&self.blocks, slot))
    }

    /// Prefetches the index entry of a socket.
    pub fn prefetch_index(&self, cookie: u64) {
        self.index.prefetch(cookie);
    }

    /// Prefetches the record of a socket. This reads its index entry, which should have been prefetched
    /// before.
    pub fn prefetch(&self, cookie: u64) {
        if let Some(slot) = self.index.likely_slot(cookie) {
            prefetch(record_at(&self.blocks, slot));
        }
    }

    fn slot(&self, cookie: u64) -> Option<u32> {
        self.index.find(cookie, |slot| record_at(&self.blocks, slot).cookie == cookie)
    }

    /// The record of a socket, to be changed.
    pub fn get_mut(&mut self, cookie: u64) -> Option<&mut Connection> {
        let slot = self.slot(cookie)?;
        Some(record_at_mut(&mut self.blocks, slot))
    }

    /// Adds a record, or replaces that of the same cookie.
    pub fn insert(&mut self, connection: Connection) {
        if let Some(record) = self.get_mut(connection.cookie) {
            *record = connection;
            return;
        }
        let slot = self.free.pop().unwrap_or_else(|| self.grow());
        if self.index.is_full() {
            self.index.grow(cookies_and_slots(&self.blocks));
        }
        self.index.insert(connection.cookie, slot);
        *record_at_mut(&mut self.blocks, slot) = connection;
    }

    /// Removes a record, and returns it.
    pub fn remove(&mut self, cookie: u64) -> Option<Connection> {
        let blocks = &self.blocks;
        let slot = self.index.remove(cookie, |slot| record_at(blocks, slot).cookie == cookie)?;
        self.free.push(slot);
        let record = record_at_mut(&mut self.blocks, slot);
        let connection = *record;
        record.cookie = NO_COOKIE;
        Some(connection)
    }

    /// All records.
    pub fn iter(&self) -> impl Iterator<Item = &Connection> {
        self.blocks.iter().flatten().filter(|record| record.cookie != NO_COOKIE)
    }

    /// All records, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Connection> {
        self.blocks.iter_mut().flatten().filter(|record| record.cookie != NO_COOKIE)
    }

    /// Adds a block, and returns its first slot.
    fn grow(&mut self) -> u32 {
        let first = self.blocks.len() * BLOCK_LEN;
        self.blocks.push(vec![Connection::default(); BLOCK_LEN].into_boxed_slice());
        let others = (first + 1..first + BLOCK_LEN).rev();
        // Slots always fit: four billion records would need more memory than there is.
        self.free.extend(others.filter_map(|slot| u32::try_from(slot).ok()));
        u32::try_from(first).unwrap_or(u32::MAX)
    }
}

/// Records, each at its place: the order of what is emitted depends on it.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct TablePlaces {
    records: Vec<(u32, Connection)>,
    free: Vec<u32>,
}

impl TablePlaces {
    /// Keeps some of the connections, which may be changed.
    pub(in crate::track) fn retain(&mut self, mut keeps: impl FnMut(&mut Connection) -> bool) {
        let Self { records, free } = self;
        records.retain_mut(|(slot, connection)| {
            let is_kept = keeps(connection);
            if !is_kept {
                free.push(*slot);
            }
            is_kept
        });
    }

    /// The cookies of the connections.
    pub(in crate::track) fn cookies(&self) -> impl Iterator<Item = u64> {
        self.records.iter().map(|(_, connection)| connection.cookie)
    }
}

impl Table {
    /// All records, each at its place.
    #[must_use]
    pub fn places(&self) -> TablePlaces {
        let records = self.blocks.iter().flatten().zip(0..);
        let records = records.filter(|(record, _)| record.cookie != NO_COOKIE);
        TablePlaces {
            records: records.map(|(record, slot)| (slot, *record)).collect(),
            free: self.free.clone(),
        }
    }

    /// The same records at the same places. What has no place or no cookie of its own is left out.
    #[must_use]
    pub fn at(places: TablePlaces) -> Self {
        let TablePlaces { records, mut free } = places;
        let mut table = Self::default();
        let slots = (records.len() + free.len()).next_multiple_of(BLOCK_LEN);
        while table.blocks.len() * BLOCK_LEN < slots {
            table.blocks.push(vec![Connection::default(); BLOCK_LEN].into_boxed_slice());
        }
        let mut cookies = HashSet::new();
        for (slot, record) in records {
            let is_new = (slot as usize) < slots && record.cookie != NO_COOKIE;
            let is_new = is_new && record_at(&table.blocks, slot).cookie == NO_COOKIE;
            if is_new && cookies.insert(record.cookie) {
                *record_at_mut(&mut table.blocks, slot) = record;
            }
        }
        let records = table.blocks.iter().flatten();
        let mut is_free: Vec<bool> = records.map(|record| record.cookie == NO_COOKIE).collect();
        // Each once, in the same order.
        free.retain(|slot| is_free.get_mut(*slot as usize).is_some_and(std::mem::take));
        free.extend(is_free.iter().zip(0..).filter_map(|(is_free, slot)| is_free.then_some(slot)));
        table.free = free;
        table.index = Index::of(cookies_and_slots(&table.blocks).collect());
        table
    }
}

/// Cookie and slot of each record, in memory order.
fn cookies_and_slots(blocks: &[Box<[Connection]>]) -> impl Iterator<Item = (u64, u32)> {
    let cookies = blocks.iter().flatten().map(|record| record.cookie);
    cookies.zip(0..).filter(|(cookie, _)| *cookie != NO_COOKIE)
}

fn record_at(blocks: &[Box<[Connection]>], slot: u32) -> &Connection {
    &blocks[slot as usize / BLOCK_LEN][slot as usize % BLOCK_LEN]
}

fn record_at_mut(blocks: &mut [Box<[Connection]>], slot: u32) -> &mut Connection {
    &mut blocks[slot as usize / BLOCK_LEN][slot as usize % BLOCK_LEN]
}
