//! What runs here. Its type information goes to the disk, if there is one: tests want it.

use std::fs;

use guest::Found;

const BTF: &str = "/sys/kernel/btf/vmlinux";
const DISK: &str = "/dev/vda";

/// Tells, and copies.
pub(crate) fn play() -> Found {
    let types = fs::read(BTF).expect("type information");
    if fs::exists(DISK).unwrap_or(false) {
        fs::write(DISK, &types).expect("room on the disk");
    }
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    Found::Kernel { release, btf_bytes: types.len() }
}
