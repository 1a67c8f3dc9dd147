//! Why a capture fails.

use std::{io, net::SocketAddr};

use jiff::Timestamp;

use crate::{
    config,
    output::{self, refusal::Refusal},
    run::console,
    source::{self, kernel::limits},
};

/// Why a capture failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The source of the facts.
    #[error(transparent)]
    Source(#[from] source::Error),
    /// The configuration.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// A limit of the process is too low.
    #[error(transparent)]
    Limit(#[from] limits::Error),
    /// Standard output.
    #[error(transparent)]
    Output(#[from] output::stdout::Error),
    /// The terminal of `top`.
    #[error(transparent)]
    Console(#[from] console::Error),
    /// A recording's file cannot be made.
    #[error("cannot record: {0}")]
    Recording(#[from] output::file::Error),
    /// A recording is not for people's eyes.
    #[error("cannot record: standard output is a terminal; give a file, or `-` with a pipe behind it")]
    Terminal,
    /// A signal came before a copy was whole.
    #[error("interrupted: there is no copy")]
    Interrupted,
    /// A signal came before both sides were read.
    #[error("interrupted: nothing was compared")]
    Uncompared,
    /// Nothing is between two moments.
    #[error("there is nothing in {0} at that time: it is from {1} to {2}")]
    NothingBetween(String, Timestamp, Timestamp),
    /// Nothing is tracked in a recording of raw events.
    #[error("it was recorded with --raw, and has events, but no sockets")]
    NoSockets,
    /// The key of pseudonyms.
    #[error(
        "the key in {0} is shorter than 16 bytes, and could be guessed: `head -c 32 /dev/urandom` makes one"
    )]
    ShortKey(String),
    /// The file of the key.
    #[error("reading the key from {0}: {1}")]
    Key(String, io::Error),
    /// An export's file cannot be made.
    #[error("cannot export: {0}")]
    Export(#[source] output::file::Error),
    /// Nobody can ask there.
    #[error("cannot listen on {0}: {1}; choose another address with --listen")]
    Listen(SocketAddr, io::Error),
    /// No unix socket can be made.
    #[error("cannot listen on {0}: {1}; choose another path with --socket")]
    Socket(String, io::Error),
    /// Files one after the other need a folder.
    #[error("--rotate makes files: give a folder that is there with --to")]
    NoFolder,
    /// The folder of an export.
    #[error("{0} is not there: make the folder first")]
    AbsentFolder(String),
    /// The runtime or the signal handlers.
    #[error("{what}: {cause}")]
    System {
        /// What was attempted.
        what: &'static str,
        /// The system's error.
        cause: io::Error,
    },
    /// The receipt could not be written.
    #[error("writing the receipt to {name}: {}", Refusal(cause))]
    Receipt {
        /// The path of the file.
        name: String,
        /// The system's error.
        cause: io::Error,
    },
    /// A second signal arrived before the rest was written.
    #[error("interrupted again: the rest is not written")]
    Impatience,
}

impl Error {
    pub(crate) fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::System { what, cause }
    }

    /// Whether the command line is wrong, and not the run.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::NoFolder
                | Self::AbsentFolder(_)
                | Self::Source(source::Error::Name(_) | source::Error::Wider(_))
        )
    }

    /// Whether the reader of standard output has closed the pipe, which is no failure.
    pub(crate) fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(output::stdout::Error::Write(cause)) if cause.kind() == io::ErrorKind::BrokenPipe)
    }
}
