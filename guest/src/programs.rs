//! The kernel programs of a process, as the kernel tells of them.

use std::{collections::HashMap, fs};

use aya::programs::loaded_programs;
use guest::Cost;

/// What those took that the process holds, since statistics were turned on.
pub(crate) fn held(pid: u32) -> Vec<Cost> {
    let names: HashMap<u64, String> = loaded_programs()
        .flatten()
        .map(|program| (program.id().into(), program.name_as_str().unwrap_or_default().to_owned()))
        .collect();
    let cost = |text: String| {
        let number = |key| field(&text, key);
        // Of what else may be open nothing is told so.
        let (id, runs, nanoseconds) = (number("prog_id:")?, number("run_cnt:")?, number("run_time_ns:")?);
        Some(Cost { id, program: names.get(&id)?.clone(), runs, nanoseconds })
    };
    infos(pid).filter_map(cost).collect()
}

/// Instructions that the verifier looked at in all of them; `None` before Linux 5.16, which does not tell.
pub(crate) fn verified(pid: u32) -> Option<u64> {
    let counts: Vec<u64> = infos(pid).filter_map(|text| field(&text, "verified_insns:")).collect();
    (!counts.is_empty()).then(|| counts.iter().sum())
}

/// What is told of all that the process has open.
fn infos(pid: u32) -> impl Iterator<Item = String> {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fdinfo")).expect("descriptors");
    descriptors.filter_map(|descriptor| fs::read_to_string(descriptor.ok()?.path()).ok())
}

/// The number behind a key.
fn field(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.trim().parse().ok())
}
