//! Where the running kernel's structure members are, and what its hooks and helpers are: tracer's own reader
//! of types and bpftool must agree. Which of them a kernel has does not matter.

// What is missing ends the test.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{collections::HashMap, process::Command};

use serde::Deserialize;
use tracer::source::kernel::{
    btf::{Btf, MemberPlace},
    layout::Layout,
    preflight::KERNEL_BTF,
};
use tracer_common::{
    helper::HELPERS,
    member::{SOCK_FLAGS, SPECS},
};

/// A type as bpftool prints it, with what is asked for here.
#[derive(Deserialize)]
struct BtfType {
    id: u32,
    kind: String,
    name: String,
    type_id: Option<u32>,
    size: Option<u32>,
    nr_elems: Option<u32>,
    #[serde(default)]
    members: Vec<Part>,
    #[serde(default)]
    values: Vec<Part>,
    #[serde(default)]
    params: Vec<Part>,
}

/// A member, an enumerator or a parameter.
#[derive(Deserialize)]
struct Part {
    name: String,
    type_id: Option<u32>,
    bits_offset: Option<u32>,
    bitfield_size: Option<u32>,
    val: Option<i128>,
}

#[derive(Deserialize)]
struct Dump {
    types: Vec<BtfType>,
}

/// bpftool's account of the kernel's types.
struct Oracle(HashMap<u32, BtfType>);

impl Oracle {
    fn new() -> Self {
        let mut command = Command::new("bpftool");
        let output = command.args(["--json", "btf", "dump", "file", KERNEL_BTF]).output().expect("bpftool");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let json = String::from_utf8(output.stdout).unwrap();
        let dump: Dump = serde_json::from_str(&json).unwrap();
        Self(dump.types.into_iter().map(|ty| (ty.id, ty)).collect())
    }

    /// The first type of these kinds with this name.
    fn first(&self, kinds: &[&str], name: &str) -> Option<&BtfType> {
        let named = self.0.values().filter(|ty| ty.name == name && kinds.contains(&ty.kind.as_str()));
        named.min_by_key(|ty| ty.id)
    }

    /// The type behind other names and qualifiers.
    fn behind(&self, id: u32) -> &BtfType {
        let ty = &self.0[&id];
        match ty.kind.as_str() {
            "TYPEDEF" | "CONST" | "VOLATILE" | "RESTRICT" | "TYPE_TAG" => self.behind(ty.type_id.unwrap()),
            _ => ty,
        }
    }

    fn size(&self, ty: &BtfType) -> u32 {
        match ty.kind.as_str() {
            "PTR" => 8,
            "ARRAY" => ty.nr_elems.unwrap() * self.size(self.behind(ty.type_id.unwrap())),
            _ => ty.size.unwrap(),
        }
    }

    /// Offset in bytes, and type, of a member or of a member of an anonymous one. Bit fields are none.
    fn member(&self, of: &BtfType, name: &str) -> Option<(u32, &BtfType)> {
        of.members.iter().find_map(|member| {
            let (at, ty) = (member.bits_offset.unwrap() / 8, self.behind(member.type_id.unwrap()));
            let is_bit_field = member.bitfield_size.is_some_and(|size| size > 0);
            match member.name.as_str() {
                found if found == name => (!is_bit_field).then_some((at, ty)),
                "(anon)" => self.member(ty, name).map(|(inner, ty)| (at + inner, ty)),
                _ => None,
            }
        })
    }

    fn place(&self, container: &str, path: &str) -> Option<MemberPlace> {
        let container = self.first(&["STRUCT", "UNION"], container)?;
        let (offset, ty) = path.split('.').try_fold((0, container), |(offset, ty), name| {
            let (at, ty) = self.member(ty, name)?;
            Some((offset + at, ty))
        })?;
        Some(MemberPlace { offset, size: self.size(ty) })
    }

    /// How many arguments the programs on a tracepoint get: the first parameter is the kernel's own.
    fn hook_args(&self, tracepoint: &str) -> Option<u32> {
        let pointer = self.first(&["TYPEDEF"], &format!("btf_trace_{tracepoint}"))?.type_id?;
        let prototype = self.behind(self.behind(pointer).type_id?);
        Some(u32::try_from(prototype.params.len()).unwrap() - 1)
    }

    fn function_args(&self, name: &str) -> Option<u32> {
        let prototype = &self.0[&self.first(&["FUNC"], name)?.type_id?];
        Some(u32::try_from(prototype.params.len()).unwrap())
    }
}

/// Tracer's account of the same.
fn btf() -> Btf {
    Btf::parse(std::fs::read(KERNEL_BTF).unwrap()).unwrap()
}

#[test]
fn members_are_where_bpftool_sees_them() {
    let (btf, oracle) = (btf(), Oracle::new());
    for spec in SPECS {
        let place = btf.member(spec.container, spec.path);
        assert_eq!(place, oracle.place(spec.container, spec.path), "{spec:?}");
    }
}

#[test]
fn flags_helpers_and_hooks_are_what_bpftool_sees() {
    let (btf, oracle) = (btf(), Oracle::new());
    let layout = Layout::find(&btf).unwrap();
    let flags = &oracle.first(&["ENUM"], "sock_flags").unwrap().values;
    for (bit, name) in layout.flag_bits.iter().zip(SOCK_FLAGS) {
        let flag = flags.iter().find(|flag| flag.name == name).unwrap();
        assert_eq!(Some(i128::from(*bit)), flag.val, "{name}");
    }
    for (has, name) in layout.helpers.iter().zip(HELPERS) {
        assert_eq!(*has == 1, oracle.first(&["FUNC"], name).is_some(), "{name}");
    }
    for hook in ["inet_sock_set_state", "tcp_send_reset", "tcp_receive_reset", "tcp_retransmit_skb"] {
        assert_eq!(btf.hook_args(hook), oracle.hook_args(hook), "{hook}");
    }
    for function in ["inet_csk_accept", "inet_twsk_kill", "inet_csk_reqsk_queue_hash_add"] {
        assert_eq!(btf.function_args(function), oracle.function_args(function), "{function}");
    }
}
