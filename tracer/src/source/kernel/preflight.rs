//! Checks before anything is loaded. Each error says what to do.

use std::{
    fmt,
    fs::{self, File},
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;

use crate::{
    source::kernel::{
        HOOK,
        btf::{self, Btf},
        layout::{self, Layout},
        limits, privileges,
    },
    text::escape::escaped,
};

/// The running kernel's type information.
pub const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";

/// The largest file that is read as type information. No kernel's is larger.
const MAX_BTF_BYTES: u64 = 256 << 20;

/// The oldest kernel that tracer is tested on. What it needs exists since Linux 5.8 or 5.9.
pub const MINIMUM: Version = Version { major: 5, minor: 10 };

/// Why tracer cannot run here.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel is older than [`MINIMUM`].
    #[error("Linux {0} is too old: tracer needs {MINIMUM} or newer")]
    Kernel(String),
    /// The type information cannot be read.
    #[error(
        "cannot read the kernel's type information, {path}: {cause}; tracer needs a kernel built with CONFIG_DEBUG_INFO_BTF=y, as those of all major distributions are; `--btf PATH` names another place"
    )]
    NoBtf {
        /// The file.
        path: String,
        /// The system's error.
        cause: io::Error,
    },
    /// The type information is invalid.
    #[error("the kernel's type information, {path}, cannot be used: {cause}")]
    BadBtf {
        /// The file.
        path: String,
        /// What is wrong.
        cause: btf::Error,
    },
    /// The kernel lacks the tracepoint.
    #[error(
        "this kernel's type information has no tracepoint sock:{HOOK} (in Linux since 4.16): is the kernel built without CONFIG_INET or tracepoints?"
    )]
    NoHook,
    /// The kernel lacks a member, a flag or a state.
    #[error(transparent)]
    Layout(#[from] layout::Error),
    /// Capabilities are missing.
    #[error(transparent)]
    Privileges(#[from] privileges::Error),
    /// A limit of the process is too low.
    #[error(transparent)]
    Limit(#[from] limits::Error),
    /// The kernel is locked down.
    #[error(
        "the kernel is locked down ({0}), which forbids BPF programs to read kernel memory: boot without `lockdown=confidentiality`"
    )]
    Lockdown(String),
}

/// A kernel's version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// For example 6 in 6.18.
    pub major: u32,
    /// For example 18 in 6.18.
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

    /// The running kernel's version; `None` if its release cannot be parsed.
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

/// Checks that the kernel is new enough. Returns its release.
pub fn kernel() -> Result<String, Error> {
    let release = release();
    match Version::parse(&release) {
        Some(version) if version < MINIMUM => Err(Error::Kernel(release)),
        _ => Ok(release),
    }
}

/// Reads the type information at `path`, or the kernel's own.
pub fn btf(path: Option<&Path>) -> Result<Btf, Error> {
    let path: PathBuf = path.unwrap_or(Path::new(KERNEL_BTF)).into();
    let name = || escaped(path.as_os_str().as_encoded_bytes());
    let mut bytes = Vec::new();
    // It is read more than once, and reading from a pipe or device might never end.
    let open = || {
        if fs::metadata(&path)?.is_file() {
            // Some of the kernel's own files wait, too.
            File::options().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(&path)
        } else {
            Err(io::Error::other("not a regular file"))
        }
    };
    open()
        .and_then(|file| file.take(MAX_BTF_BYTES).read_to_end(&mut bytes))
        .map_err(|cause| Error::NoBtf { path: name(), cause })?;
    Btf::parse(bytes).map_err(|cause| Error::BadBtf { path: name(), cause })
}

/// Whether the file at `path` differs from the running kernel's own type information.
#[must_use]
pub fn are_foreign(path: Option<&Path>) -> bool {
    let own = || fs::read(KERNEL_BTF).ok();
    path.is_some_and(|path| own().is_some_and(|own| fs::read(path).is_ok_and(|given| given != own)))
}

/// Checks that the tracepoint exists, and finds everything that is read at it.
pub fn hook(btf: &Btf) -> Result<Layout, Error> {
    if !btf.has_hook(HOOK) {
        return Err(Error::NoHook);
    }
    Ok(Layout::find(btf)?)
}

/// Checks that the process has the capabilities to load and attach.
pub fn privileges() -> Result<(), Error> {
    Ok(privileges::check()?)
}

/// Checks that the kernel is not locked down. The file marks the mode with brackets, as in `none [integrity]
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
