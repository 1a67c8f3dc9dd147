//! Facts become entries, with the names that they need before them.

use crate::{
    facts::{
        Fact,
        losses::SourceTotals,
        names::{CgroupTree, Names},
    },
    recording::{encoder::Encoder, entry::Unwritable, name::Name},
    source::recorded::names::RecordedNames,
};

/// Makes entries of facts.
#[derive(Default)]
pub(in crate::source) struct Scribe {
    pub(super) names: RecordedNames,
    pub(in crate::source) encoder: Encoder,
    /// Facts that are too large.
    pub(super) left_out: u64,
    /// The time of the last fact.
    pub(super) now_ns: u64,
}

impl Scribe {
    /// Looks up the names that a fact needs.
    pub(in crate::source) fn learn(&mut self, fact: &Fact, source: &mut dyn Names) {
        self.now_ns = self.now_ns.max(fact.time_ns().unwrap_or_default());
        let names = &mut self.names;
        names.begin_fact(self.now_ns, source);
        match fact {
            Fact::Events(batch) => names.learn(&batch.events, source),
            Fact::Snapshot(snapshot) => {
                names.learn(&snapshot.sockets, source);
                names.learn(&snapshot.holders, source);
            }
            Fact::Holders(holders) => names.learn_holders(holders, source),
            Fact::Refresh { sockets, .. } => names.learn(sockets, source),
            Fact::Gauges(gauges) => {
                gauges.by_netns.keys().for_each(|netns| names.learn_netns(netns.inum, source));
            }
            _ => {}
        }
    }

    /// Writes a fact, and the names that were looked up.
    pub(in crate::source) fn write(&mut self, fact: &Fact) {
        for name in self.names.take_unwritten() {
            let written = self.encoder.name(&name);
            self.note(written);
        }
        let written = match fact {
            // What is not in the recording is missing for whoever reads it.
            Fact::End(totals) if self.left_out > 0 => {
                self.encoder.fact(&Fact::End(SourceTotals { is_damaged: true, ..*totals }))
            }
            fact => self.encoder.fact(fact),
        };
        self.note(written);
    }

    /// Leaves a fact out. Whoever reads what comes later learns how many events are missing.
    pub(super) fn skip(&mut self, fact: &Fact) {
        self.names.take_unwritten();
        if let Fact::Events(batch) = fact {
            self.encoder.skip(batch.events.len() as u64);
        }
    }

    /// All names have to be said again.
    pub(super) fn repeat_names(&mut self, tree: Option<CgroupTree>) {
        self.names.repeat(tree);
    }

    /// Looks up the names of all cgroups that are there.
    pub(in crate::source) fn learn_cgroups(&mut self, source: &mut dyn Names) {
        for id in source.cgroups().unwrap_or_default().paths.into_keys() {
            self.names.learn_cgroup(id, source);
        }
    }

    /// Adds a name that was looked up elsewhere.
    pub(in crate::source) fn add_name(&mut self, name: Name) {
        self.names.add(name);
    }

    /// Counts what could not be written.
    fn note(&mut self, written: Result<(), Unwritable>) {
        if let Err(error) = written {
            self.left_out += 1;
            log::warn!("{error}");
        }
    }
}
