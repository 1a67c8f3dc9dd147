//! Blocks: a mark, what is in them, checksums.

use std::fmt;

use bytes::{BufMut as _, Bytes, BytesMut};
use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{U16, U32, U64},
};
use zstd::bulk::Decompressor;

use crate::{output::file::RECORDING_MARK, recording::VERSION};

/// The mark at the beginning of each block. It is no text, and does not survive what changes the ends of lines.
pub const MARK: [u8; 8] = RECORDING_MARK;

/// The most bytes that the entries of a block may take: 256 MiB, which is a snapshot of 1.6 million sockets.
pub const LARGEST: usize = 1 << 28;

/// The most bytes that a block takes: what cannot be packed is kept as it is.
pub const LARGEST_PACKED: usize = HEAD + LARGEST;

/// The most memory that is kept for the next block: more than almost all need.
const MOST_KEPT: usize = 4 << 20;

/// How hard the packer tries: its fastest levels are enough, because columns are packed well.
const LEVEL: i32 = 1;

/// What a block begins with.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Head {
    mark: [u8; 8],
    /// The version of the format.
    pub version: U16,
    /// How the entries are packed: one of [`packing`].
    packing: u8,
    reserved: u8,
    /// The number of the block in its file. The copy of the header has the header's own number.
    pub sequence: U32,
    /// Events in the blocks before it.
    pub events_before: U64,
    /// The time up to which the blocks before it tell, in nanoseconds of the kernel's monotonic clock.
    pub from_ns: U64,
    /// Bytes of its entries.
    len: U32,
    /// The same, packed. So many follow.
    packed_len: U32,
    /// CRC32C of what follows.
    body_crc: U32,
    /// CRC32C of all before it.
    own_crc: U32,
}

/// Bytes of a [`Head`].
pub const HEAD: usize = size_of::<Head>();

const _: () = assert!(HEAD == 48);

/// How entries are packed.
mod packing {
    /// Not at all.
    pub(super) const NONE: u8 = 0;
    /// Zstandard (RFC 8878).
    pub(super) const ZSTD: u8 = 1;
}

impl Head {
    /// Whether its checksum is right.
    fn is_whole(&self) -> bool {
        self.mark == MARK && self.own_crc.get() == crc32c::crc32c(&self.as_bytes()[..HEAD - 4])
    }

    /// Bytes of the whole block.
    #[must_use]
    pub fn block_len(&self) -> usize {
        HEAD + self.packed_len.get() as usize
    }

    /// Whether these bytes are what it is the head of.
    #[must_use]
    pub fn owns(&self, body: &[u8]) -> bool {
        self.body_crc.get() == crc32c::crc32c(body)
    }
}

/// The head at the beginning of these bytes, if it is whole.
#[must_use]
pub fn head(bytes: &[u8]) -> Option<Head> {
    let (head, _) = Head::read_from_prefix(bytes).ok()?;
    head.is_whole().then_some(head)
}

/// A block whose entries are not packed yet.
#[derive(Clone, Debug)]
pub struct Unpacked {
    /// Its number.
    pub sequence: u32,
    /// Events in the blocks before it.
    pub events_before: u64,
    /// See [`Head::from_ns`].
    pub from_ns: u64,
    /// The entries.
    pub entries: Vec<u8>,
}

impl Unpacked {
    /// Packs the entries.
    #[must_use]
    pub fn pack(&self) -> Bytes {
        let mut block = BytesMut::with_capacity(HEAD + zstd::zstd_safe::compress_bound(self.entries.len()));
        block.put_bytes(0, HEAD);
        let packed = zstd::bulk::compress(&self.entries, LEVEL).ok();
        let (packing, body) = match &packed {
            Some(packed) if packed.len() < self.entries.len() => (packing::ZSTD, &packed[..]),
            _ => (packing::NONE, &self.entries[..]),
        };
        block.put_slice(body);
        // A block is full long before it has 4 GiB.
        let len = |bytes: &[u8]| U32::new(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        let mut head = Head {
            mark: MARK,
            version: U16::new(VERSION),
            packing,
            reserved: 0,
            sequence: U32::new(self.sequence),
            events_before: U64::new(self.events_before),
            from_ns: U64::new(self.from_ns),
            len: len(&self.entries),
            packed_len: len(body),
            body_crc: U32::new(crc32c::crc32c(body)),
            own_crc: U32::ZERO,
        };
        head.own_crc = U32::new(crc32c::crc32c(&head.as_bytes()[..HEAD - 4]));
        block[..HEAD].copy_from_slice(head.as_bytes());
        block.freeze()
    }
}

/// Unpacks blocks one after the other. What it needs for one serves the next.
#[derive(Default)]
pub struct Unpacker {
    zstd: Decompressor<'static>,
    entries: Vec<u8>,
}

impl fmt::Debug for Unpacker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unpacker").finish_non_exhaustive()
    }
}

impl Unpacker {
    /// Unpacks the entries of a block; `None` if they cannot be.
    #[must_use]
    pub fn unpack<'a>(&'a mut self, head: &Head, body: &'a [u8]) -> Option<&'a [u8]> {
        let len = head.len.get() as usize;
        match head.packing {
            packing::NONE => (body.len() == len).then_some(body),
            packing::ZSTD if len <= LARGEST => {
                // A few bytes may say that they stand for much.
                let room = Decompressor::upper_bound(body).map_or(len, |most| most.min(len));
                self.entries.clear();
                self.entries.try_reserve_exact(room).ok()?;
                self.zstd.decompress_to_buffer(body, &mut self.entries).ok()?;
                (self.entries.len() == len).then_some(&self.entries)
            }
            _ => None,
        }
    }

    /// Gives back what a large block needed.
    pub fn forget_large(&mut self) {
        self.entries.clear();
        self.entries.shrink_to(MOST_KEPT);
    }
}
