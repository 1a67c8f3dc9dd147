//! What is missing in a recording.

use crate::{
    facts::{
        Fact,
        losses::{Losses, SourceTotals},
    },
    recording::{
        continuity::Continuity,
        reader::{Block, Damage},
    },
};

/// Counts what is missing, and adds it to what the recording itself says was lost.
#[derive(Debug)]
pub(super) struct Missing {
    /// The present file, and the one before.
    name: String,
    name_before: String,
    continuity: Continuity,
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
    is_damaged: bool,
    /// Something is missing before the last block.
    is_behind_gap: bool,
}

impl Default for Missing {
    fn default() -> Self {
        Self {
            name: String::new(),
            name_before: String::new(),
            continuity: Continuity::default(),
            damaged: None,
            lost: 0,
            malformed: 0,
            recorded: Losses::NONE,
            before: SourceTotals { losses: Losses::NONE, filtered: Some(0), ..SourceTotals::default() },
            elsewhere: Losses::NONE,
            is_cut_off: false,
            is_joined: false,
            is_damaged: false,
            is_behind_gap: false,
        }
    }
}

impl Missing {
    /// A file begins.
    pub(super) fn begin(&mut self, name: String) {
        // Nothing behind it says how much was lost.
        self.is_damaged |= self.damaged.take().is_some();
        self.continuity.begin();
        self.name_before = std::mem::replace(&mut self.name, name);
    }

    /// The present file, escaped.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether something is missing before the last block.
    pub(super) fn is_behind_gap(&self) -> bool {
        self.is_behind_gap
    }

    /// A file does not go on where the last one ended, whether or not both are parts of the same recording.
    pub(super) fn join(&mut self, is_same: bool) {
        self.is_joined = true;
        self.is_damaged |= is_same;
        let why = if is_same { "a part is missing before it" } else { "another recording" };
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
        } else {
            log::warn!("{}: {damage}", self.name);
            self.is_damaged = true;
            self.damaged = Some(damage);
        }
    }

    /// What was lost before a block, if anything was.
    pub(super) fn before(&mut self, block: &Block) -> Option<Fact> {
        let gap = self.continuity.follow(block);
        self.is_behind_gap = gap.has_block;
        let was_damaged = self.damaged.take().is_some();
        self.malformed = self.malformed.saturating_add(block.unreadable);
        if block.unreadable > 0 {
            self.is_damaged = true;
            let sequence = block.head.sequence;
            log::warn!("{}: {} entries of block {sequence} are unreadable", self.name, block.unreadable);
        }
        if !gap.has_block {
            return None;
        }
        self.is_damaged = true;
        let what = if was_damaged { "" } else { "blocks are missing: " };
        let events = match gap.events {
            0 => "no event is".to_owned(),
            1 => "1 event is".to_owned(),
            events => format!("{events} events are"),
        };
        log::warn!("{}: {what}{events} lost there", self.name);
        self.lost = self.lost.saturating_add(gap.events);
        (gap.events > 0).then(|| Fact::Losses(self.recorded, block.head.from_ns.get()))
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
    pub(super) fn cut_off(&self) -> SourceTotals {
        self.has_no_end(&self.name)
    }

    /// The totals of the recording before the present one, if it has no end.
    pub(super) fn cut_off_before(&self) -> SourceTotals {
        self.has_no_end(&self.name_before)
    }

    fn has_no_end(&self, name: &str) -> SourceTotals {
        log::warn!(
            "{name}: it has no end: its writer was killed, or is still writing (--follow waits for more)"
        );
        SourceTotals { losses: self.recorded, is_cut_off: true, ..SourceTotals::default() }
    }

    /// All that was lost, if the present recording says this.
    pub(super) fn totals(&self, present: SourceTotals) -> SourceTotals {
        let mut all = self.before.and(present);
        all.losses = all.losses.without(self.elsewhere);
        all.losses.malformed = all.losses.malformed.saturating_add(self.lost).saturating_add(self.malformed);
        all.is_damaged |= self.is_damaged || self.damaged.is_some();
        all.is_cut_off |= self.is_cut_off;
        all.is_joined |= self.is_joined;
        all
    }
}
