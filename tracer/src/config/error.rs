//! Why arguments that parse still make no sense.

use std::io;

use crate::filter::netns;

/// Why arguments that parse still make no sense.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such column.
    #[error("unknown column `{0}`: `--columns help` lists them")]
    UnknownColumn(String),
    /// An empty list.
    #[error("--columns needs at least one column: `--columns help` lists them")]
    NoColumns,
    /// The same twice: JSON cannot say it.
    #[error("column `{0}` is named twice")]
    RepeatedColumn(&'static str),
    /// What only user space knows.
    #[error("in the kernel only ports are counted: --by port, or no --by; or leave --in-kernel away")]
    NotInKernel,
    /// What tells of them is left out.
    #[error("--resets and --retransmits come from hooks that --hooks minimal leaves out")]
    NoHooks,
    /// Top has no lines for them.
    #[error("top shows connections, and no transitions: choose a state, or use `tracer log`")]
    NoTransitions,
    /// A namespace that is not there.
    #[error(transparent)]
    Netns(#[from] netns::Error),
    /// No such user.
    #[error("no user `{0}`: give a name that this host knows, or a number")]
    User(String),
    /// No such cgroup.
    #[error("{0}")]
    Cgroup(String),
    /// The receipt's file.
    #[error("cannot write the receipt to {path}: {cause}")]
    Receipt {
        /// The file.
        path: String,
        /// What the system said.
        cause: io::Error,
    },
}
