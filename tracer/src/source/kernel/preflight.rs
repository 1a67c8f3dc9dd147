//! What must be true before anything can be loaded, each with what to do if it is not.

use std::{
    fmt,
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{
    source::kernel::{
        HOOK,
        btf::{self, Btf},
        layout::{self, Layout},
        privileges,
    },
    text::escape::escaped,
};

/// Where the kernel shows its type information.
pub const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";

/// No kernel's type information is larger; what is, is not that.
const MAX_BTF: u64 = 256 << 20;

/// Descriptors that the tracer may need: ring buffers, other maps, programs, the runtime's, and room
/// for its threads'.
const DESCRIPTORS: u64 = 128;

/// The oldest kernel that tracer is tried on; what it needs is there since 5.8 or 5.9.
pub const MINIMUM: Version = Version { major: 5, minor: 10 };

/// Bytes of locked memory without which no smaller `--buffer` helps.
const LEAST_LOCKED: u64 = 8 << 20;

/// From this version on the memory of BPF maps counts as the cgroup's, no longer as locked memory.
const MAPS_ARE_NOT_LOCKED: Version = Version { major: 5, minor: 11 };

/// Why it cannot run here.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel is older than [`MINIMUM`].
    #[error("Linux {0} is too old: tracer needs {MINIMUM} or newer")]
    Kernel(String),
    /// No type information.
    #[error(
        "cannot read the kernel's type information, {path}: {cause}; tracer needs a kernel built with CONFIG_DEBUG_INFO_BTF=y, as those of all major distributions are; `--btf PATH` names another place"
    )]
    NoBtf {
        /// The file.
        path: String,
        /// What the system said.
        cause: io::Error,
    },
    /// Type information that makes no sense.
    #[error("the kernel's type information, {path}, cannot be used: {cause}")]
    BadBtf {
        /// The file.
        path: String,
        /// What is wrong.
        cause: btf::Error,
    },
    /// No such hook.
    #[error(
        "this kernel's type information has no tracepoint sock:{HOOK} (in Linux since 4.16): is the kernel built without CONFIG_INET or tracepoints?"
    )]
    NoHook,
    /// A member is missing.
    #[error(transparent)]
    Layout(#[from] layout::Error),
    /// Privileges are missing.
    #[error(transparent)]
    Privileges(#[from] privileges::Error),
    /// Too few descriptors.
    #[error(
        "only {0} files may be open at once, tracer needs {DESCRIPTORS}: raise the limit with `ulimit -n`"
    )]
    Descriptors(u64),
    /// Too little memory may be locked.
    #[error(
        "this kernel (before Linux {MAPS_ARE_NOT_LOCKED}) counts maps as locked memory, of which only {0} bytes are allowed to all of this user's programs: raise the limit with `ulimit -l unlimited`, give tracer CAP_SYS_RESOURCE, too, or a smaller --buffer"
    )]
    LockedMemory(u64),
    /// Kernel lockdown.
    #[error(
        "the kernel is locked down ({0}), which forbids BPF programs to read kernel memory: boot without `lockdown=confidentiality`"
    )]
    Lockdown(String),
}

/// A kernel's version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// As 6 in 6.18.
    pub major: u32,
    /// As 18 in 6.18.
    pub minor: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl Version {
    fn parse(release: &str) -> Option<Self> {
        let mut numbers = release.split(|c: char| !c.is_ascii_digit());
        Some(Self { major: numbers.next()?.parse().ok()?, minor: numbers.next()?.parse().ok()? })
    }

    /// The running kernel's, if it can be made out.
    #[must_use]
    pub fn running() -> Option<Self> {
        Self::parse(&release())
    }
}

/// The running kernel's release, as `uname -r` prints it.
#[must_use]
pub fn release() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

/// The kernel is new enough.
pub fn kernel() -> Result<String, Error> {
    let release = release();
    match Version::parse(&release) {
        Some(version) if version < MINIMUM => Err(Error::Kernel(release)),
        _ => Ok(release),
    }
}

/// Type information can be read.
pub fn btf(path: Option<&Path>) -> Result<Btf, Error> {
    let path: PathBuf = path.unwrap_or(Path::new(KERNEL_BTF)).into();
    let name = || escaped(path.as_os_str().as_encoded_bytes());
    let mut bytes = Vec::new();
    // It is read more than once, and what is no file may take for ever.
    let open = || {
        if fs::metadata(&path)?.is_file() {
            File::open(&path)
        } else {
            Err(io::Error::other("not a regular file"))
        }
    };
    open()
        .and_then(|file| file.take(MAX_BTF).read_to_end(&mut bytes))
        .map_err(|cause| Error::NoBtf { path: name(), cause })?;
    Btf::parse(bytes).map_err(|cause| Error::BadBtf { path: name(), cause })
}

/// Whether these types are others than those that the running kernel shows. Whoever gives other ones
/// should know better than the kernel.
#[must_use]
pub fn are_foreign(path: Option<&Path>) -> bool {
    let own = || fs::read(KERNEL_BTF).ok();
    path.is_some_and(|path| own().is_some_and(|own| fs::read(path).is_ok_and(|given| given != own)))
}

/// The hook is there, and all that is to be read at it.
pub fn hook(btf: &Btf) -> Result<Layout, Error> {
    if !btf.has_hook(HOOK) {
        return Err(Error::NoHook);
    }
    Ok(Layout::find(btf)?)
}

/// Enough files may be open.
pub fn descriptors() -> Result<(), Error> {
    match getrlimit(Resource::Nofile).current {
        Some(limit) if limit < DESCRIPTORS => Err(Error::Descriptors(limit)),
        _ => Ok(()),
    }
}

/// Memory for maps may be had: on old kernels there is a limit, which whoever may raises; who may not goes as
/// far as allowed, and needs [`LEAST_LOCKED`] at least.
pub fn locked_memory() -> Result<(), Error> {
    let Rlimit { current, maximum } = getrlimit(Resource::Memlock);
    let (Some(version), Some(limit)) = (Version::running(), current) else {
        return Ok(());
    };
    let raised = |to| setrlimit(Resource::Memlock, Rlimit { current: to, maximum: to });
    if version >= MAPS_ARE_NOT_LOCKED || raised(None).is_ok() {
        return Ok(());
    }
    let limit = if raised(maximum).is_ok() { maximum.unwrap_or(limit) } else { limit };
    if limit < LEAST_LOCKED { Err(Error::LockedMemory(limit)) } else { Ok(()) }
}

/// How many bytes of maps and programs there may be, if that is limited.
pub(super) fn locked_limit() -> Option<u64> {
    Version::running().filter(|version| *version < MAPS_ARE_NOT_LOCKED)?;
    getrlimit(Resource::Memlock).current
}

/// The process may load and attach.
pub fn privileges() -> Result<(), Error> {
    Ok(privileges::check()?)
}

/// The kernel is not locked down. Its own word for it is in brackets: `none [integrity]
/// confidentiality`; without the file there is no lockdown.
pub fn lockdown() -> Result<(), Error> {
    let text = fs::read_to_string("/sys/kernel/security/lockdown").unwrap_or_default();
    match text.split(['[', ']']).nth(1) {
        Some(mode @ "confidentiality") => Err(Error::Lockdown(mode.to_owned())),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        let version = |release| Version::parse(release).unwrap();
        assert!(version("5.4.0-28-generic") < MINIMUM);
        assert!(version("5.10.0-28-amd64") == MINIMUM);
        assert!(version("6.1.0-rc3+") > MINIMUM);
        assert!(version("10.0") > MINIMUM);
        assert_eq!(Version::parse("custom"), None);
    }
}
