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
//! - [`continuity`]: whether blocks follow on each other
//! - [`parts`]: the files, if there are several
//! - [`writer`]: a thread that packs blocks and writes them to a file; `file_place`: whether others will find it
//!
//! # Example
//! ```
//! use tracer::{
//!     facts::{Batch, Fact},
//!     recording::{encoder::Encoder, entry::RecordingEntry, header::Header, reader::{RecordingPiece, RecordingReader}},
//! };
//!
//! let mut encoder = Encoder::default();
//! let mut bytes = encoder.header(&Header::default()).to_vec();
//! let fact = Fact::Events(Batch { events: Vec::new(), until_ns: 7 });
//! encoder.fact(&fact);
//! bytes.extend(encoder.take().unwrap().pack());
//!
//! let mut reader = RecordingReader::new(&bytes[..]);
//! let mut entries = Vec::new();
//! while let Some(piece) = reader.read()? {
//!     if let RecordingPiece::Block(block) = piece {
//!         entries.extend(block.entries);
//!     }
//! }
//! // The header is there twice, in case that one is damaged.
//! assert!(matches!(&entries[..], [RecordingEntry::Header(_), RecordingEntry::Header(_), RecordingEntry::Fact(last)] if *last == fact));
//! # Ok::<(), tracer::recording::reader::Error>(())
//! ```

pub mod block;
pub mod continuity;
pub mod encoder;
pub mod entry;
mod file_place;
pub mod header;
pub mod name;
pub mod parts;
pub mod reader;
pub mod writer;

/// The version of the format that is written. Older ones are read.
pub const VERSION: u16 = 1;
