//! Resource limits of the process (`setrlimit(2)`): checked before anything else, because a program that runs into
//! one of them often cannot even say so.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::source::kernel::preflight::Version;

/// File descriptors that the tracer may need: for ring buffers, other maps, programs, the runtime and its
/// threads.
const DESCRIPTORS: u64 = 256;

/// The stack of the first thread.
const STACK_BYTES: u64 = 1 << 20;

/// The address space for the program, its threads and ring buffers of the default size.
const ADDRESS_SPACE_BYTES: u64 = 512 << 20;

/// Memory of its own.
const DATA_BYTES: u64 = 128 << 20;

/// What the command line alone takes, of the address space and of memory of its own.
const FIRST_ADDRESS_SPACE_BYTES: u64 = 32 << 20;
const FIRST_DATA_BYTES: u64 = 8 << 20;

/// The least locked memory: with less, even a smaller `--buffer` does not help.
const MIN_LOCKED_BYTES: u64 = 8 << 20;

/// From this version on BPF maps count as memory of the cgroup, and no longer as locked memory.
const MAPS_NOT_LOCKED_SINCE: Version = Version { major: 5, minor: 11 };

/// A limit that is too low.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// On open files.
    #[error(
        "only {0} files may be open at once, tracer needs {DESCRIPTORS}: raise the limit with `ulimit -n`"
    )]
    Descriptors(u64),
    /// On memory of one kind.
    #[error(
        "{what} may have only {kib} KiB, tracer needs {needed_kib}: raise the limit with `ulimit {option}`"
    )]
    Memory {
        /// The kind of memory.
        what: &'static str,
        /// The limit.
        kib: u64,
        /// What is needed.
        needed_kib: u64,
        /// The option of the shell's `ulimit`.
        option: &'static str,
    },
    /// On locked memory.
    #[error(
        "this kernel (before Linux {MAPS_NOT_LOCKED_SINCE}) counts maps as locked memory, of which only {0} bytes are allowed to all of this user's programs: raise the limit with `ulimit -l unlimited`, give tracer CAP_SYS_RESOURCE, too, or a smaller --buffer"
    )]
    Locked(u64),
}

/// Checks the limit on the stack, after raising it as far as allowed, which works at once (`acct_stack_growth`), and
/// the lowest limits on other memory. Call this first: even the command line takes more than those.
///
/// # Errors
/// It is too low.
pub fn first() -> Result<(), Error> {
    let Rlimit { current, maximum } = getrlimit(Resource::Stack);
    if current.is_some_and(|current| current < STACK_BYTES) {
        // If it fails, the check says so.
        let _ = setrlimit(Resource::Stack, Rlimit { current: maximum, maximum });
    }
    memory(Resource::Stack, "the stack", STACK_BYTES, STACK_BYTES, "-s")?;
    address_space(FIRST_ADDRESS_SPACE_BYTES)?;
    data(FIRST_DATA_BYTES)
}

/// Checks the other limits on files and memory. Raises the one on files as far as allowed first.
///
/// # Errors
/// A limit is too low.
pub fn check() -> Result<(), Error> {
    descriptors()?;
    address_space(ADDRESS_SPACE_BYTES)?;
    data(DATA_BYTES)
}

fn address_space(least: u64) -> Result<(), Error> {
    memory(Resource::As, "the address space", least, ADDRESS_SPACE_BYTES, "-v")
}

fn data(least: u64) -> Result<(), Error> {
    memory(Resource::Data, "data", least, DATA_BYTES, "-d")
}

fn descriptors() -> Result<(), Error> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let Some(limit) = current.filter(|limit| *limit < DESCRIPTORS) else {
        return Ok(());
    };
    let raised = maximum.is_none_or(|maximum| maximum >= DESCRIPTORS)
        && setrlimit(Resource::Nofile, Rlimit { current: Some(DESCRIPTORS), maximum }).is_ok();
    if raised { Ok(()) } else { Err(Error::Descriptors(limit)) }
}

fn memory(
    resource: Resource,
    what: &'static str,
    least: u64,
    needed: u64,
    option: &'static str,
) -> Result<(), Error> {
    match getrlimit(resource).current {
        Some(limit) if limit < least => {
            Err(Error::Memory { what, kib: limit >> 10, needed_kib: needed >> 10, option })
        }
        _ => Ok(()),
    }
}

/// Checks the limit on locked memory, which applies to maps before Linux 5.11. Raises it as far as allowed
/// first; it must be at least `MIN_LOCKED_BYTES`.
///
/// # Errors
/// It is too low.
pub fn locked_memory() -> Result<(), Error> {
    let Rlimit { current, maximum } = getrlimit(Resource::Memlock);
    let (Some(version), Some(limit)) = (Version::running(), current) else {
        return Ok(());
    };
    let raised = |to| setrlimit(Resource::Memlock, Rlimit { current: to, maximum: to });
    if version >= MAPS_NOT_LOCKED_SINCE || raised(None).is_ok() {
        return Ok(());
    }
    let limit = if raised(maximum).is_ok() { maximum.unwrap_or(limit) } else { limit };
    if limit < MIN_LOCKED_BYTES { Err(Error::Locked(limit)) } else { Ok(()) }
}

/// The limit on locked memory in bytes, if it applies to maps and programs.
pub(super) fn locked_limit() -> Option<u64> {
    Version::running().filter(|version| *version < MAPS_NOT_LOCKED_SINCE)?;
    getrlimit(Resource::Memlock).current
}
