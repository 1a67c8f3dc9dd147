//! What is known at a moment of a recording, of which nothing is shown before.

use crate::{
    aggregate::triggers::Triggers,
    facts::{Fact, names::Names},
    recording::header::Header,
    run::stages::{ActContext, Stages, StagesOptions},
    select::spec::Filters,
    view::record::Record,
};

/// Takes facts, and shows nothing.
pub(super) struct KnownThen {
    pub(super) stages: Stages,
}

impl KnownThen {
    /// Nothing is known yet. `filters`: which sockets are tracked.
    pub(super) fn new(header: &Header, filters: Filters) -> Self {
        let stages = Stages::new(StagesOptions {
            host: header.host.clone(),
            view: Box::new(Record::new(!header.has_stories, Triggers::default())),
            filters,
            kernel: &header.kernel,
            follows_timewait: header.follows_timewait && header.kernel.has_cookies,
            limit: None,
        });
        Self { stages }
    }

    /// Takes a fact.
    pub(super) fn learn(&mut self, fact: Fact, names: &mut dyn Names) {
        let stages = &mut self.stages;
        let mut around = ActContext { names, message: || None, playback: None };
        let mut out = Vec::new();
        match fact {
            Fact::Clock(anchor) => stages.clock(anchor),
            Fact::Snapshot(snapshot) => _ = stages.snapshot(snapshot, around.names),
            Fact::Events(batch) => stages.events(&batch, |_| true, &mut around, &mut out),
            Fact::Losses(losses, until_ns) => stages.losses(losses.total(), until_ns),
            Fact::TimewaitSample(sample) => stages.sample(&sample, &mut out),
            Fact::Holders(holders) => stages.holders(holders, around.names),
            Fact::Refresh { sockets, is_part } => stages.refresh(&sockets, is_part),
            Fact::Checkpoint(checkpoint) => _ = stages.restore(&checkpoint, around.names),
            Fact::Interfaces(interfaces) => stages.interfaces(interfaces),
            // They say nothing about sockets, or are told again.
            Fact::Gauges(_)
            | Fact::CountersAtStart(_)
            | Fact::CountersAtEnd(_)
            | Fact::Ready(_)
            | Fact::Time(_)
            | Fact::End(_) => {}
        }
    }
}
