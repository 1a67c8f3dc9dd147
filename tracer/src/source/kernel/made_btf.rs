//! Type information that is made for a test, one type after the other.

use crate::source::kernel::btf_format::kind;

/// BTF that grows. Ids of types are given in order, from 1.
pub(super) struct MadeBtf {
    types: Vec<u32>,
    strings: Vec<u8>,
    last_id: u32,
}

impl MadeBtf {
    pub(super) fn new() -> Self {
        // The first string is the empty one, the name of all that has none.
        Self { types: Vec::new(), strings: vec![0], last_id: 0 }
    }

    /// Adds a string; returns its offset.
    fn string(&mut self, string: &str) -> u32 {
        if string.is_empty() {
            return 0;
        }
        let offset = u32::try_from(self.strings.len()).unwrap();
        self.strings.extend(string.as_bytes());
        self.strings.push(0);
        offset
    }

    /// Adds a type; returns its id. `parts` are its members, enumerators or parameters.
    fn add<const N: usize>(&mut self, kind: u32, name: &str, size_or_id: u32, parts: &[[u32; N]]) -> u32 {
        let name = self.string(name);
        let count = u32::try_from(parts.len()).unwrap();
        self.types.extend([name, (kind << 24) | count, size_or_id]);
        self.types.extend(parts.as_flattened());
        self.last_id += 1;
        self.last_id
    }

    /// An integer of so many bytes.
    pub(super) fn int(&mut self, size: u32) -> u32 {
        let id = self.add::<0>(kind::INT, "", size, &[]);
        self.types.push(size * 8);
        id
    }

    /// A structure of members: name, type and offset in bytes. Without a name it is anonymous.
    pub(super) fn structure(&mut self, name: &str, size: u32, members: &[(&str, u32, u32)]) -> u32 {
        let members: Vec<_> =
            members.iter().map(|(name, ty, offset)| [self.string(name), *ty, offset * 8]).collect();
        self.add(kind::STRUCT, name, size, &members)
    }

    pub(super) fn enumeration(&mut self, name: &str, values: &[(&str, u32)]) -> u32 {
        let values: Vec<_> = values.iter().map(|(name, value)| [self.string(name), *value]).collect();
        self.add(kind::ENUM, name, 4, &values)
    }

    pub(super) fn typedef(&mut self, name: &str, id: u32) -> u32 {
        self.add::<0>(kind::TYPEDEF, name, id, &[])
    }

    pub(super) fn constant(&mut self, id: u32) -> u32 {
        self.add::<0>(kind::CONST, "", id, &[])
    }

    /// A function of so many parameters.
    pub(super) fn function(&mut self, name: &str, parameters: usize) -> u32 {
        let prototype = self.prototype(parameters);
        self.add::<0>(kind::FUNC, name, prototype, &[])
    }

    /// A tracepoint whose programs get so many arguments.
    pub(super) fn tracepoint(&mut self, name: &str, arguments: usize) -> u32 {
        // The first parameter is the kernel's own.
        let prototype = self.prototype(arguments + 1);
        let pointer = self.add::<0>(kind::PTR, "", prototype, &[]);
        self.typedef(&format!("btf_trace_{name}"), pointer)
    }

    fn prototype(&mut self, parameters: usize) -> u32 {
        self.add(kind::FUNC_PROTO, "", 0, &vec![[0, 0]; parameters])
    }

    /// A file of these types.
    pub(super) fn bytes(&self) -> Vec<u8> {
        file(&self.types, &self.strings)
    }
}

/// A file of type records and strings.
pub(super) fn file(types: &[u32], strings: &[u8]) -> Vec<u8> {
    const MAGIC: u16 = 0xeb9f;
    const VERSION: u8 = 1;
    const HEADER: u32 = 24;
    let type_bytes = u32::try_from(types.len() * 4).unwrap();
    let string_bytes = u32::try_from(strings.len()).unwrap();
    let mut bytes = MAGIC.to_ne_bytes().to_vec();
    bytes.extend([VERSION, 0]);
    // Both sections' offsets count from the end of the header.
    for word in [HEADER, 0, type_bytes, type_bytes, string_bytes].iter().chain(types) {
        bytes.extend(word.to_ne_bytes());
    }
    bytes.extend(strings);
    bytes
}
