//! What is missing in a recording.

use crate::{
    facts::{
        Fact,
        losses::{Losses, SourceTotals},
    },
    recording::reader::{Block, Damage},
};

/// Counts what is missing, and adds it to what the recording itself says was lost.
#[derive(Debug)]
pub(super) struct Missing {
    /// The present file.
    name: String,
    /// Events up to now, those that are missing included.
    events: u64,
    /// The number of the next block.
    sequence: Option<u32>,
    /// Damage since the last block.
    damaged: Option<Damage>,
    /// Events that were in damaged blocks.
    lost: u64,
    /// Events that cannot be.
    pub(super) malformed: u64,
    /// What the present recording says.
    recorded: Losses,
    /// What those before it say.
    before: SourceTotals,
    /// What was lost in parts that are not there, which the present one says, too.
    elsewhere: Losses,
    is_cut_off: bool,
    is_joined: bool,
}

impl Default for Missing {
    fn default() -> Self {
        Self {
            name: String::new(),
            events: 0,
            sequence: None,
            damaged: None,
            lost: 0,
            malformed: 0,
            recorded: Losses::NONE,
            before: SourceTotals { losses: Losses::NONE, filtered: Some(0), ..SourceTotals::default() },
            elsewhere: Losses::NONE,
            is_cut_off: false,
            is_joined: false,
        }
    }
}

impl Missing {
    /// A file begins.
    pub(super) fn begin(&mut self, name: String) {
        self.damaged = None;
        self.sequence = None;
        self.name = name;
    }

    /// A file does not go on where the last one ended.
    pub(super) fn join(&mut self, why: &str) {
        self.is_joined = true;
        log::warn!("{}: {why}: what happened in between is not known", self.name);
    }

    /// Adds the totals of a recording that is followed by another one.
    pub(super) fn add(&mut self, totals: SourceTotals) {
        self.before = self.before.and(totals);
        self.recorded = Losses::NONE;
    }

    /// So much was lost in the parts before the first one that is there.
    pub(super) fn lost_before(&mut self, losses: Losses) {
        self.elsewhere = losses;
    }

    /// What the present recording says was lost.
    pub(super) fn recorded(&self) -> Losses {
        self.recorded
    }

    /// Notes damage. How much was lost, the next block tells.
    pub(super) fn damage(&mut self, damage: Damage) {
        if damage.is_end {
            self.is_cut_off = true;
        }
        self.damaged = Some(damage);
    }

    /// What was lost before a block, if anything was.
    pub(super) fn before(&mut self, block: &Block) -> Option<Fact> {
        let (sequence, events) = (block.head.sequence.get(), block.head.events_before.get());
        // The header is there twice; both copies have the number 0.
        let is_next = self.sequence.is_none_or(|next| sequence == next) || sequence == 0;
        let lost = if sequence == 0 { 0 } else { events.saturating_sub(self.events) };
        let damaged = self.damaged.take();
        self.sequence = Some(sequence.wrapping_add(1));
        self.events = events + block.events();
        self.malformed += block.unreadable;
        if block.unreadable > 0 {
            log::warn!("{}: {} entries of block {sequence} are unreadable", self.name, block.unreadable);
        }
        if is_next && damaged.is_none() && lost == 0 {
            return None;
        }
        let what = damaged.map_or_else(
            || "blocks are missing".to_owned(),
            |damage| format!("{} bytes at byte {} are damaged", damage.bytes, damage.at),
        );
        log::warn!("{}: {what}: {lost} events are lost there", self.name);
        self.lost += lost;
        (lost > 0).then(|| Fact::Losses(self.recorded, block.head.from_ns.get()))
    }

    /// Adds what is missing to a fact that tells of losses.
    pub(super) fn complete(&mut self, fact: Fact) -> Fact {
        let Fact::Losses(losses, until_ns) = fact else {
            return fact;
        };
        self.recorded = losses;
        let all = self.totals(SourceTotals { losses, ..SourceTotals::default() });
        Fact::Losses(all.losses, until_ns)
    }

    /// The totals of a recording that has no end.
    pub(super) fn cut_off(&mut self) -> SourceTotals {
        log::warn!(
            "{}: it has no end: its writer was killed, or is still writing (--follow waits for more)",
            self.name
        );
        SourceTotals { losses: self.recorded, is_cut_off: true, ..SourceTotals::default() }
    }

    /// All that was lost, if the present recording says this.
    pub(super) fn totals(&self, present: SourceTotals) -> SourceTotals {
        let mut all = self.before.and(present);
        all.losses = all.losses.without(self.elsewhere);
        all.losses.malformed = all.losses.malformed.saturating_add(self.lost).saturating_add(self.malformed);
        all.is_cut_off |= self.is_cut_off;
        all.is_joined |= self.is_joined;
        all
    }
}
