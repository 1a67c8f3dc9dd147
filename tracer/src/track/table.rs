//! The connection table: a record for each live socket, found by its cookie.
//!
//! Records lie in blocks that never move, so that a million of them cost no more than their size:
//! a hash table alone doubles, and half of it stays empty. To look at all of them is to read memory
//! in order.

use std::cell::Cell;

use hashbrown::HashTable;

use crate::track::{connection::Connection, cookie::hash};

/// Records in a block.
const BLOCK: usize = 1024;

/// The cookie of a record that holds no socket: the kernel's cookies begin at 1.
const NOBODY: u64 = 0;

/// Cookies whose places are remembered: an event's record is looked for several times in a row.
const NEAR: usize = 64;

/// All records.
pub struct Table {
    blocks: Vec<Box<[Connection]>>,
    free: Vec<u32>,
    /// Where the record of a cookie lies.
    index: HashTable<u32>,
    /// Where some of them lay; what lies there now says whether it is still so. With the cookie, because
    /// to ask a record that is another's is to wait for memory that no cache holds.
    near: [Cell<(u64, u32)>; NEAR],
}

impl Default for Table {
    fn default() -> Self {
        Self {
            blocks: Vec::new(),
            free: Vec::new(),
            index: HashTable::new(),
            near: [const { Cell::new((NOBODY, 0)) }; NEAR],
        }
    }
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

    /// Has the record of a socket brought near, without waiting for it.
    pub fn prefetch(&self, cookie: u64) {
        // The first candidate is nearly always the right one; to make sure would be to wait.
        self.index.find(hash(cookie), |slot| {
            prefetch(at(&self.blocks, *slot));
            true
        });
    }

    fn slot(&self, cookie: u64) -> Option<u32> {
        if cookie == NOBODY || self.is_empty() {
            return None;
        }
        let hash = hash(cookie);
        let near = &self.near[usize::try_from(hash % NEAR as u64).unwrap_or_default()];
        let (whose, slot) = near.get();
        if whose == cookie && at(&self.blocks, slot).cookie == cookie {
            return Some(slot);
        }
        let slot = *self.index.find(hash, |slot| at(&self.blocks, *slot).cookie == cookie)?;
        near.set((cookie, slot));
        Some(slot)
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

/// All of a record. On other processors than these the record is waited for where it is used.
fn prefetch(connection: &Connection) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let begin = (&raw const *connection).cast::<i8>();
        let last = size_of::<Connection>() - 1;
        for line in (0..last).step_by(64).chain([last]) {
            // SAFETY: within the record; and a prefetch reads nothing that the program would see.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(begin.add(line)) };
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = connection;
}

fn at(blocks: &[Box<[Connection]>], slot: u32) -> &Connection {
    &blocks[slot as usize / BLOCK][slot as usize % BLOCK]
}

fn at_mut(blocks: &mut [Box<[Connection]>], slot: u32) -> &mut Connection {
    &mut blocks[slot as usize / BLOCK][slot as usize % BLOCK]
}
