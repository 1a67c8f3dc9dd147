//! Bytes become blocks and entries again, as far as they are whole.

use std::{
    fmt,
    io::{self, Read},
};

use bytes::{Buf as _, Bytes, BytesMut};

use crate::facts::Fact;
use crate::recording::{
    VERSION,
    block::{self, HEAD, Head, MARK, Unpacker},
    entry::{self, RecordingEntry},
};

/// So many bytes more than there are in the file may have a wrong checksum before damaged blocks are passed over whole.
const WASTED_AT_MOST: u64 = block::LARGEST_PACKED as u64;

/// Bytes that are read at once.
const READ: usize = 1 << 18;

/// Where the first block is found at the latest, if the bytes are a recording.
const BEGINNING: u64 = 1 << 24;

/// The most entries of a block. Those of a part's beginning are the most: names of all that is known.
const MOST_ENTRIES: usize = 1 << 19;

/// What a recording consists of.
#[derive(Debug)]
pub enum RecordingPiece {
    /// A block that is whole.
    Block(Block),
    /// Bytes that are no block, or a damaged one.
    Damage(Damage),
}

/// A block that is whole.
#[derive(Debug)]
pub struct Block {
    /// Its head.
    pub head: Head,
    /// Its entries.
    pub entries: Vec<RecordingEntry>,
    /// Bytes of each of them, before they were packed.
    pub lens: Vec<usize>,
    /// Bytes of all, before they were packed.
    pub len: usize,
    /// Entries that this version cannot read.
    pub unreadable: u64,
}

/// Bytes that are no block, or a damaged one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Where they begin in the file.
    pub at: u64,
    /// How many there are.
    pub bytes: u64,
    /// It is the beginning of a block, and the file ends there, as it does while it is being written, or after its
    /// writer was killed.
    pub is_end: bool,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes at byte {} are damaged", self.bytes, self.at)
    }
}

/// Why a recording cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It does not begin as a recording does.
    #[error("not a recording of tracer")]
    NoRecording,
    /// There is nothing in it.
    #[error("empty: nothing has been written to it yet")]
    Empty,
    /// It begins as a recording does, and ends before there is anything in it.
    #[error("cut off before its header is whole: there is nothing to read yet")]
    NoHeader,
    /// It was written by a later version.
    #[error(
        "written in version {0} of the format, and this tracer reads up to version {VERSION}: update tracer"
    )]
    TooNew(u16),
    /// The system refuses.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// Reads a recording from its beginning to its end.
#[derive(Debug)]
pub struct RecordingReader<R> {
    input: R,
    buffer: BytesMut,
    unpacker: Unpacker,
    /// Where the buffer begins in the file.
    at: u64,
    /// The block behind damage that was told.
    ready: Option<Block>,
    has_ended: bool,
    has_begun: bool,
    /// The first bytes are those of a block.
    begins_well: bool,
    /// Bytes whose checksum was wrong, those that were looked at several times included.
    wasted: u64,
}

/// What is at the beginning of the buffer.
enum AtHand {
    Block(Block),
    /// No block.
    Damage,
    /// Nothing, or a part of a block.
    End,
}

impl<R: Read> RecordingReader<R> {
    /// A reader of these bytes.
    pub fn new(input: R) -> Self {
        Self {
            input,
            buffer: BytesMut::new(),
            unpacker: Unpacker::default(),
            at: 0,
            ready: None,
            has_ended: false,
            has_begun: false,
            begins_well: false,
            wasted: 0,
        }
    }

    /// What the bytes come from.
    pub fn input_mut(&mut self) -> &mut R {
        &mut self.input
    }

    /// The bytes that were read and understood, or passed over.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.at
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// The bytes cannot be read, are no recording, or one of a later version.
    pub fn read(&mut self) -> Result<Option<RecordingPiece>, Error> {
        if let Some(block) = self.ready.take() {
            return Ok(Some(RecordingPiece::Block(block)));
        }
        let begin = self.at;
        loop {
            let at = self.at;
            match self.block()? {
                AtHand::Block(block) => {
                    self.has_begun = true;
                    if at == begin {
                        return Ok(Some(RecordingPiece::Block(block)));
                    }
                    self.ready = Some(block);
                    return Ok(Some(RecordingPiece::Damage(Damage {
                        at: begin,
                        bytes: at - begin,
                        is_end: false,
                    })));
                }
                AtHand::Damage => self.skip_to_mark()?,
                AtHand::End if self.has_begun => return Ok(self.end(begin).map(RecordingPiece::Damage)),
                AtHand::End if self.at == 0 && self.buffer.is_empty() => return Err(Error::Empty),
                AtHand::End if self.begins_well => return Err(Error::NoHeader),
                AtHand::End => return Err(Error::NoRecording),
            }
            if !self.has_begun && self.at > BEGINNING {
                return Err(Error::NoRecording);
            }
        }
    }

