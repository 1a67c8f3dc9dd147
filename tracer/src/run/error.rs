//! Why a capture fails.

use std::io;

use crate::{output, run::console, source};

/// Why a capture failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Where facts come from.
    #[error(transparent)]
    Source(#[from] source::Error),
    /// Standard output.
    #[error(transparent)]
    Output(#[from] output::stdout::Error),
    /// The terminal of `top`.
    #[error(transparent)]
    Console(#[from] console::Error),
    /// The runtime, signals.
    #[error("{what}: {cause}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What came back.
        cause: io::Error,
    },
    /// The receipt's file.
    #[error("writing the receipt to {name}: {cause}")]
    Receipt {
        /// The file.
        name: String,
        /// What came back.
        cause: io::Error,
    },
    /// Somebody did not want to wait for the end.
    #[error("interrupted again: the rest is not written")]
    Impatience,
}

impl Error {
    pub(crate) fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::System { what, cause }
    }

    /// Whether it is a reader of standard output that has seen enough, which is no failure.
    pub(crate) fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(output::stdout::Error::Write(cause)) if cause.kind() == io::ErrorKind::BrokenPipe)
    }
}
