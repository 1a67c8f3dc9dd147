//! Sources of facts. Everything that the pipeline learns comes through [`Source`].
//!
//! # Layout
//! - [`open`]: the sources that a command line can ask for
//! - [`kernel`]: the running kernel; only this module uses `aya`
//! - [`script`]: a list of facts, for example in a test
//! - [`replay`]: a recording; [`recorded`]: passes on the facts of another source, and records them
//! - [`streamed`]: passes on the facts of another source, and hands them to others on this host
//! - [`older`]: completes what kernels before 6.16 report
//! - [`listing`]: the sockets that are there now, from netlink and `/proc` (`tracer list`)
//! - [`late_data`]: tells RSTs of this side from those of the peer
//! - [`decode`], [`merge`], [`order`]: turn the bytes of several ring buffers into one stream of events, in
//!   order
//! - [`network`]: interfaces and routes; `netlink`: lists that the kernel tells; `inet_diag`: sockets in such a list
//!
//! # Example
//! A script, read to its end:
//! ```
//! use tracer::{
//!     facts::{Fact, snapshot::TimewaitByNetns},
//!     source::{Demand, Source, script::Script},
//! };
//! use tracer_common::Event;
//! use zerocopy::FromZeros as _;
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
//! # runtime.block_on(async {
//! let mut source = Script::starting_at(1_000, 0).events([Event::new_zeroed()]).until(9_000);
//! let timewait = TimewaitByNetns::default();
//! let mut events = Vec::new();
//! let filtered = loop {
//!     match source.next(Demand::all(&timewait)).await? {
//!         Fact::Events(batch) => events.extend(batch.events),
//!         Fact::End(totals) => break totals.filtered,
//!         _ => {}
//!     }
//! };
//! assert_eq!((events.len(), filtered), (1, Some(0)));
//! # Ok::<(), tracer::source::Error>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod decode;
mod inet_diag;
pub mod kernel;
pub mod late_data;
pub mod listing;
pub mod merge;
mod netlink;
pub mod network;
pub mod older;
pub mod open;
pub mod order;
pub mod recorded;
pub mod replay;
pub mod script;
pub mod streamed;

use std::io;

use tracer_common::Event;

use crate::facts::playback::{PlayCommand, Playback};
use crate::facts::{
    Fact,
    checkpoint::Checkpoint,
    kernel::KernelInfo,
    names::{Names, UnknownName},
    snapshot::TimewaitByNetns,
    source_counts::SourceCounts,
};
use crate::filter::within::Wider;
use crate::recording::{header::Header, writer};

/// A source of facts.
///
/// A capture asks for one fact after the other. First come the facts that are known at the start, then
/// [`Fact::Ready`], then events and other facts as they happen. After [`Source::stop`] come the remaining
/// events, and at last [`Fact::End`].
pub trait Source {
    /// What this kernel can report.
    fn kernel(&self) -> &KernelInfo;

    /// Where the recording comes from, if this is one, and what it is limited to.
    fn header(&self) -> Option<&Header> {
        None
    }

    /// Waits for the next fact. Dropping the future loses no fact.
    fn next(&mut self, demand: Demand<'_>) -> impl Future<Output = Result<Fact, Error>>;

    /// Whether events happen by themselves, so that those that are not taken in time are lost. What can wait
    /// is not taken while output is being written: the bytes are then always the same.
    fn is_live(&self) -> bool;

    /// Whether more events are available without waiting.
    fn has_more(&self) -> bool {
        false
    }

    /// Asks for the end. Facts up to this moment still follow.
    fn stop(&mut self);

    /// Returns the memory of a batch, to be used again.
    fn recycle(&mut self, _events: Vec<Event>) {}

    /// Whether a recording goes on in a new part, which needs a checkpoint.
    fn wants_checkpoint(&self) -> bool {
        false
    }

    /// Takes what is known after the last fact. With `freeze` the parts before are kept under that name; what came of
    /// it is returned.
    fn checkpoint(&mut self, _checkpoint: Checkpoint, _freeze: Option<&str>) -> Option<String> {
        None
    }

    /// What it counts besides the facts.
    fn counts(&self) -> SourceCounts {
        SourceCounts::default()
    }

    /// Plays a recording as the user wants, if that is possible.
    fn play(&mut self, _: PlayCommand) {}

    /// How a recording is played; `None` if that cannot be chosen.
    fn playback(&self) -> Option<Playback> {
        None
    }

    /// Looks up names, such as those of cgroups, on the host that the events come from.
    fn names(&mut self) -> &mut dyn Names;
}

impl<S: Source> Source for &mut S {
    fn kernel(&self) -> &KernelInfo {
        (**self).kernel()
    }

