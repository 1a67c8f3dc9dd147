//! Bytes become blocks and entries again, as far as they are whole.

use std::io::{self, Read};

use bytes::{Buf as _, Bytes, BytesMut};

use crate::facts::Fact;
use crate::recording::{
    VERSION,
    block::{self, HEAD, Head, MARK},
    entry::{self, RecordingEntry},
};

/// Bytes that are read at once.
const READ: usize = 1 << 18;

/// Where the first block is found at the latest, if the bytes are a recording.
const BEGINNING: u64 = 1 << 24;

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
    /// The file ends there, as it does while it is being written, or after its writer was killed.
    pub is_end: bool,
}

/// Why a recording cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It does not begin as a recording does.
    #[error("not a recording of tracer")]
    NoRecording,
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
    /// Where the buffer begins in the file.
    at: u64,
    /// The block behind damage that was told.
    ready: Option<Block>,
    has_ended: bool,
    has_begun: bool,
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
        Self { input, buffer: BytesMut::new(), at: 0, ready: None, has_ended: false, has_begun: false }
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
                AtHand::End if self.has_begun => {
                    self.skip(self.buffer.len());
                    let damage = Damage { at: begin, bytes: self.at - begin, is_end: true };
                    return Ok((damage.bytes > 0).then_some(RecordingPiece::Damage(damage)));
                }
                AtHand::End => return Err(Error::NoRecording),
            }
            if !self.has_begun && self.at > BEGINNING {
                return Err(Error::NoRecording);
            }
        }
    }

    /// Takes a block off the beginning of the buffer.
    fn block(&mut self) -> Result<AtHand, Error> {
        if !self.fill(HEAD)? {
            return Ok(AtHand::End);
        }
        let Some(head) = block::head(&self.buffer) else {
            return Ok(AtHand::Damage);
        };
        if head.version.get() > VERSION {
            return Err(Error::TooNew(head.version.get()));
        }
        if !self.fill(head.block_len())? {
            // What it lacks may also be missing in the middle of the file.
            return Ok(if self.mark_behind().is_some() { AtHand::Damage } else { AtHand::End });
        }
        if !head.owns(&self.buffer[HEAD..head.block_len()]) {
            return Ok(AtHand::Damage);
        }
        let mut body = self.take(head.block_len());
        body.advance(HEAD);
        Ok(AtHand::Block(Block::new(head, body)))
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

    fn new(head: Head, body: Bytes) -> Self {
        let mut block = Self { head, entries: Vec::new(), unreadable: 0 };
        let Some(bytes) = block::unpack(&head, body) else {
            block.unreadable = 1;
            return block;
        };
        let mut rest = &bytes[..];
        while let Some(entry) = entry::next(&mut rest) {
            match entry {
                Ok(entry) => block.entries.push(entry),
                Err(entry::BadEntry) => block.unreadable += 1,
            }
        }
        block
    }
}
