//! Why a capture fails.

use std::io;

use crate::{
    run::console,
    source::kernel::{error, privileges},
};

/// Why a capture failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It did not start.
    #[error(transparent)]
    Load(#[from] error::Error),
    /// A map of the kernel program.
    #[error("reading the kernel program's maps: {0}; if memory is short, give a smaller --buffer")]
    Map(#[from] aya::maps::MapError),
    /// Capabilities could not be given up.
    #[error(transparent)]
    Privileges(#[from] privileges::Error),
    /// The runtime, threads, signals, or waiting for the ring buffer.
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
    /// Standard output.
    #[error("writing to standard output: {0}")]
    Output(io::Error),
    /// The terminal of `top`.
    #[error(transparent)]
    Console(#[from] console::Error),
    /// The end was cut short.
    #[error("{0}")]
    CutShort(&'static str),
}

impl Error {
    pub(crate) fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::System { what, cause }
    }
}
