//! The binary format of BTF's type records: `Documentation/bpf/btf.rst` in the kernel's source.

use crate::source::kernel::btf::Error;

/// Kinds of types (`BTF_KIND_*`).
pub(super) mod kind {
    pub(in crate::source::kernel) const INT: u32 = 1;
    pub(in crate::source::kernel) const PTR: u32 = 2;
    pub(in crate::source::kernel) const ARRAY: u32 = 3;
    pub(in crate::source::kernel) const STRUCT: u32 = 4;
    pub(in crate::source::kernel) const UNION: u32 = 5;
    pub(in crate::source::kernel) const ENUM: u32 = 6;
    pub(in crate::source::kernel) const TYPEDEF: u32 = 8;
    pub(in crate::source::kernel) const VOLATILE: u32 = 9;
    pub(in crate::source::kernel) const CONST: u32 = 10;
    pub(in crate::source::kernel) const RESTRICT: u32 = 11;
    pub(in crate::source::kernel) const FUNC: u32 = 12;
    pub(in crate::source::kernel) const FUNC_PROTO: u32 = 13;
    pub(in crate::source::kernel) const VAR: u32 = 14;
    pub(in crate::source::kernel) const DATASEC: u32 = 15;
    pub(in crate::source::kernel) const DECL_TAG: u32 = 17;
    pub(in crate::source::kernel) const TYPE_TAG: u32 = 18;
    pub(in crate::source::kernel) const ENUM64: u32 = 19;
    pub(in crate::source::kernel) const LAST: u32 = ENUM64;
}

/// The common part of a type record (`struct btf_type`).
#[derive(Clone, Copy)]
pub(super) struct Type {
    /// Offset of the name in the string section.
    pub(super) name: u32,
    pub(super) info: u32,
    /// Size of the type in bytes, or the id of the type that it refers to.
    pub(super) size_or_id: u32,
    /// Offset in the file of the data that follows the common part.
    pub(super) data: usize,
}

impl Type {
    pub(super) fn kind(self) -> u32 {
        (self.info >> 24) & 0x1f
    }

    /// How many members, enumerators or parameters follow.
    pub(super) fn count(self) -> usize {
        (self.info & 0xffff) as usize
    }

    /// Whether the upper byte of a member's offset is the size of a bit field (`kind_flag`).
    pub(super) fn has_bit_fields(self) -> bool {
        self.info >> 31 != 0
    }

    pub(super) fn is_composite(self) -> bool {
        matches!(self.kind(), kind::STRUCT | kind::UNION)
    }
}

/// How many bytes follow the common part of a type record.
pub(super) fn data_len(ty: Type) -> Result<usize, Error> {
    let count = ty.count();
    Ok(match ty.kind() {
        kind::INT | kind::VAR | kind::DECL_TAG => 4,
        kind::ARRAY => 12,
        kind::STRUCT | kind::UNION | kind::DATASEC | kind::ENUM64 => count * 12,
        kind::ENUM | kind::FUNC_PROTO => count * 8,
        unknown if unknown > kind::LAST => return Err(Error::UnknownKind(unknown)),
        _ => 0,
    })
}

/// The 32-bit word at an offset, in this machine's byte order.
pub(super) fn word_at(bytes: &[u8], at: usize) -> Result<u32, Error> {
    bytes
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .map(|chunk| u32::from_ne_bytes(*chunk))
        .ok_or(Error::Damaged(at))
}