    /// What the file ends with, behind its last whole block.
    fn end(&mut self, begin: u64) -> Option<Damage> {
        let (at, rest) = (self.at, self.buffer.len());
        let is_torn = rest == 0 || is_beginning(&self.buffer);
        if is_torn && at > begin {
            // The torn block comes next.
            return Some(Damage { at: begin, bytes: at - begin, is_end: false });
        }
        self.skip(rest);
        let damage = Damage { at: begin, bytes: self.at - begin, is_end: is_torn };
        (damage.bytes > 0).then_some(damage)
    }

    /// Takes a block off the beginning of the buffer.
    fn block(&mut self) -> Result<AtHand, Error> {
        let has_head = self.fill(HEAD)?;
        self.begins_well |= self.at == 0 && is_beginning(&self.buffer);
        if !has_head {
            return Ok(AtHand::End);
        }
        let Some(head) = block::head(&self.buffer) else {
            return Ok(AtHand::Damage);
        };
        if head.version.get() == 0 {
            return Ok(AtHand::Damage);
        }
        if head.version.get() > VERSION {
            return Err(Error::TooNew(head.version.get()));
        }
        if head.block_len() > block::LARGEST_PACKED {
            return Ok(AtHand::Damage);
        }
        if !self.fill(head.block_len())? {
            // What it lacks may also be missing in the middle of the file.
            return Ok(if self.mark_behind().is_some() { AtHand::Damage } else { AtHand::End });
        }
        if !head.owns(&self.buffer[HEAD..head.block_len()]) {
            self.wasted += head.block_len() as u64;
            // There may be whole blocks in it, if bytes are missing. But somebody may have made it of heads only.
            if self.wasted > WASTED_AT_MOST.saturating_add(self.at) {
                self.skip(head.block_len() - 1);
            }
            return Ok(AtHand::Damage);
        }
        let mut body = self.take(head.block_len());
        body.advance(HEAD);
        Ok(AtHand::Block(Block::new(head, &body, &mut self.unpacker)))
    }

    /// Reads until the buffer has so many bytes. Returns whether there are so many.
    fn fill(&mut self, len: usize) -> Result<bool, Error> {
        while self.buffer.len() < len && !self.has_ended {
            let filled = self.buffer.len();
            self.buffer.resize(filled + READ, 0);
            let read = match self.input.read(&mut self.buffer[filled..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(None),
                read => read.map(Some),
            };
            self.buffer.truncate(filled + *read.as_ref().ok().and_then(Option::as_ref).unwrap_or(&0));
            self.has_ended = read? == Some(0);
        }
        Ok(self.buffer.len() >= len)
    }

    /// Passes over what is before the next mark.
    fn skip_to_mark(&mut self) -> Result<(), Error> {
        if let Some(mark) = self.mark_behind() {
            self.skip(mark);
        } else {
            // A mark may begin at the end of the buffer.
            self.skip(self.buffer.len().saturating_sub(MARK.len() - 1).max(1));
            if !self.fill(HEAD)? {
                self.skip(self.buffer.len());
            }
        }
        Ok(())
    }

    /// Where the next mark is, behind the beginning of the buffer.
    fn mark_behind(&self) -> Option<usize> {
        let behind = self.buffer.get(1..)?;
        Some(1 + behind.windows(MARK.len()).position(|bytes| bytes == MARK)?)
    }

    fn take(&mut self, len: usize) -> Bytes {
        self.at += len as u64;
        self.buffer.split_to(len).freeze()
    }

    fn skip(&mut self, len: usize) {
        self.at += len as u64;
        self.buffer.advance(len);
    }
}

/// Whether bytes begin as a block does.
fn is_beginning(bytes: &[u8]) -> bool {
    let len = bytes.len().min(MARK.len());
    len > 0 && bytes[..len] == MARK[..len]
}

impl Block {
    /// Events in it.
    #[must_use]
    pub fn events(&self) -> u64 {
        let in_entry = |entry: &RecordingEntry| match entry {
            RecordingEntry::Fact(Fact::Events(batch)) => batch.events.len() as u64,
            _ => 0,
        };
        self.entries.iter().map(in_entry).sum()
    }

    fn new(head: Head, body: &[u8], unpacker: &mut Unpacker) -> Self {
        let mut block = Self { head, entries: Vec::new(), lens: Vec::new(), len: 0, unreadable: 0 };
        let Some(mut rest) = unpacker.unpack(&head, body) else {
            block.unreadable = 1;
            return block;
        };
        block.len = rest.len();
        let mut before = rest.len();
        while let Some(entry) = entry::next(&mut rest) {
            if block.entries.len() >= MOST_ENTRIES {
                block.unreadable += 1;
                break;
            }
            let len = before - rest.len();
            before = rest.len();
            match entry {
                Ok(entry) => {
                    block.entries.push(entry);
                    block.lens.push(len);
                }
                Err(entry::BadEntry) => block.unreadable += 1,
            }
        }
        unpacker.forget_large();
        block
    }
}
