//! Where cgroups are.

// A panic is how a test says that it failed.
#![allow(clippy::expect_used)]

use std::{fs, path::PathBuf};

/// The root of the v2 hierarchy, to which sockets belong.
pub fn mount() -> PathBuf {
    let mounts = fs::read_to_string("/proc/self/mounts").expect("mounts");
    let mut lines = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    lines.find(|fields| fields[2] == "cgroup2").expect("a v2 hierarchy")[1].into()
}
