//! Entries become blocks.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::{
    facts::Fact,
    recording::{
        block::Unpacked,
        entry::{self, RecordingEntry, Unwritable},
        header::Header,
        name::Name,
    },
};

/// Bytes of entries with which a block is full.
const FULL: usize = 1 << 18;

/// Collects entries until they are a block.
#[derive(Debug, Default)]
pub struct Encoder {
    entries: Vec<u8>,
    sequence: u32,
    /// Events in all entries so far.
    events: u64,
    /// Those before this block.
    events_before: u64,
    /// The time up to which all entries tell.
    until_ns: u64,
    /// That of those before this block.
    from_ns: u64,
    /// Blocks that have ended.
    ended: VecDeque<Unpacked>,
}

impl Encoder {
    /// The first two blocks of a file. Both have the header, in case that one is damaged. Blocks are numbered anew, but
    /// events are counted on: so the next part tells what is missing at the end of one.
    #[must_use]
    pub fn header(&mut self, header: &Header) -> Bytes {
        let mut entries = Vec::new();
        if entry::push(&RecordingEntry::Header(Box::new(header.clone())), &mut entries).is_err() {
            log::error!("the header of the recording cannot be written");
        }
        self.sequence = 1;
        let block =
            Unpacked { sequence: 0, events_before: self.events, from_ns: self.until_ns, entries }.pack();
        BytesMut::from_iter([&block[..], &block[..]].concat()).freeze()
    }

    /// Adds a fact. The end gets a block of its own, which tells how many events were in those before it.
    ///
    /// # Errors
    /// It is too large. It is left out.
    pub fn fact(&mut self, fact: &Fact) -> Result<(), Unwritable> {
        self.end_if_full();
        match fact {
            Fact::Events(batch) => {
                self.events += batch.events.len() as u64;
                entry::push_events(batch, &mut self.entries);
            }
            fact => {
                if matches!(fact, Fact::End(_)) {
                    self.end();
                }
                entry::push(&EntryRef::Fact(fact), &mut self.entries)?;
            }
        }
        self.until_ns = self.until_ns.max(fact.time_ns().unwrap_or_default());
        Ok(())
    }

    /// Adds a name.
    ///
    /// # Errors
    /// It is too large. It is left out.
    pub fn name(&mut self, name: &Name) -> Result<(), Unwritable> {
        self.end_if_full();
        entry::push(&EntryRef::Name(name), &mut self.entries)
    }

    /// Counts events that are left out: whoever reads the next part learns that they are missing.
    pub fn skip(&mut self, events: u64) {
        self.events += events;
    }

    /// Forgets what has not been taken.
    pub fn discard(&mut self) {
        self.entries.clear();
        self.ended.clear();
        (self.events_before, self.from_ns) = (self.events, self.until_ns);
    }

    /// Events so far, those that were left out included.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Those in the blocks that have been taken, and before them.
    #[must_use]
    pub fn events_taken(&self) -> u64 {
        self.ended.front().map_or(self.events_before, |next| next.events_before)
    }

    /// Whether a block is full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.entries.len() >= FULL || !self.ended.is_empty()
    }

    /// Whether there are no entries that have not been taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.ended.is_empty()
    }

    /// Takes the next block, and ends it if it is the last; `None` if there are no entries.
    pub fn take(&mut self) -> Option<Unpacked> {
        if self.ended.is_empty() {
            self.end();
        }
        self.ended.pop_front()
    }

    /// Several facts at once may be more than a block may have.
    fn end_if_full(&mut self) {
        if self.entries.len() >= FULL {
            self.end();
        }
    }

    /// Ends the block.
    fn end(&mut self) {
        if self.entries.is_empty() {
            return;
        }
        let entries = std::mem::replace(&mut self.entries, Vec::with_capacity(FULL));
        let Self { sequence, events_before, from_ns, .. } = *self;
        self.sequence = sequence.wrapping_add(1);
        (self.events_before, self.from_ns) = (self.events, self.until_ns);
        self.ended.push_back(Unpacked { sequence, events_before, from_ns, entries });
    }
}

/// The same bytes as those of an [`RecordingEntry`], without a copy of what is in it.
#[derive(serde::Serialize)]
enum EntryRef<'a> {
    Fact(&'a Fact),
    Name(&'a Name),
}
