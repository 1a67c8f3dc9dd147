//! The kernel's type information, changed: what another kernel would say.

use std::{fs, path::PathBuf};

use tempfile::TempDir;

/// Bytes of a member of a structure in BTF: its name, its type, its offset in bits.
const MEMBER: usize = 12;
/// Bytes of an enumerator: its name, its value.
const ENUMERATOR: usize = 8;

/// A copy of the running kernel's types.
pub struct Types {
    bytes: Vec<u8>,
    folder: TempDir,
}

impl Types {
    /// As they are.
    pub fn of_this_kernel() -> Self {
        let bytes = fs::read("/sys/kernel/btf/vmlinux").unwrap();
        Self { bytes, folder: tempfile::tempdir().unwrap() }
    }

    /// Renames what has this name, so that nobody finds it.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        let at = self.strings() + self.name(name);
        self.bytes[at] = b'?';
        self
    }

    /// Gives what is called `old` another name, which may not be longer.
    #[must_use]
    pub fn renamed(mut self, old: &str, new: &str) -> Self {
        assert!(new.len() <= old.len());
        let at = self.strings() + self.name(old);
        self.bytes[at..at + old.len()].fill(0);
        self.bytes[at..at + new.len()].copy_from_slice(new.as_bytes());
        self
    }

    /// Lets two members, each the only one of its name, change their places.
    #[must_use]
    pub fn with_places_swapped(mut self, one: &str, other: &str) -> Self {
        let [one, other] = [one, other].map(|name| self.only(name, MEMBER, |_| true) + 8);
        let [left, right] = [one, other].map(|at| self.word(at));
        self.set(one, right);
        self.set(other, left);
        self
    }

    /// Gives a member, the only one of its name, another place, in bits.
    #[must_use]
    pub fn with_place(mut self, name: &str, bits: u32) -> Self {
        let at = self.only(name, MEMBER, |_| true) + 8;
        self.set(at, bits);
        self
    }

    /// Gives an enumerator another value.
    #[must_use]
    pub fn with_value(mut self, name: &str, old: u32, new: u32) -> Self {
        let at = self.only(name, ENUMERATOR, |value| value == old) + 4;
        self.set(at, new);
        self
    }

    /// Writes them where `--btf` can read them; the file lives as long as this.
    pub fn file(&self) -> PathBuf {
        let path = self.folder.path().join("types");
        fs::write(&path, &self.bytes).unwrap();
        path
    }

    fn word(&self, at: usize) -> u32 {
        u32::from_ne_bytes(self.bytes[at..at + 4].try_into().unwrap())
    }

    fn set(&mut self, at: usize, value: u32) {
        self.bytes[at..at + 4].copy_from_slice(&value.to_ne_bytes());
    }

    /// Where the strings begin.
    fn strings(&self) -> usize {
        (self.word(4) + self.word(16)) as usize
    }

    /// Where a name lies among the strings: each is there once.
    fn name(&self, name: &str) -> usize {
        let sought = [b"\0", name.as_bytes(), b"\0"].concat();
        let strings = &self.bytes[self.strings()..];
        let at = strings.windows(sought.len()).position(|window| window == sought);
        at.unwrap_or_else(|| panic!("the kernel has no {name}")) + 1
    }

    /// Where the only entry of so many bytes with this name stands whose second word is as it should be.
    fn only(&self, name: &str, size: usize, is_it: impl Fn(u32) -> bool) -> usize {
        let name = u32::try_from(self.name(name)).unwrap();
        let (begin, end) = ((self.word(4) + self.word(8)) as usize, self.strings());
        let found: Vec<_> = (begin..end - size)
            .step_by(4)
            .filter(|at| self.word(*at) == name && is_it(self.word(at + 4)))
            .collect();
        assert_eq!(found.len(), 1, "entries of that name");
        found[0]
    }
}
