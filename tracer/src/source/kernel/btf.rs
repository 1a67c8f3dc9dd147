//! Reading the kernel's type information (BTF): member offsets, enumerators, tracepoints and functions.
//!
//! All of the kernel's types are read once, in a few milliseconds. General readers take ten times that, and
//! aya's reader gives no member offsets.

use std::collections::HashMap;

use crate::source::kernel::btf_format::{Type, data_len, kind, word_at};

/// Why bytes cannot be read as BTF.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// They do not begin with BTF's magic number in this machine's byte order.
    #[error("it is not BTF of this machine")]
    NotBtf,
    /// They end too early, or an offset points outside of them.
    #[error("it is cut off or damaged at byte {0}")]
    Damaged(usize),
    /// A kind of type that this reader does not know, so that it cannot find the next type.
    #[error("it holds types of kind {0}, which this version of tracer does not know")]
    UnknownKind(u32),
}

const MAGIC: u16 = 0xeb9f;
const HEADER: usize = 24;
/// The deepest nesting of typedefs and arrays; more means damaged data.
const MAX_DEPTH: u32 = 16;
/// The longest name: the kernel's names are shorter (`KSYM_NAME_LEN`).
const MAX_NAME: usize = 512;
/// A member's offset, if the upper byte is the size of a bit field.
const OFFSET_BITS: u32 = 0x00ff_ffff;
/// The most nested anonymous structures that are searched for a member; more means damaged data.
const MAX_STEPS: u32 = 1000;

/// Offset and size of a structure's member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberPlace {
    /// Bytes from the start of the structure.
    pub offset: u32,
    /// Size in bytes.
    pub size: u32,
}

/// The kernel's types.
pub struct Btf {
    bytes: Vec<u8>,
    /// Offset of the string section.
    strings: usize,
    strings_end: usize,
    /// By type id.
    types: Vec<Type>,
    /// Ids of structures and unions by name.
    composites: HashMap<Vec<u8>, usize>,
}

