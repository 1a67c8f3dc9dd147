//! Where facts come from. All that the pipeline learns of the world comes through [`Source`].
//!
//! # Layout
//! - [`kernel`]: the running kernel; only here does `aya` appear
//! - [`script`]: facts that are written down, such as in a test
//! - [`older`]: completing what kernels before 6.16 tell
//! - [`decode`], [`merge`], [`order`]: from the bytes of several rings to one stream of events in order

pub mod decode;
pub mod kernel;
pub mod merge;
pub mod older;
pub mod order;
pub mod script;

use std::io;

use tracer_common::Event;

use crate::facts::{Fact, kernel::KernelInfo, names::Names, snapshot::TimewaitByNetns};

/// Where facts come from.
///
/// A capture asks for one fact after the other. It first gets what is known when it begins, then
/// [`Fact::Ready`], then what happens. After [`Source::stop`] it gets the rest, and [`Fact::End`].
pub trait Source {
    /// What the kernel tells at all.
    fn kernel(&self) -> &KernelInfo;

    /// Waits for the next fact. Cancelling loses nothing.
    fn next(&mut self, demand: Demand<'_>) -> impl Future<Output = Result<Fact, Error>>;

    /// Whether it goes on by itself: events that are not taken in time are lost. What can wait is not taken
    /// while output is being written, so that it always makes the same bytes.
    fn is_live(&self) -> bool;

    /// Whether there are more events to be had at once.
    fn has_more(&self) -> bool {
        false
    }

    /// Asks for the end. What has happened up to now is still handed out.
    fn stop(&mut self);

    /// Gives back the memory of a batch, to be used again.
    fn recycle(&mut self, _events: Vec<Event>) {}

    /// Looks names up.
    fn names(&mut self) -> &mut dyn Names;
}

/// What a capture can use now.
#[derive(Clone, Copy, Debug)]
pub struct Demand<'a> {
    /// Whether it takes events.
    pub events: bool,
    /// Something is due at this time, in nanoseconds of the kernel's monotonic clock: events, though there
    /// may be none, have to be complete up to then as soon as possible.
    pub due_ns: Option<u64>,
    /// How many timewait sockets are followed in each namespace: samples of others are of no use.
    pub timewait: &'a TimewaitByNetns,
}

/// Why a source has nothing to say.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel.
    #[error(transparent)]
    Kernel(#[from] Box<kernel::error::Error>),
    /// The system.
    #[error("{what}: {cause}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What came back.
        cause: io::Error,
    },
}

impl Error {
    pub(crate) fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::System { what, cause }
    }
}

impl From<kernel::error::Error> for Error {
    fn from(error: kernel::error::Error) -> Self {
        Self::Kernel(Box::new(error))
    }
}
