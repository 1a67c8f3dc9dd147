//! Reads statistics of the kernel programs that a process holds, from `/proc/PID/fdinfo`.

use std::{collections::HashMap, fs};

use aya::programs::loaded_programs;
use guest::Cost;

/// Run statistics of the programs that the process holds, since statistics were turned on.
pub(crate) fn held(pid: u32) -> Vec<Cost> {
    let names: HashMap<u64, String> = loaded_programs()
        .flatten()
        .map(|program| (program.id().into(), program.name_as_str().unwrap_or_default().to_owned()))
        .collect();
    let cost = |text: String| {
        let number = |key| field(&text, key);
        // Other file descriptors do not have these keys.
        let (id, runs, nanoseconds) = (number("prog_id:")?, number("run_cnt:")?, number("run_time_ns:")?);
        Some(Cost { id, program: names.get(&id)?.clone(), runs, nanoseconds })
    };
    infos(pid).filter_map(cost).collect()
}

/// Instructions that the verifier processed, summed over the programs that the process holds. `None` before
/// Linux 5.16, which does not report this.
pub(crate) fn verified(pid: u32) -> Option<u64> {
    let counts: Vec<u64> = infos(pid).filter_map(|text| field(&text, "verified_insns:")).collect();
    (!counts.is_empty()).then(|| counts.iter().sum())
}

/// The `fdinfo` texts of all file descriptors of the process.
fn infos(pid: u32) -> impl Iterator<Item = String> {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fdinfo")).expect("descriptors");
    descriptors.filter_map(|descriptor| fs::read_to_string(descriptor.ok()?.path()).ok())
}

/// The number after a key at the beginning of a line.
fn field(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.trim().parse().ok())
}
