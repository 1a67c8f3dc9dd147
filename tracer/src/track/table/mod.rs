//! The connection table: a record for each live socket, found by its cookie.
//!
//! Records lie in blocks that never move, so that a million of them cost no more than their size:
//! a hash table alone doubles, and half of it stays empty. To look at all of them is to read memory
//! in order.

pub mod cookie;
pub mod index;
pub mod listeners;
pub(super) mod prefetch;
pub mod recent;
pub mod timewaits;

use crate::track::{
    connection::Connection,
    table::{index::Index, prefetch::prefetch},
};

/// Records in a block.
const BLOCK: usize = 1024;

/// The cookie of a record that holds no socket: the kernel's cookies begin at 1.
const NOBODY: u64 = 0;

/// All records.
#[derive(Default)]
pub struct Table {
    blocks: Vec<Box<[Connection]>>,
    free: Vec<u32>,
    index: Index,
}

impl Table {
    /// How many there are.
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
        self.slot(cookie).map(|slot| at(&self.blocks, slot))
    }

    /// Has that part of the index brought near which knows where a record lies.
    pub fn prefetch_index(&self, cookie: u64) {
        self.index.prefetch(cookie);
    }

    /// Has the record of a socket brought near, when its part of the index is there.
    pub fn prefetch(&self, cookie: u64) {
        if let Some(slot) = self.index.guess(cookie) {
            prefetch(at(&self.blocks, slot));
        }
    }

    fn slot(&self, cookie: u64) -> Option<u32> {
        self.index.find(cookie, |slot| at(&self.blocks, slot).cookie == cookie)
    }

    /// The record of a socket.
    pub fn get_mut(&mut self, cookie: u64) -> Option<&mut Connection> {
        let slot = self.slot(cookie)?;
        Some(at_mut(&mut self.blocks, slot))
    }

    /// Puts a record in; one of the same cookie is replaced.
    pub fn insert(&mut self, connection: Connection) {
        if let Some(place) = self.get_mut(connection.cookie) {
            *place = connection;
            return;
        }
        let slot = self.free.pop().unwrap_or_else(|| self.grow());
        if self.index.is_full() {
            self.index.grow(places(&self.blocks));
        }
        self.index.insert(connection.cookie, slot);
        *at_mut(&mut self.blocks, slot) = connection;
    }

    /// Takes a record out.
    pub fn remove(&mut self, cookie: u64) -> Option<Connection> {
        let blocks = &self.blocks;
        let slot = self.index.remove(cookie, |slot| at(blocks, slot).cookie == cookie)?;
        self.free.push(slot);
        let place = at_mut(&mut self.blocks, slot);
        let connection = *place;
        place.cookie = NOBODY;
        Some(connection)
    }

    /// All records.
    pub fn iter(&self) -> impl Iterator<Item = &Connection> {
        self.blocks.iter().flatten().filter(|place| place.cookie != NOBODY)
    }

    /// All records, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Connection> {
        self.blocks.iter_mut().flatten().filter(|place| place.cookie != NOBODY)
    }

    /// Adds a block, and gives the first of its places.
    fn grow(&mut self) -> u32 {
        let first = self.blocks.len() * BLOCK;
        self.blocks.push(vec![Connection::default(); BLOCK].into_boxed_slice());
        let places = (first + 1..first + BLOCK).rev();
        // A cookie for each of four billion sockets would fill more memory than there is.
        self.free.extend(places.filter_map(|place| u32::try_from(place).ok()));
        u32::try_from(first).unwrap_or(u32::MAX)
    }
}

/// Cookie and slot of each record, in the order in which they lie in memory.
fn places(blocks: &[Box<[Connection]>]) -> impl Iterator<Item = (u64, u32)> {
    let cookies = blocks.iter().flatten().map(|place| place.cookie);
    cookies.zip(0..).filter(|(cookie, _)| *cookie != NOBODY)
}

fn at(blocks: &[Box<[Connection]>], slot: u32) -> &Connection {
    &blocks[slot as usize / BLOCK][slot as usize % BLOCK]
}

fn at_mut(blocks: &mut [Box<[Connection]>], slot: u32) -> &mut Connection {
    &mut blocks[slot as usize / BLOCK][slot as usize % BLOCK]
}
