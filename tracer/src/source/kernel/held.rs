//! Facts that are held back until all events from before their end have been read.

use crate::{
    facts::{
        Fact,
        holders::Holders,
        snapshot::{Snapshot, TimewaitSample},
    },
    source::older::Older,
};

/// A fact that is held back.
pub(super) enum HeldFact {
    Snapshot(Snapshot),
    Holders(Holders),
    /// A poll of timewait sockets that had ended at this time. An event may tell how one that it lacks has ended.
    Timewait(TimewaitSample, u64),
}

impl HeldFact {
    fn end_ns(&self) -> u64 {
        match self {
            Self::Snapshot(snapshot) => snapshot.during_ns.1,
            Self::Holders(holders) => holders.during_ns.1,
            Self::Timewait(_, end_ns) => *end_ns,
        }
    }

    /// The fact, as it is passed on.
    pub(super) fn complete(self, older: &mut Older) -> Fact {
        match self {
            Self::Snapshot(mut snapshot) => {
                older.snapshot(&mut snapshot);
                Fact::Snapshot(snapshot)
            }
            Self::Timewait(sample, _) => Fact::TimewaitSample(sample),
            Self::Holders(mut holders) => {
                older.holders(&mut holders);
                Fact::Holders(holders)
            }
        }
    }
}

/// The facts that are held back.
#[derive(Default)]
pub(super) struct HeldFacts(Vec<HeldFact>);

impl HeldFacts {
    /// Whether none is held back.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Holds a fact back.
    pub(super) fn push(&mut self, fact: HeldFact) {
        self.0.push(fact);
    }

    /// Up to when events have to be read for the first of them; `None` if there is none.
    pub(super) fn due_ns(&self) -> Option<u64> {
        self.0.iter().map(HeldFact::end_ns).min()
    }

    /// Takes out those that ended by this time.
    pub(super) fn take_until(&mut self, until_ns: u64) -> impl Iterator<Item = HeldFact> {
        self.0.extract_if(.., move |held| held.end_ns() <= until_ns)
    }
}
