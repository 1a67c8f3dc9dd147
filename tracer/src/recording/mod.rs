//! Recordings: the facts that pass [`Source`](crate::source::Source), in a file.
//!
//! A recording is a row of blocks. Each one has a mark, its length and checksums, and stands alone: what is behind a
//! damaged block is found again by the mark. In a block are entries, packed together. `docs/recording-format.md` has
//! every byte.
//!
//! # Layout
//! - [`block`]: marks, lengths and checksums; packing
//! - [`entry`]: what is in a block, and its bytes; [`header`]: the first entry; [`name`]: names, as they were looked up
//! - [`encoder`]: entries become blocks; [`reader`]: bytes become blocks and entries
//! - [`parts`]: the files, if there are several
//! - [`writer`]: a thread that packs blocks and writes them to a file
//!
//! # Example
//! ```
//! use tracer::{
//!     facts::{Batch, Fact},
//!     recording::{encoder::Encoder, entry::Entry, header::Header, reader::{Piece, Reader}},
//! };
//!
//! let mut encoder = Encoder::default();
//! let mut bytes = encoder.header(&Header::default()).to_vec();
//! let fact = Fact::Events(Batch { events: Vec::new(), until_ns: 7 });
//! encoder.fact(&fact);
//! bytes.extend(encoder.take().unwrap().pack());
//!
//! let mut reader = Reader::new(&bytes[..]);
//! let mut entries = Vec::new();
//! while let Some(piece) = reader.read()? {
//!     if let Piece::Block(block) = piece {
//!         entries.extend(block.entries);
//!     }
//! }
//! // The header is there twice, in case that one is damaged.
//! assert!(matches!(&entries[..], [Entry::Header(_), Entry::Header(_), Entry::Fact(last)] if *last == fact));
//! # Ok::<(), tracer::recording::reader::Error>(())
//! ```

pub mod block;
pub mod encoder;
pub mod entry;
pub mod header;
pub mod name;
pub mod parts;
pub mod reader;
pub mod writer;

/// The version of the format that is written. Older ones are read.
pub const VERSION: u16 = 1;
