//! Reads BTF, changes it and writes it again. The format is described in the kernel's
//! `Documentation/bpf/btf.rst`. The libraries that read BTF cannot write it.
//!
//! A name is an offset into the string section, and several entries may share a string. So existing strings
//! are never changed: a renamed entry gets a new string.

const MAGIC: u16 = 0xeb9f;
/// Size of `struct btf_type`, with which every entry begins: name, info, and size or type; in bytes.
const COMMON: usize = 12;

/// Kinds of types (`BTF_KIND_*`).
pub(super) mod kind {
    pub(in crate::types) const PTR: u32 = 2;
    pub(in crate::types) const STRUCT: u32 = 4;
    pub(in crate::types) const UNION: u32 = 5;
    pub(in crate::types) const ENUM: u32 = 6;
    pub(in crate::types) const TYPEDEF: u32 = 8;
    pub(in crate::types) const VOLATILE: u32 = 9;
    pub(in crate::types) const CONST: u32 = 10;
    pub(in crate::types) const FUNC: u32 = 12;
    pub(in crate::types) const FUNC_PROTO: u32 = 13;
    pub(in crate::types) const ENUM64: u32 = 19;
}

/// How many bytes follow `struct btf_type`: a fixed number, and a number for each member, enumerator or
/// parameter.
fn sizes(kind: u32) -> (usize, usize) {
    match kind {
        // INT; VAR, DECL_TAG
        1 | 14 | 17 => (4, 0),
        // ARRAY
        3 => (12, 0),
        // STRUCT, UNION; DATASEC; ENUM64
        4 | 5 | 15 | 19 => (0, 12),
        // ENUM; FUNC_PROTO
        6 | 13 => (0, 8),
        // PTR; FWD, TYPEDEF, VOLATILE, CONST, RESTRICT, FUNC; FLOAT; TYPE_TAG
        2 | 7..=12 | 16 | 18 => (0, 0),
        unknown => panic!("this kernel has types of kind {unknown}: add their size here"),
    }
}

/// The position of an entry in the type section.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    /// Its offset in the type section. The first word is its name.
    pub(super) at: usize,
    pub(super) kind: u32,
    count: usize,
    /// `kind_flag`: whether the upper byte of a member's offset is the size of a bit field.
    pub(super) has_bit_fields: bool,
}

impl Entry {
    /// The offset of its size, or of the id of the type that it refers to.
    pub(super) fn reference(self) -> usize {
        self.at + 8
    }

    /// The offsets of its members, enumerators or parameters. The first word of each is its name.
    pub(super) fn parts(self) -> impl Iterator<Item = usize> {
        let (_, size) = sizes(self.kind);
        (0..self.count).map(move |index| self.at + COMMON + index * size)
    }
}

/// Type information that can be changed.
pub(super) struct Btf {
    /// The bytes as they were read.
    original: Vec<u8>,
    types: Vec<u8>,
    strings: Vec<u8>,
    entries: Vec<Entry>,
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap())
}

impl Btf {
    pub(super) fn parse(original: Vec<u8>) -> Self {
        assert_eq!(original[..2], MAGIC.to_ne_bytes(), "no BTF of this machine");
        let section = |header: usize| {
            let begin = (word(&original, 4) + word(&original, header)) as usize;
            original[begin..begin + word(&original, header + 4) as usize].to_vec()
        };
        let mut btf = Self { types: section(8), strings: section(16), entries: Vec::new(), original };
        let mut at = 0;
        while at < btf.types.len() {
            at = btf.enter(at);
        }
        btf
    }

    /// Appends the entry at this offset to the list, and returns the offset of the next one.
    fn enter(&mut self, at: usize) -> usize {
        let info = self.word(at + 4);
        let (kind, count) = ((info >> 24) & 0x1f, (info & 0xffff) as usize);
        let (once, each) = sizes(kind);
        self.entries.push(Entry { at, kind, count, has_bit_fields: info >> 31 != 0 });
        at + COMMON + once + count * each
    }

    /// The changed file. The new sections come after the original bytes, and the header points to them, so
    /// that nothing else in the file has to be parsed.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.original.clone();
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        let begin = bytes.len() - word(&bytes, 4) as usize;
        let (types, strings) = (self.types.len(), self.strings.len());
        for (index, value) in [begin, types, begin + types, strings].into_iter().enumerate() {
            let at = 8 + 4 * index;
            bytes[at..at + 4].copy_from_slice(&u32::try_from(value).unwrap().to_ne_bytes());
        }
        [bytes, self.types.clone(), self.strings.clone()].concat()
    }

    pub(super) fn word(&self, at: usize) -> u32 {
        word(&self.types, at)
    }

    pub(super) fn set(&mut self, at: usize, value: u32) {
        self.types[at..at + 4].copy_from_slice(&value.to_ne_bytes());
    }

    /// The entries of these kinds.
    pub(super) fn entries<'a>(&'a self, kinds: &'a [u32]) -> impl Iterator<Item = Entry> + 'a {
        self.entries.iter().copied().filter(|entry| kinds.contains(&entry.kind))
    }

    /// The type with this id. Ids begin with 1; 0 is `void`.
    pub(super) fn entry(&self, id: u32) -> Option<Entry> {
        self.entries.get((id as usize).checked_sub(1)?).copied()
    }

    /// The name of the entry or part at this offset; empty if it has none.
    pub(super) fn name(&self, at: usize) -> &[u8] {
        let name = &self.strings[self.word(at) as usize..];
        &name[..name.iter().position(|byte| *byte == 0).expect("a string ends")]
    }

    /// Renames the entry or part at this offset.
    pub(super) fn rename(&mut self, at: usize, name: &str) {
        let new = u32::try_from(self.strings.len()).unwrap();
        self.strings.extend_from_slice(name.as_bytes());
        self.strings.push(0);
        self.set(at, new);
    }

    /// Adds a type without a name, with these parts. Returns its id.
    pub(super) fn push(&mut self, kind: u32, reference: u32, parts: &[[u32; 2]]) -> u32 {
        let at = self.types.len();
        let info = kind << 24 | u32::try_from(parts.len()).unwrap();
        let words = [0, info, reference].into_iter().chain(parts.iter().flatten().copied());
        self.types.extend(words.flat_map(u32::to_ne_bytes));
        self.enter(at);
        u32::try_from(self.entries.len()).unwrap()
    }
}
