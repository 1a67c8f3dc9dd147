//! The connection table: a record for each live socket, found by its cookie.
//!
//! Records lie in blocks that never move, so that a million of them cost no more than their size:
//! a hash table alone doubles, and half of it stays empty.

use hashbrown::HashTable;

use crate::track::{connection::Connection, cookie::hash};

/// Records in a block.
const BLOCK: usize = 1024;

/// All records.
#[derive(Default)]
pub struct Table {
    blocks: Vec<Box<[Connection]>>,
    free: Vec<u32>,
    /// Where the record of a cookie lies.
    index: HashTable<u32>,
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
        let slot = self.index.find(hash(cookie), |slot| at(&self.blocks, *slot).cookie == cookie)?;
        Some(at(&self.blocks, *slot))
    }

    /// The record of a socket.
    pub fn get_mut(&mut self, cookie: u64) -> Option<&mut Connection> {
        let blocks = &self.blocks;
        let slot = *self.index.find(hash(cookie), |slot| at(blocks, *slot).cookie == cookie)?;
        Some(at_mut(&mut self.blocks, slot))
    }

    /// Puts a record in; one of the same cookie is replaced.
    pub fn insert(&mut self, connection: Connection) {
        if let Some(place) = self.get_mut(connection.cookie) {
            *place = connection;
            return;
        }
        let slot = self.free.pop().unwrap_or_else(|| self.grow());
        let blocks = &self.blocks;
        self.index.insert_unique(hash(connection.cookie), slot, |slot| hash(at(blocks, *slot).cookie));
        *at_mut(&mut self.blocks, slot) = connection;
    }

    /// Takes a record out.
    pub fn remove(&mut self, cookie: u64) -> Option<Connection> {
        let blocks = &self.blocks;
        let found = self.index.find_entry(hash(cookie), |slot| at(blocks, *slot).cookie == cookie).ok()?;
        let (slot, _) = found.remove();
        self.free.push(slot);
        Some(*at(&self.blocks, slot))
    }

    /// All records.
    pub fn iter(&self) -> impl Iterator<Item = &Connection> {
        self.index.iter().map(|slot| at(&self.blocks, *slot))
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

fn at(blocks: &[Box<[Connection]>], slot: u32) -> &Connection {
    &blocks[slot as usize / BLOCK][slot as usize % BLOCK]
}

fn at_mut(blocks: &mut [Box<[Connection]>], slot: u32) -> &mut Connection {
    &mut blocks[slot as usize / BLOCK][slot as usize % BLOCK]
}
