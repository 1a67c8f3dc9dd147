//! The capabilities of the process: checking them, and giving them up.

use caps::{CapSet, Capability, CapsHashSet};

use crate::source::kernel::{self, preflight::Version};

/// What is wrong with the capabilities.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Some of the needed capabilities are missing.
    #[error("missing {}: run tracer with sudo, or give it the capabilities CAP_BPF and CAP_PERFMON", list(.0))]
    Missing(Vec<Capability>),
    /// They cannot be read or set.
    #[error("capabilities: {0}")]
    System(#[from] caps::errors::CapsError),
}

/// What loading a tracing program needs.
const NEEDED: [Capability; 2] = [Capability::CAP_BPF, Capability::CAP_PERFMON];

/// From this version on a program's maps can be read without a capability.
const READS_MAPS_UNPRIVILEGED: Version = Version { major: 5, minor: 19 };

fn list(missing: &[Capability]) -> String {
    missing.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
}

/// Checks for CAP_BPF and CAP_PERFMON (both since Linux 5.8), or CAP_SYS_ADMIN, which implies both.
pub fn check() -> Result<(), Error> {
    let held = caps::read(None, CapSet::Effective)?;
    let missing: Vec<_> = NEEDED.into_iter().filter(|needed| !held.contains(needed)).collect();
    if missing.is_empty() || held.contains(&Capability::CAP_SYS_ADMIN) {
        Ok(())
    } else {
        Err(Error::Missing(missing))
    }
}

/// Whether the namespaces of all processes that are in `/proc` can be seen.
#[must_use]
pub fn reads_processes() -> bool {
    caps::has_cap(None, CapSet::Effective, Capability::CAP_SYS_PTRACE).unwrap_or_default()
}

/// Gives up what this thread needs only to load programs: all capabilities, except CAP_BPF before Linux 5.19.
/// Capabilities belong to threads, and a new thread inherits them.
pub fn drop_after_loading() -> Result<(), kernel::error::Error> {
    let reads_maps = Version::running().is_some_and(|version| version >= READS_MAPS_UNPRIVILEGED);
    Ok(drop_all_but(if reads_maps { &[] } else { &[Capability::CAP_BPF] })?)
}

/// Gives up all capabilities of this thread for good, except those in `kept`.
pub fn drop_all_but(kept: &[Capability]) -> Result<(), Error> {
    let held = caps::read(None, CapSet::Permitted)?;
    let kept: CapsHashSet = kept.iter().copied().filter(|cap| held.contains(cap)).collect();
    caps::clear(None, CapSet::Ambient)?;
    caps::clear(None, CapSet::Inheritable)?;
    caps::set(None, CapSet::Effective, &kept)?;
    caps::set(None, CapSet::Permitted, &kept)?;
    Ok(())
}
