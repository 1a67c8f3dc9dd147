//! The facts: everything that the pipeline receives through [`Source`](crate::source::Source).
//!
//! These types are the schema of a recording: replaying the same facts gives the same output.
//!
//! # Layout
//! - [`snapshot`]: the existing sockets; polls of timewait sockets
//! - [`holders`]: which processes hold which sockets; [`interfaces`]: names of network devices
//! - [`context`]: what they have told about the host
//! - [`gauges`]: what the kernel counts in network namespaces, and its limits there
//! - [`listing`]: the sockets that are there now (`tracer list`)
//! - [`losses`]: lost events
//! - [`counts`]: the kernel's own counters, which the events are checked against
//! - [`kernel`]: what the running kernel supports
//! - [`hooks`]: the kernel hooks in use
//! - [`names`]: names of cgroups and network namespaces; [`known_names`]: those that lines show;
//!   [`end_names`]: those of services and hosts; [`process_cgroups`]: whose cgroup counts for a socket
//! - [`network`]: interfaces and routes, which `list` shows and which pass no `Source` either
//! - [`playback`]: how a recording is played, which is no fact of the host
//! - [`source_counts`]: what a source counts besides; [`recording_counts`], [`client_counts`]: of a recording that is
//!   being made, and of those who get facts over a socket
//! - [`checkpoint`]: what was known at the beginning of a recording's part
//! - [`columns`]: records such as events as a recording keeps them, one column after the other; `packed_bytes`: bytes
//! - [`in_kernel`]: counts that the kernel program keeps itself (`summary --in-kernel`). They are read from
//!   maps and pass no `Source`: there are no events in them
//!
//! # Example
//! The facts of a capture in which a second passes and nothing happens:
//! ```
//! use tracer::{
//!     facts::{Batch, Fact, losses::{Losses, SourceTotals}},
//!     time::clock::Anchor,
//! };
//!
//! let begin_ns = 5_000_000_000;
//! let facts = [
//!     Fact::Clock(Anchor { monotonic_ns: begin_ns, wall_ns: 1_700_000_000_000_000_000 }),
//!     Fact::Ready(begin_ns),
//!     Fact::Events(Batch { events: Vec::new(), until_ns: begin_ns + 1_000_000_000 }),
//!     Fact::End(SourceTotals { losses: Losses::NONE, filtered: Some(0), ..SourceTotals::default() }),
//! ];
//! assert!(matches!(facts.last(), Some(Fact::End(totals)) if totals.losses == Losses::NONE));
//! ```

pub mod checkpoint;
pub mod client_counts;
pub mod columns;
pub mod context;
pub mod counts;
pub mod end_names;
pub mod gauges;
pub mod holders;
pub mod hooks;
pub mod in_kernel;
pub mod interfaces;
pub mod kernel;
pub mod known_names;
pub mod listing;
pub mod losses;
pub mod names;
pub mod network;
mod packed_bytes;
pub mod playback;
pub mod process_cgroups;
pub mod recording_counts;
pub mod snapshot;
pub mod source_counts;

use tracer_common::Event;

use crate::{
    facts::{
        checkpoint::Checkpoint,
        counts::CountersByNetns,
        gauges::Gauges,
        holders::Holders,
        interfaces::Interfaces,
        losses::{Losses, SourceTotals},
        snapshot::{Snapshot, TimewaitSample},
    },
    time::clock::Anchor,
};

/// A fact. Facts are ordered: each one holds from its position in the stream.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum Fact {
    /// The wall clock's time. It comes first, and again whenever the wall clock has been set.
    Clock(Anchor),
    /// The kernel's counters at the start of the capture.
    CountersAtStart(CountersByNetns),
    /// The existing sockets. The first snapshot comes before the first events, later ones come after losses.
    /// All events up to the end of the snapshot come before it.
    Snapshot(Snapshot),
    /// The capture has begun, at this time in nanoseconds of the kernel's monotonic clock.
    Ready(u64),
    /// Events, and the time up to which they are complete.
    Events(Batch),
    /// The losses so far, and a time before which all of them happened. It comes whenever the losses have
    /// grown, before the events around the loss.
    Losses(Losses, u64),
    /// A poll of the timewait sockets of some namespaces.
    TimewaitSample(TimewaitSample),
    /// What was known at this place of a recording, of which nothing before it is there.
    Checkpoint(Box<Checkpoint>),
    /// The current counters of full sockets, as events whose old and new state are the same.
    Refresh {
        /// The sockets.
        #[serde(with = "columns")]
        sockets: Vec<Event>,
        /// There was no time for all of them.
        is_part: bool,
    },
    /// Which processes hold which sockets. All events up to the end of the search come before it.
    Holders(Holders),
    /// Names of network devices, in addition to those before.
    Interfaces(Interfaces),
    /// What the kernel counts in network namespaces. Later ones replace earlier ones.
    Gauges(Gauges),
    /// It is this time now, in nanoseconds of the kernel's monotonic clock. Earlier events may still follow.
    /// A live source says so when the capture is to end, even if no events are taken then.
    Time(u64),
    /// The kernel's counters at the end of the capture. Earlier events may still follow.
    CountersAtEnd(CountersByNetns),
    /// The last fact.
    End(SourceTotals),
}

impl Fact {
    /// The time up to which this fact tells, in nanoseconds of the kernel's monotonic clock; `None` if it has
    /// none.
    #[must_use]
    pub fn time_ns(&self) -> Option<u64> {
        match self {
            Self::Clock(anchor) => Some(anchor.monotonic_ns),
            Self::Snapshot(snapshot) => Some(snapshot.during_ns.1),
            Self::Events(batch) => Some(batch.until_ns),
            Self::Ready(time_ns) | Self::Losses(_, time_ns) | Self::Time(time_ns) => Some(*time_ns),
            Self::TimewaitSample(sample) => Some(sample.from_ns),
            Self::Holders(holders) => Some(holders.during_ns.1),
            Self::Gauges(gauges) => Some(gauges.read_ns),
            Self::Checkpoint(checkpoint) => Some(checkpoint.at_ns),
            Self::Refresh { sockets, .. } => sockets.iter().map(|socket| socket.time_ns).max(),
            Self::CountersAtStart(_) | Self::CountersAtEnd(_) | Self::Interfaces(_) | Self::End(_) => None,
        }
    }
}

/// Events in chronological order.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Batch {
    /// The events, sorted by time.
    #[serde(with = "columns")]
    pub events: Vec<Event>,
    /// The watermark, in nanoseconds of the kernel's monotonic clock: all events up to this time are in
    /// this batch or came before it.
    pub until_ns: u64,
}
