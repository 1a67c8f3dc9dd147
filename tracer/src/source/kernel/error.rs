//! Errors of loading and reading the kernel programs.

use std::io;

use aya::{EbpfError, maps::MapError, programs::ProgramError};

use crate::source::kernel::{limits, preflight, privileges, sockets, verdict::verdict};

/// Why a kernel program cannot be loaded or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A check before loading failed.
    #[error(transparent)]
    Preflight(#[from] preflight::Error),
    /// Signals kept interrupting the verifier.
    #[error("interrupted while loading the kernel program")]
    Interrupted,
    /// Not enough memory. The text names what takes the most, and what to do about it.
    #[error("no memory for {0}")]
    NoMemory(String),
    /// `EPERM`, although the process has the capabilities.
    #[error(
        "the kernel refused ({what}: operation not permitted): a security module, seccomp, a container or a user namespace forbids BPF here; run tracer as root on the host itself"
    )]
    Refused {
        /// What was tried.
        what: &'static str,
    },
    /// The verifier refused the program.
    #[error(
        "the kernel's verifier refused the program; please report this with your kernel's version ({release}) and these last lines: {log}"
    )]
    Verifier {
        /// Kernel release.
        release: String,
        /// The end of its log.
        log: String,
    },
    /// The kernel lacks a fact that a filter needs.
    #[error("this kernel does not tell {0}, so {1} cannot work here")]
    Absent(&'static str, &'static str),
    /// Capabilities could not be given up.
    #[error(transparent)]
    Privileges(#[from] privileges::Error),
    /// A map of a running program cannot be read.
    #[error("reading the kernel program's maps: {0}; if memory is short, give a smaller --buffer")]
    Reading(String),
    /// The iterators over sockets failed.
    #[error(transparent)]
    Sockets(#[from] Box<sockets::Error>),
    /// Any other error of aya.
    #[error("{what}: {cause}")]
    Aya {
        /// What was tried.
        what: &'static str,
        /// The error and its causes.
        cause: String,
    },
}

const EPERM: i32 = 1;
pub(super) const E2BIG: i32 = 7;
const EAGAIN: i32 = 11;
const ENOMEM: i32 = 12;
const EACCES: i32 = 13;
const EINVAL: i32 = 22;

impl Error {
    pub(super) fn aya(what: &'static str, error: &(dyn std::error::Error + 'static)) -> Self {
        match errno(error) {
            // Too much locked memory also gives EPERM.
            Some(EPERM) => limits::locked_limit().map_or(Self::Refused { what }, |limit| {
                preflight::Error::from(limits::Error::Locked(limit)).into()
            }),
            _ => Self::Aya { what, cause: with_causes(error) },
        }
    }

    // By value: for `map_err`.
    #[expect(clippy::needless_pass_by_value)]
    pub(super) fn reading(error: MapError) -> Self {
        Self::Reading(error.to_string())
    }

    /// `memory` names what takes the most memory.
    pub(super) fn object(memory: &str, error: &EbpfError) -> Self {
        match error {
            EbpfError::MapError(error) => Self::maps("creating the maps", memory, error),
            error => Self::Aya { what: "loading the object", cause: with_causes(error) },
        }
    }

    pub(super) fn maps(what: &'static str, memory: &str, error: &MapError) -> Self {
        match errno(error) {
            Some(ENOMEM) => Self::NoMemory(memory.to_owned()),
            _ => Self::aya(what, error),
        }
    }

    pub(super) fn map(what: &'static str) -> impl FnOnce(MapError) -> Self {
        move |error| Self::aya(what, &error)
    }

    pub(super) fn program(what: &'static str, memory: &str, error: &ProgramError) -> Self {
        match (errno(error), error) {
            (Some(ENOMEM), _) => Self::NoMemory(memory.to_owned()),
            // The verifier gives up if signals keep interrupting it. Its log is of no use then.
            (Some(EAGAIN), _) => Self::Interrupted,
            (Some(EACCES | EINVAL | E2BIG), ProgramError::LoadError { verifier_log, .. }) => {
                Self::Verifier { release: preflight::release(), log: verdict(&verifier_log.to_string()) }
            }
            _ => Self::aya(what, error),
        }
    }
}

/// Whether the verifier gave up because of a signal.
pub(super) fn is_interrupted(error: &ProgramError) -> bool {
    errno(error) == Some(EAGAIN)
}

/// The first system error number (errno) in the chain of causes.
pub(super) fn errno(error: &(dyn std::error::Error + 'static)) -> Option<i32> {
    std::iter::successors(Some(error), |error| error.source())
        .find_map(|error| error.downcast_ref::<io::Error>()?.raw_os_error())
}

/// An error's text with those of its causes, for errors that do not print their causes themselves.
pub(super) fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
