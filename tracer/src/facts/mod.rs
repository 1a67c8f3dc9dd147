//! What the pipeline learns of the world: the facts that pass [`Source`](crate::source::Source).
//!
//! These types are the schema of a recording: whatever plays the same facts makes the same output.
//!
//! # Layout
//! - [`snapshot`]: the sockets that are there; the timewait sockets among them
//! - [`losses`]: what was lost on the way
//! - [`counts`]: the kernel's own counters, to hold the events against
//! - [`kernel`]: what the kernel tells at all, before the first fact
//! - [`hooks`]: the kernel hooks in use
//! - [`names`]: names of what the kernel numbers
//! - [`in_kernel`]: what the kernel has counted by itself (`summary --in-kernel`). It is read from maps and passes
//!   no `Source`: there are no events in it

pub mod counts;
pub mod hooks;
pub mod in_kernel;
pub mod kernel;
pub mod losses;
pub mod names;
pub mod snapshot;

use tracer_common::Event;

use crate::{
    facts::{
        counts::CountersByNetns,
        losses::{Losses, SourceTotals},
        snapshot::{Snapshot, TimewaitSample},
    },
    time::clock::Anchor,
};

/// One thing that is known. Facts come in an order: each holds from where it stands.
#[derive(Clone, Debug)]
pub enum Fact {
    /// What the wall clock says. It comes first, and again whenever somebody has set the clock.
    Clock(Anchor),
    /// The kernel's counters when the capture begins.
    CountersAtStart(CountersByNetns),
    /// The sockets that are there. The first comes before the first events, others after losses. All
    /// events up to the end of the snapshot have come before it.
    Snapshot(Snapshot),
    /// The capture has begun, at this time on the kernel's clock.
    Ready(u64),
    /// Events, and up to when they are complete.
    Events(Batch),
    /// What was lost so far, and up to when: all of it happened before that time. It comes whenever the
    /// losses have grown, before the events around the loss.
    Losses(Losses, u64),
    /// The timewait sockets of some namespaces.
    TimewaitSample(TimewaitSample),
    /// What full sockets count by now, in events whose two states are the same.
    Refresh(Vec<Event>),
    /// The kernel's counters when the capture ends. Events from before still follow.
    CountersAtEnd(CountersByNetns),
    /// Nothing follows.
    End(SourceTotals),
}

/// Events in the order in which they happened.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The events, sorted by time.
    pub events: Vec<Event>,
    /// The watermark, in nanoseconds of the kernel's monotonic clock: all events up to this time are in
    /// this batch or came before it.
    pub until_ns: u64,
}
