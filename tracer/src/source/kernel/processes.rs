//! Which processes this one can name: in a pid namespace they have other numbers than the kernel programs see.

use std::{fs, os::unix::fs::MetadataExt as _};

use crate::facts::names::UnknownName;

/// `PROC_PID_INIT_INO` (`include/linux/proc_ns.h`), since 3.8.
const INITIAL_PID_NAMESPACE: u64 = 0xefff_fffc;

/// The inode number of this process's pid namespace.
fn pid_namespace() -> Option<u64> {
    Some(fs::metadata("/proc/self/ns/pid").ok()?.ino())
}

/// Whether this process sees all processes of the host. In a pid namespace it sees only those in it.
pub(super) fn sees_all() -> bool {
    pid_namespace() == Some(INITIAL_PID_NAMESPACE)
}

/// Refuses process ids of another pid namespace than the host's: the kernel programs tell only those.
pub(super) fn check_ids() -> Result<(), UnknownName> {
    if pid_namespace().is_none_or(|namespace| namespace == INITIAL_PID_NAMESPACE) {
        return Ok(());
    }
    Err(UnknownName(
        "--pid: this is a pid namespace, and the pids of events are the host's: start tracer in the host's pid namespace (with `docker run --pid=host`, `hostPID: true`, or `nsenter -t 1 -p` from outside), or filter by --comm, --cgroup or --uid"
            .to_owned(),
    ))
}