    fn header(&self) -> Option<&Header> {
        (**self).header()
    }

    async fn next(&mut self, demand: Demand<'_>) -> Result<Fact, Error> {
        (**self).next(demand).await
    }

    fn is_live(&self) -> bool {
        (**self).is_live()
    }

    fn has_more(&self) -> bool {
        (**self).has_more()
    }

    fn stop(&mut self) {
        (**self).stop();
    }

    fn recycle(&mut self, events: Vec<Event>) {
        (**self).recycle(events);
    }

    fn wants_checkpoint(&self) -> bool {
        (**self).wants_checkpoint()
    }

    fn checkpoint(&mut self, checkpoint: Checkpoint, freeze: Option<&str>) -> Option<String> {
        (**self).checkpoint(checkpoint, freeze)
    }

    fn counts(&self) -> SourceCounts {
        (**self).counts()
    }

    fn play(&mut self, command: PlayCommand) {
        (**self).play(command);
    }

    fn playback(&self) -> Option<Playback> {
        (**self).playback()
    }

    fn names(&mut self) -> &mut dyn Names {
        (**self).names()
    }
}

/// What a capture wants now.
#[derive(Clone, Copy, Debug)]
pub struct Demand<'a> {
    /// Whether it wants events.
    pub events: bool,
    /// A time at which something is due, in nanoseconds of the kernel's monotonic clock. The source should
    /// then send a batch whose watermark has reached it as soon as possible, even without events.
    pub due_ns: Option<u64>,
    /// When the capture ends, on the same clock. A source whose events wait until they are taken sends none
    /// from after this time, and a batch whose watermark is this time. A live source also says when the time
    /// has come ([`Fact::Time`]), whether it is asked for events or not.
    pub end_ns: Option<u64>,
    /// What was before this time is not shown: it may come at once.
    pub since_ns: Option<u64>,
    /// Asks for the holders of sockets at this time or later, in nanoseconds of the kernel's monotonic clock. A
    /// source that can tell them does so when its budget allows it.
    pub holders_ns: Option<u64>,
    /// Asks for the present facts of full sockets ([`Fact::Refresh`]) at this time or later, in the same way.
    pub look_ns: Option<u64>,
    /// How many timewait sockets are followed in each network namespace. Samples of other namespaces are of
    /// no use.
    pub timewait: &'a TimewaitByNetns,
}

impl<'a> Demand<'a> {
    /// Whatever comes next.
    #[must_use]
    pub fn all(timewait: &'a TimewaitByNetns) -> Self {
        Self {
            events: true,
            due_ns: None,
            end_ns: None,
            since_ns: None,
            holders_ns: None,
            look_ns: None,
            timewait,
        }
    }
}

/// Why a source cannot deliver facts.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A kernel program cannot be loaded or read.
    #[error(transparent)]
    Kernel(#[from] Box<kernel::error::Error>),
    /// A filter has a name that means nothing where the events come from.
    #[error(transparent)]
    Name(#[from] UnknownName),
    /// The sockets that are there cannot be listed.
    #[error(transparent)]
    Listing(#[from] listing::Error),
    /// Interfaces or routes cannot be listed.
    #[error(transparent)]
    Network(#[from] network::Error),
    /// A recording cannot be read.
    #[error(transparent)]
    Unreadable(#[from] replay::input::Unreadable),
    /// A recording cannot be written.
    #[error(transparent)]
    Unwritable(#[from] writer::Error),
    /// A filter asks for more than a recording has.
    #[error(transparent)]
    Wider(#[from] Wider),
    /// A system call failed.
    #[error("{what}: {cause}")]
    System {
        /// What was tried.
        what: &'static str,
        /// The system's error.
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
