//! Changes the kernel's type information (BTF), to imitate another kernel.
//!
//! Each change names a function, a tracepoint, a member of a structure or an enumerator. If the kernel has
//! several of that name, from different compilation units, all of them change.
//!
//! # Layout
//! - [`Types`]: a copy of the types, and changes to it
//! - `btf`: the binary format

mod btf;

use std::{fs, path::PathBuf};

use tempfile::TempDir;

use self::btf::{Btf, Entry, kind};

/// Replaces the names of removed types. It is no C identifier, so no lookup finds it.
const REMOVED: &str = "(removed)";
/// The bits of a member's offset, if the upper byte is the size of a bit field.
const OFFSET: u32 = 0x00ff_ffff;

/// Type information that can be changed.
pub struct Types {
    btf: Btf,
    folder: TempDir,
}

impl Types {
    /// The running kernel's types, unchanged.
    pub fn of_this_kernel() -> Self {
        Self::of(fs::read("/sys/kernel/btf/vmlinux").unwrap())
    }

    /// Types from the bytes of a BTF file.
    pub fn of(bytes: Vec<u8>) -> Self {
        Self { btf: Btf::parse(bytes), folder: tempfile::tempdir().unwrap() }
    }

    /// Removes a function.
    #[must_use]
    pub fn without_function(self, name: &str) -> Self {
        let found = self.named(kind::FUNC, name);
        self.removed(found.iter().map(|function| function.at))
    }

    /// Removes the type of a tracepoint, without which programs cannot attach to it.
    #[must_use]
    pub fn without_hook(self, tracepoint: &str) -> Self {
        let found = self.hook(tracepoint);
        self.removed(found.iter().map(|hook| hook.at))
    }

    /// Removes a member of a structure, or of an anonymous structure or union in it.
    #[must_use]
    pub fn without_member(self, structure: &str, member: &str) -> Self {
        let found = self.members(structure, member);
        self.removed(found.iter().map(|(_, at)| *at))
    }

    /// Removes an enumerator.
    #[must_use]
    pub fn without_enumerator(self, name: &str) -> Self {
        let found = self.enumerators(name);
        self.removed(found.iter().map(|(_, at)| *at))
    }

    /// Changes the number of a function's arguments.
    #[must_use]
    pub fn with_arguments(mut self, function: &str, count: usize) -> Self {
        let prototype = self.btf.push(kind::FUNC_PROTO, 0, &vec![[0, 0]; count]);
        for function in self.named(kind::FUNC, function) {
            self.btf.set(function.reference(), prototype);
        }
        self
    }

    /// Changes the number of arguments that a program at a tracepoint gets.
    #[must_use]
    pub fn with_hook_arguments(mut self, tracepoint: &str, count: usize) -> Self {
        // The prototype has one more: the first argument is the kernel's own.
        let prototype = self.btf.push(kind::FUNC_PROTO, 0, &vec![[0, 0]; count + 1]);
        let pointer = self.btf.push(kind::PTR, prototype, &[]);
        for hook in self.hook(tracepoint) {
            self.btf.set(hook.reference(), pointer);
        }
        self
    }

    /// Swaps the offsets of two members of a structure.
    #[must_use]
    pub fn with_places_swapped(mut self, structure: &str, one: &str, other: &str) -> Self {
        let pairs = self.members(structure, one).into_iter().zip(self.members(structure, other));
        for ((_, one), (_, other)) in pairs {
            let [left, right] = [one, other].map(|at| self.btf.word(at + 8));
            self.btf.set(one + 8, right);
            self.btf.set(other + 8, left);
        }
        self
    }

    /// Changes the offset of a member of a structure, in bits.
    #[must_use]
    pub fn with_place(mut self, structure: &str, member: &str, bits: u32) -> Self {
        assert!(bits <= OFFSET, "an offset has 24 bits in a structure with bit fields");
        for (of, at) in self.members(structure, member) {
            let kept = if of.has_bit_fields { self.btf.word(at + 8) & !OFFSET } else { 0 };
            self.btf.set(at + 8, kept | bits);
        }
        self
    }

    /// Changes the value of an enumerator.
    #[must_use]
    pub fn with_value(mut self, enumerator: &str, value: u32) -> Self {
        for (of, at) in self.enumerators(enumerator) {
            self.btf.set(at + 4, value);
            if of.kind == kind::ENUM64 {
                self.btf.set(at + 8, 0);
            }
        }
        self
    }

    /// The bytes of a BTF file with these types.
    pub fn bytes(&self) -> Vec<u8> {
        self.btf.bytes()
    }

    /// Writes a file for `--btf`. It is removed when this is dropped.
    pub fn file(&self) -> PathBuf {
        let path = self.folder.path().join("types");
        fs::write(&path, self.bytes()).unwrap();
        path
    }

    fn removed(mut self, found: impl Iterator<Item = usize>) -> Self {
        for at in found {
            self.btf.rename(at, REMOVED);
        }
        self
    }

    /// The types of a kind that have this name.
    fn named(&self, kind: u32, name: &str) -> Vec<Entry> {
        let kinds = [kind];
        let found = self.btf.entries(&kinds).filter(|entry| self.btf.name(entry.at) == name.as_bytes());
        assert_found(found.collect(), name)
    }

    /// The types of a tracepoint.
    fn hook(&self, tracepoint: &str) -> Vec<Entry> {
        self.named(kind::TYPEDEF, &format!("btf_trace_{tracepoint}"))
    }

    /// The enumerators of this name, each with its enum.
    fn enumerators(&self, name: &str) -> Vec<(Entry, usize)> {
        let enums = self.btf.entries(&[kind::ENUM, kind::ENUM64]);
        let all = enums.flat_map(|of| of.parts().map(move |at| (of, at)));
        assert_found(all.filter(|(_, at)| self.btf.name(*at) == name.as_bytes()).collect(), name)
    }

    /// The members of this name, each with the structure or union that contains it directly.
    fn members(&self, structure: &str, member: &str) -> Vec<(Entry, usize)> {
        let structures = self.btf.entries(&[kind::STRUCT, kind::UNION]);
        let mut found = Vec::new();
        for of in structures.filter(|of| self.btf.name(of.at) == structure.as_bytes()) {
            self.find(of, member, &mut found);
        }
        assert_found(found, &format!("{structure}.{member}"))
    }

    fn find(&self, of: Entry, member: &str, found: &mut Vec<(Entry, usize)>) {
        for at in of.parts() {
            match self.btf.name(at) {
                b"" => {
                    if let Some(inner) = self.composite(self.btf.word(at + 4)) {
                        self.find(inner, member, found);
                    }
                }
                name if name == member.as_bytes() => found.push((of, at)),
                _ => {}
            }
        }
    }

    /// The structure or union that a type id refers to, also through typedefs and qualifiers.
    fn composite(&self, id: u32) -> Option<Entry> {
        let entry = self.btf.entry(id)?;
        match entry.kind {
            kind::STRUCT | kind::UNION => Some(entry),
            kind::TYPEDEF | kind::CONST | kind::VOLATILE => self.composite(self.btf.word(entry.reference())),
            _ => None,
        }
    }
}

fn assert_found<T>(found: Vec<T>, name: &str) -> Vec<T> {
    assert!(!found.is_empty(), "the kernel has no {name}");
    found
}
