//! Whether blocks follow on each other, and what is missing where they do not.

use crate::recording::{entry::RecordingEntry, reader::Block};

/// Follows the blocks of files that belong together.
#[derive(Debug, Default)]
pub struct Continuity {
    /// The number of the next block; `None` at the beginning of a file.
    next: Option<u32>,
    /// Events up to now, those that are missing included.
    events: u64,
    /// The recording and its part.
    part: Option<(u64, u32)>,
}

/// What is missing before a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gap {
    /// Events.
    pub events: u64,
    /// A block, with or without events; or one is there that does not belong there.
    pub has_block: bool,
}

impl Continuity {
    /// Another file begins.
    pub fn begin(&mut self) {
        self.next = None;
    }

    /// Takes the next block, and tells what is missing before it.
    pub fn follow(&mut self, block: &Block) -> Gap {
        let (sequence, events) = (block.head.sequence.get(), block.head.events_before.get());
        let part = match block.entries.first() {
            Some(RecordingEntry::Header(header)) => Some((header.id, header.part)),
            _ => None,
        };
        // The header is there twice; both copies have the number 0.
        let follows = match part {
            Some(_) if sequence == 0 => self.part == part || self.is_later(part),
            _ => self.next.is_some(),
        };
        let is_out_of_place = follows && events < self.events;
        let has_block = sequence != 0 && self.next != Some(sequence) || is_out_of_place;
        let missing = if follows { events.saturating_sub(self.events) } else { 0 };
        self.part = part.or(self.part);
        self.next = Some(sequence.wrapping_add(1));
        self.events = events.saturating_add(block.events());
        Gap { events: missing, has_block: has_block || missing > 0 }
    }

    /// Whether this is a later part of the same recording. Events are counted over all of its parts, also those that
    /// are not there.
    fn is_later(&self, part: Option<(u64, u32)>) -> bool {
        self.part.zip(part).is_some_and(|((id, last), (other, part))| id == other && part > last)
    }
}
