//! BTF in parts that can be changed: its types, entry by entry, and its strings. The format is the
//! kernel's `Documentation/bpf/btf.rst`. The libraries that read it do not write it.
//!
//! A name is an offset into the strings, and entries of every kind may share one. So a string that is
//! there is never touched: an entry that is to be called otherwise gets a new one.

const MAGIC: u16 = 0xeb9f;
/// Bytes that all entries have in common: name, what it is, size or type.
const COMMON: usize = 12;

/// Kinds of types.
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

/// How many bytes follow the common ones: always, and for each member, enumerator or parameter.
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
        unknown => panic!("this kernel has types of kind {unknown}: say here how long they are"),
    }
}

/// A type.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    /// Where it stands among the types. Its name is the first word.
    pub(super) at: usize,
    pub(super) kind: u32,
    count: usize,
    /// Whether its members' offsets have the size of a bit field in their upper byte.
    pub(super) has_bit_fields: bool,
}

impl Entry {
    /// Where its size, or the type that it refers to, stands.
    pub(super) fn reference(self) -> usize {
        self.at + 8
    }

    /// Where its members, enumerators or parameters stand. The name of each is its first word.
    pub(super) fn parts(self) -> impl Iterator<Item = usize> {
        let (_, size) = sizes(self.kind);
        (0..self.count).map(move |index| self.at + COMMON + index * size)
    }
}

/// All of it.
pub(super) struct Btf {
    /// As it was.
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

    /// Takes the entry there into the list, and says where the next one stands.
    fn enter(&mut self, at: usize) -> usize {
        let info = self.word(at + 4);
        let (kind, count) = ((info >> 24) & 0x1f, (info & 0xffff) as usize);
        let (once, each) = sizes(kind);
        self.entries.push(Entry { at, kind, count, has_bit_fields: info >> 31 != 0 });
        at + COMMON + once + count * each
    }

    /// With sections of their own behind all that was there, which nobody has to understand.
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

    /// All entries of these kinds.
    pub(super) fn entries<'a>(&'a self, kinds: &'a [u32]) -> impl Iterator<Item = Entry> + 'a {
        self.entries.iter().copied().filter(|entry| kinds.contains(&entry.kind))
    }

    /// The type of this number. The first is 1; 0 is `void`.
    pub(super) fn entry(&self, id: u32) -> Option<Entry> {
        self.entries.get((id as usize).checked_sub(1)?).copied()
    }

    /// The name of what stands there; empty if it has none.
    pub(super) fn name(&self, at: usize) -> &[u8] {
        let name = &self.strings[self.word(at) as usize..];
        &name[..name.iter().position(|byte| *byte == 0).expect("a string ends")]
    }

    /// Calls what stands there by another name.
    pub(super) fn rename(&mut self, at: usize, name: &str) {
        let new = u32::try_from(self.strings.len()).unwrap();
        self.strings.extend_from_slice(name.as_bytes());
        self.strings.push(0);
        self.set(at, new);
    }

    /// A type more, without a name, and what parts it has. Gives its number.
    pub(super) fn push(&mut self, kind: u32, reference: u32, parts: &[[u32; 2]]) -> u32 {
        let at = self.types.len();
        let info = kind << 24 | u32::try_from(parts.len()).unwrap();
        let words = [0, info, reference].into_iter().chain(parts.iter().flatten().copied());
        self.types.extend(words.flat_map(u32::to_ne_bytes));
        self.enter(at);
        u32::try_from(self.entries.len()).unwrap()
    }
}