impl Btf {
    /// Reads BTF from the bytes of `/sys/kernel/btf/vmlinux` or of a file in its place.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, Error> {
        if bytes.len() < HEADER || bytes[..2] != MAGIC.to_ne_bytes() {
            return Err(Error::NotBtf);
        }
        let header = word_at(&bytes, 4)?;
        let section = |offset_at: usize| -> Result<(usize, usize), Error> {
            let start = header.checked_add(word_at(&bytes, offset_at)?).ok_or(Error::Damaged(offset_at))?;
            let end = start.checked_add(word_at(&bytes, offset_at + 4)?).ok_or(Error::Damaged(offset_at))?;
            if end as usize > bytes.len() {
                Err(Error::Damaged(bytes.len()))
            } else {
                Ok((start as usize, end as usize))
            }
        };
        let (mut at, types_end) = section(8)?;
        let (strings, strings_end) = section(16)?;
        let mut btf = Self { strings, strings_end, types: Vec::new(), composites: HashMap::new(), bytes };
        // Type 0 is `void`, and not stored.
        btf.types.push(Type { name: 0, info: 0, size_or_id: 0, data: 0 });
        while at < types_end {
            let ty = Type {
                name: word_at(&btf.bytes, at)?,
                info: word_at(&btf.bytes, at + 4)?,
                size_or_id: word_at(&btf.bytes, at + 8)?,
                data: at + 12,
            };
            at = ty.data + data_len(ty)?;
            if ty.is_composite() && ty.name != 0 {
                let name = btf.string(ty.name).to_vec();
                // If several have the same name, the first is the kernel's main one.
                btf.composites.entry(name).or_insert(btf.types.len());
            }
            btf.types.push(ty);
        }
        Ok(btf)
    }

    /// Finds `path`, such as `__sk_common.skc_family`, in the structure `container`.
    #[must_use]
    pub fn member(&self, container: &str, path: &str) -> Option<MemberPlace> {
        let mut id = *self.composites.get(container.as_bytes())?;
        let mut offset = 0;
        for name in path.split('.') {
            let (at, ty) = self.find_member(id, name.as_bytes(), &mut { MAX_STEPS })?;
            offset += at;
            id = self.resolve(ty)?;
        }
        Some(MemberPlace { offset, size: self.size(id, 0)? })
    }

    /// The offset of a structure's bit field of one bit, in bits.
    #[must_use]
    pub fn bit(&self, container: &str, name: &str) -> Option<u32> {
        let ty = self.types.get(*self.composites.get(container.as_bytes())?)?;
        let mut members = (0..ty.count()).map(|index| ty.data + index * 12);
        let at = members.find(|at| {
            word_at(&self.bytes, *at).is_ok_and(|member| self.string(member) == name.as_bytes())
        })?;
        let bits = word_at(&self.bytes, at + 8).ok()?;
        Some(if ty.has_bit_fields() { bits & OFFSET_BITS } else { bits })
    }

    /// The value of an enumerator of a named enum.
    #[must_use]
    pub fn enumerator(&self, name: &str, enumerator: &str) -> Option<u32> {
        self.enumerator_value(self.find_type(kind::ENUM, name)?, enumerator)
    }

    /// The value of an enumerator of the enum, named or not, that also has the enumerator `sibling`.
    #[must_use]
    pub fn enumerator_beside(&self, sibling: &str, enumerator: &str) -> Option<u32> {
        let mut enums = self.types.iter().filter(|ty| ty.kind() == kind::ENUM);
        self.enumerator_value(*enums.find(|ty| self.enumerator_value(**ty, sibling).is_some())?, enumerator)
    }

    fn enumerator_value(&self, ty: Type, enumerator: &str) -> Option<u32> {
        (0..ty.count()).map(|index| ty.data + index * 8).find_map(|at| {
            let is_named = self.string(word_at(&self.bytes, at).ok()?) == enumerator.as_bytes();
            is_named.then(|| word_at(&self.bytes, at + 4).ok())?
        })
    }

    /// Whether the kernel has a function of this name.
    #[must_use]
    pub fn has_function(&self, name: &str) -> bool {
        self.find_type(kind::FUNC, name).is_some()
    }

    /// Whether there is a tracepoint of this name with typed arguments (`tp_btf`).
    #[must_use]
    pub fn has_hook(&self, tracepoint: &str) -> bool {
        self.find_type(kind::TYPEDEF, &format!("btf_trace_{tracepoint}")).is_some()
    }

    /// How many arguments a program on a tracepoint gets; `None` if there is no such tracepoint.
    #[must_use]
    pub fn hook_args(&self, tracepoint: &str) -> Option<u32> {
        let typedef = self.find_type(kind::TYPEDEF, &format!("btf_trace_{tracepoint}"))?;
        let pointer = self.types.get(self.resolve(typedef.size_or_id)?)?;
        let prototype = self.types.get(self.resolve(pointer.size_or_id)?)?;
        let is_function = pointer.kind() == kind::PTR && prototype.kind() == kind::FUNC_PROTO;
        // The first parameter is the kernel's own data pointer.
        is_function.then(|| u32::try_from(prototype.count()).ok()?.checked_sub(1))?
    }

    /// How many arguments the kernel function of this name has; `None` if there is no such function.
    #[must_use]
    pub fn function_args(&self, name: &str) -> Option<u32> {
        let function = self.find_type(kind::FUNC, name)?;
        let prototype = self.types.get(function.size_or_id as usize)?;
        (prototype.kind() == kind::FUNC_PROTO).then(|| u32::try_from(prototype.count()).ok())?
    }

    /// All names and values of a named enum.
    #[must_use]
    pub fn enumerators(&self, name: &str) -> Vec<(String, u32)> {
        let Some(ty) = self.find_type(kind::ENUM, name) else {
            return Vec::new();
        };
        let each = (0..ty.count()).map(|index| ty.data + index * 8);
        each.filter_map(|at| {
            let name = String::from_utf8_lossy(self.string(word_at(&self.bytes, at).ok()?)).into_owned();
            Some((name, word_at(&self.bytes, at + 4).ok()?))
        })
        .collect()
    }

    fn find_type(&self, kind: u32, name: &str) -> Option<Type> {
        self.types.iter().copied().find(|ty| ty.kind() == kind && self.string(ty.name) == name.as_bytes())
    }

    /// Offset and type of a member. Anonymous structures and unions are searched, too.
    fn find_member(&self, id: usize, name: &[u8], steps: &mut u32) -> Option<(u32, u32)> {
        let ty = *self.types.get(id)?;
        *steps = steps.checked_sub(1)?;
        if !ty.is_composite() {
            return None;
        }
        (0..ty.count()).map(|index| ty.data + index * 12).find_map(|at| {
            let member_name = self.string(word_at(&self.bytes, at).ok()?);
            let member_type = word_at(&self.bytes, at + 4).ok()?;
            let bits = word_at(&self.bytes, at + 8).ok()?;
            let (bits, field_size) =
                if ty.has_bit_fields() { (bits & OFFSET_BITS, bits >> 24) } else { (bits, 0) };
            if member_name == name {
                // Bit fields are not supported: they have no address.
                return (bits % 8 == 0 && field_size == 0).then_some((bits / 8, member_type));
            }
            if !member_name.is_empty() {
                return None;
            }
            let (inner, inner_type) = self.find_member(self.resolve(member_type)?, name, steps)?;
            Some((bits / 8 + inner, inner_type))
        })
    }

    /// The type behind typedefs, qualifiers and type tags.
    fn resolve(&self, id: u32) -> Option<usize> {
        let mut id = id as usize;
        for _ in 0..MAX_DEPTH {
            let ty = self.types.get(id)?;
            match ty.kind() {
                kind::TYPEDEF | kind::VOLATILE | kind::CONST | kind::RESTRICT | kind::TYPE_TAG => {
                    id = ty.size_or_id as usize;
                }
                _ => return Some(id),
            }
        }
        None
    }

    fn size(&self, id: usize, depth: u32) -> Option<u32> {
        let ty = self.types.get(id)?;
        match ty.kind() {
            kind::INT | kind::STRUCT | kind::UNION | kind::ENUM | kind::ENUM64 => Some(ty.size_or_id),
            kind::PTR => u32::try_from(size_of::<usize>()).ok(),
            kind::ARRAY if depth < MAX_DEPTH => {
                let element = self.resolve(word_at(&self.bytes, ty.data).ok()?)?;
                let count = word_at(&self.bytes, ty.data + 8).ok()?;
                self.size(element, depth + 1)?.checked_mul(count)
            }
            _ => None,
        }
    }

    fn string(&self, offset: u32) -> &[u8] {
        let start = self.strings + offset as usize;
        let rest = self.bytes.get(start..self.strings_end).unwrap_or_default();
        let rest = &rest[..rest.len().min(MAX_NAME)];
        rest.split(|byte| *byte == 0).next().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::kernel::made_btf::{MadeBtf, file};

    /// A bit of a kernel: structures within each other, named and not, behind a typedef and a qualifier.
    fn kernel() -> Vec<u8> {
        let mut made = MadeBtf::new();
        let [two, four] = [2, 4].map(|size| made.int(size));
        let pair = made.structure("", 8, &[("skc_daddr", four, 0), ("skc_rcv_saddr", four, 4)]);
        let common = made.structure("sock_common", 10, &[("", pair, 0), ("skc_dport", two, 8)]);
        let common = made.typedef("common_t", common);
        let common = made.constant(common);
        made.structure("sock", 16, &[("sk_err", four, 0), ("__sk_common", common, 4)]);
        // Another compilation unit's.
        made.structure("sock", 4, &[("other", four, 0)]);
        made.enumeration("sock_flags", &[("SOCK_DEAD", 0), ("SOCK_DONE", 1)]);
        made.enumeration("", &[("TCP_LISTEN", 10), ("TCP_NEW_SYN_RECV", 12)]);
        made.function("inet_csk_accept", 2);
        made.tracepoint("inet_sock_set_state", 3);
        made.bytes()
    }

    #[test]
    fn members_are_found_also_in_structures_within() {
        let btf = Btf::parse(kernel()).unwrap();
        let place = |path| btf.member("sock", path).map(|place| (place.offset, place.size));
        assert_eq!(place("sk_err"), Some((0, 4)));
        assert_eq!(place("__sk_common.skc_daddr"), Some((4, 4)));
        assert_eq!(place("__sk_common.skc_rcv_saddr"), Some((8, 4)));
        assert_eq!(place("__sk_common.skc_dport"), Some((12, 2)));
        assert_eq!(place("no_such_member"), None);
        assert_eq!(place("other"), None, "the first structure of a name counts");
        assert_eq!(btf.member("no_such_struct", "member"), None);
        assert_eq!([btf.bit("sock", "__sk_common"), btf.bit("sock", "no_such_bit")], [Some(32), None]);
    }

    #[test]
    fn enumerators_functions_and_tracepoints_are_found() {
        let btf = Btf::parse(kernel()).unwrap();
        assert_eq!(btf.enumerator("sock_flags", "SOCK_DONE"), Some(1));
        assert_eq!(btf.enumerator("sock_flags", "TCP_LISTEN"), None);
        assert_eq!(btf.enumerator_beside("TCP_NEW_SYN_RECV", "TCP_LISTEN"), Some(10));
        let flags = [("SOCK_DEAD", 0), ("SOCK_DONE", 1)].map(|(name, value)| (name.to_owned(), value));
        assert_eq!(btf.enumerators("sock_flags"), flags);
        assert_eq!(btf.enumerators("no_such_enum"), []);
        assert_eq!(btf.function_args("inet_csk_accept"), Some(2));
        assert_eq!(btf.function_args("no_such_function"), None);
        assert!(btf.has_function("inet_csk_accept") && !btf.has_function("inet_sock_set_state"));
        assert!(btf.has_hook("inet_sock_set_state") && !btf.has_hook("inet_csk_accept"));
        assert_eq!(btf.hook_args("inet_sock_set_state"), Some(3));
        assert_eq!(btf.hook_args("no_such_hook"), None);
    }

    /// A structure that contains itself anonymously thirty times: an unlimited search takes 30^depth steps.
    #[test]
    fn a_structure_within_itself_is_not_followed_for_ever() {
        let mut made = MadeBtf::new();
        let itself = 1;
        made.structure("sock", 8, &[("", itself, 0); 30]);
        assert_eq!(Btf::parse(made.bytes()).unwrap().member("sock", "member"), None);
    }

    /// 20,000 structures whose names run to the end of the string section.
    #[test]
    fn names_without_an_end_are_cut_short() {
        let types: Vec<u32> = (1..=20_000).flat_map(|name| [name, kind::STRUCT << 24, 0]).collect();
        let btf = Btf::parse(file(&types, &vec![b'a'; 2 << 20])).unwrap();
        assert!(btf.composites.keys().all(|name| name.len() <= MAX_NAME));
    }

    #[test]
    fn damaged_types_are_an_error() {
        assert_eq!(Btf::parse(Vec::new()).err(), Some(Error::NotBtf));
        let whole = kernel();
        for end in 0..whole.len() {
            assert!(Btf::parse(whole[..end].to_vec()).is_err(), "cut at {end}");
        }
        let mut damaged = whole;
        damaged[HEADER..].fill(0xff);
        assert_eq!(Btf::parse(damaged).err(), Some(Error::UnknownKind(31)));
    }
}
