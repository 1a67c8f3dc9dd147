//! Tests of `tests::types`: bpftool shows that each change has the intended effect and no other.

use std::process::Command;

use tests::{program::run, types::Types};

/// Prints types with bpftool. Each line is a type, a member, an enumerator or a parameter.
fn read(types: &Types) -> Vec<String> {
    let printed = run(Command::new("bpftool").args(["btf", "dump", "file"]).arg(types.file()));
    printed.lines().map(|line| line.trim().to_owned()).collect()
}

/// The lines that a change modifies, before and after it; and the lines that it adds, which come last.
fn changes(of: fn() -> Types, change: impl FnOnce(Types) -> Types) -> (Vec<(String, String)>, Vec<String>) {
    let (before, mut after) = (read(&of()), read(&change(of())));
    let added = after.split_off(before.len());
    let pairs = before.into_iter().zip(after);
    (pairs.filter(|(before, after)| before != after).collect(), added)
}

/// A line without type ids, which differ between kernels.
fn words(line: &str) -> &str {
    line.split(" type_id=").next().unwrap().split("] ").last().unwrap()
}

/// Small type information in which a function, a parameter, a structure, its first member, an enumerator and
/// a declaration tag all have the same string as their name, `shared`. The value of the enumerator is the
/// offset of that string.
fn shared() -> Types {
    const NAME: u32 = 1;
    let types: &[u32] = &[
        // 1: INT of 4 bytes
        [0, 1 << 24, 4].as_slice(),
        &[0x20],
        // 2: STRUCT of 3 members: `shared`, a bit field `bits`, and an anonymous one of type 3
        &[NAME, 1 << 31 | 4 << 24 | 3, 12],
        &[NAME, 1, 0],
        &[NAME + 7, 1, 5 << 24 | 32],
        &[0, 3, 64],
        // 3: UNION of `inner`
        &[0, 5 << 24 | 1, 4],
        &[NAME + 12, 1, 0],
        // 4: ENUM of `shared`
        &[0, 6 << 24 | 1, 4],
        &[NAME, NAME],
        // 5: FUNC_PROTO of an argument `shared`; 6: FUNC
        &[0, 13 << 24 | 1, 0],
        &[NAME, 1],
        &[NAME, 12 << 24, 5],
        // 7: ENUM64 of `wide`
        &[0, 19 << 24 | 1, 8],
        &[NAME + 18, 1, 1],
        // 8: DECL_TAG `shared` on the structure's first member
        &[NAME, 17 << 24, 2],
        &[0],
        // 9: PTR to 5; 10: TYPEDEF `btf_trace_shared`
        &[0, 2 << 24, 5],
        &[NAME + 23, 8 << 24, 9],
    ]
    .concat();
    let strings = b"\0shared\0bits\0inner\0wide\0btf_trace_shared\0";
    let len = |bytes: usize| u32::try_from(bytes).unwrap();
    let header = [0x0001_eb9f, 24, 0, len(4 * types.len()), len(4 * types.len()), len(strings.len())];
    let words = header.iter().chain(types).flat_map(|word| word.to_ne_bytes());
    Types::of(words.chain(strings.iter().copied()).collect())
}

fn only(changed: &[(String, String)]) -> (&str, &str) {
    assert_eq!(changed.len(), 1, "{changed:#?}");
    (&changed[0].0, &changed[0].1)
}

#[test]
fn one_of_all_that_have_a_name_is_changed() {
    let member = changes(shared, |types| types.without_member("shared", "shared")).0;
    assert_eq!(only(&member).0, "'shared' type_id=1 bits_offset=0");
    let inner = changes(shared, |types| types.without_member("shared", "inner")).0;
    assert_eq!(only(&inner).1, "'(removed)' type_id=1 bits_offset=0");
    let function = changes(shared, |types| types.without_function("shared")).0;
    assert_eq!(words(only(&function).0), "FUNC 'shared'");
    let hook = changes(shared, |types| types.without_hook("shared")).0;
    assert_eq!(words(only(&hook).0), "TYPEDEF 'btf_trace_shared'");
    let enumerator = changes(shared, |types| types.without_enumerator("shared")).0;
    assert_eq!(only(&enumerator), ("'shared' val=1", "'(removed)' val=1"));
}

#[test]
fn values_places_and_arguments_are_changed() {
    let value = changes(shared, |types| types.with_value("shared", 7)).0;
    assert_eq!(only(&value), ("'shared' val=1", "'shared' val=7"));
    let wide = changes(shared, |types| types.with_value("wide", 7)).0;
    assert_eq!(only(&wide), ("'wide' val=4294967297ULL", "'wide' val=7ULL"));
    let place = changes(shared, |types| types.with_place("shared", "shared", 96)).0;
    assert_eq!(only(&place).1, "'shared' type_id=1 bits_offset=96");
    let bits = changes(shared, |types| types.with_place("shared", "bits", 40)).0;
    assert_eq!(only(&bits).1, "'bits' type_id=1 bits_offset=40 bitfield_size=5");
    let (swapped, _) = changes(shared, |types| types.with_places_swapped("shared", "shared", "bits"));
    let swapped: Vec<_> = swapped.iter().map(|(_, after)| after.as_str()).collect();
    assert_eq!(
        swapped,
        ["'shared' type_id=1 bits_offset=32 bitfield_size=5", "'bits' type_id=1 bits_offset=0"]
    );
    let (function, added) = changes(shared, |types| types.with_arguments("shared", 2));
    assert!(only(&function).1.starts_with("[6] FUNC 'shared' type_id=11"), "{function:?}");
    assert_eq!(
        added,
        ["[11] FUNC_PROTO '(anon)' ret_type_id=0 vlen=2", "'(anon)' type_id=0", "'(anon)' type_id=0"]
    );
    let (hook, added) = changes(shared, |types| types.with_hook_arguments("shared", 0));
    assert_eq!(only(&hook).1, "[10] TYPEDEF 'btf_trace_shared' type_id=12");
    assert_eq!(added.last().unwrap(), "[12] PTR '(anon)' type_id=11");
}

/// The running kernel's types are larger, and have entries of all kinds.
#[test]
fn this_kernels_types_are_changed() {
    let (changed, added) = changes(Types::of_this_kernel, |types| {
        types.without_member("sock_common", "skc_dport").with_value("TCP_SYN_SENT", 13)
    });
    let mut changed: Vec<_> = changed.iter().map(|(before, after)| (words(before), words(after))).collect();
    changed.sort_unstable();
    changed.dedup();
    assert_eq!(changed, [("'TCP_SYN_SENT' val=2", "'TCP_SYN_SENT' val=13"), ("'skc_dport'", "'(removed)'")]);
    assert_eq!(added, Vec::<String>::new());
}
