//! Reads a recording, and counts what is in it.

use std::{collections::BTreeMap, path::Path};

use tracer_common::{Event, event::kind};

use crate::{
    facts::{
        Fact,
        losses::{Losses, SourceTotals},
    },
    recording::{
        continuity::Continuity,
        entry::RecordingEntry,
        header::Header,
        reader::{Block, Damage, RecordingPiece, RecordingReader},
    },
    source::{
        decode::check,
        replay::input::{Unreadable, open_file},
    },
    time::{
        clock::{Anchor, Clock},
        span::RecordedTime,
    },
    track::Tracker,
};

/// Places of damage that are listed; more are only counted.
const MOST: usize = 1000;

/// What is in a recording.
#[derive(Debug, Default)]
pub(in crate::run) struct Contents {
    /// The path, escaped.
    pub(in crate::run) file: String,
    /// `None` if both copies are damaged.
    pub(in crate::run) header: Option<Header>,
    pub(super) version: u16,
    /// Bytes of the file, and of what is in its blocks before it was packed.
    pub(super) bytes: u64,
    pub(super) unpacked: u64,
    pub(super) blocks: u64,
    /// The first and the last moment.
    pub(super) span: Option<(Anchor, Anchor)>,
    /// What the wall clock was at some moments.
    anchors: Vec<Anchor>,
    pub(super) events: u64,
    pub(super) transitions: u64,
    /// What it says was lost before it was written.
    pub(super) losses: Losses,
    /// Events in blocks that are missing.
    pub(super) missing: u64,
    /// Entries that cannot be read, and events that cannot be.
    pub(super) unreadable: u64,
    pub(super) impossible: u64,
    pub(super) damage: Vec<Damage>,
    /// Damage that is not listed.
    pub(super) more_damage: u64,
    /// Places where blocks are missing.
    pub(super) missing_blocks: u64,
    /// Bytes of a block at the end that is not whole.
    pub(super) torn: u64,
    pub(super) end: Option<SourceTotals>,
    /// What it consists of.
    pub(super) kinds: BTreeMap<&'static str, Amount>,
}

/// Entries of a kind.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub(super) struct Amount {
    pub(super) entries: u64,
    /// Before they were packed.
    pub(super) bytes: u64,
}

/// Whether a recording is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Wholeness {
    /// It has its end, and nothing is missing.
    Whole,
    /// Nothing is missing up to now, and it has no end.
    Endless,
    /// Something is missing or damaged.
    Damaged,
}

/// Where a survey is.
#[derive(Default)]
struct SurveyPlace {
    continuity: Continuity,
    clock: Option<Clock>,
    /// The recording has said that it begins.
    is_ready: bool,
    last_ns: u64,
}

impl Contents {
    /// Reads a recording.
    pub(in crate::run) fn of(path: &Path) -> Result<Self, Unreadable> {
        let (file, input) = open_file(path)?;
        let mut survey = Self { file, losses: Losses::NONE, ..Self::default() };
        let mut reader = RecordingReader::new(input);
        let mut place = SurveyPlace::default();
        loop {
            match reader.read() {
                Ok(Some(piece)) => survey.take(piece, &mut place),
                Ok(None) => break,
                Err(cause) => return Err(Unreadable::File { name: survey.file, cause }),
            }
        }
        survey.bytes = reader.position();
        Ok(survey)
    }

    fn take(&mut self, piece: RecordingPiece, place: &mut SurveyPlace) {
        match piece {
            RecordingPiece::Damage(damage) if damage.is_end => self.torn = damage.bytes,
            RecordingPiece::Damage(damage) if self.damage.len() < MOST => self.damage.push(damage),
            RecordingPiece::Damage(_) => self.more_damage += 1,
            RecordingPiece::Block(block) => self.block(block, place),
        }
    }

    fn block(&mut self, block: Block, place: &mut SurveyPlace) {
        let gap = place.continuity.follow(&block);
        self.missing = self.missing.saturating_add(gap.events);
        self.missing_blocks += u64::from(gap.has_block);
        self.version = self.version.max(block.head.version.get());
        self.blocks += 1;
        self.unpacked += block.len as u64;
        self.unreadable += block.unreadable;
        for (entry, len) in block.entries.into_iter().zip(block.lens) {
            let amount = self.kinds.entry(entry.kind()).or_default();
            amount.entries += 1;
            amount.bytes += len as u64;
            match entry {
                RecordingEntry::Header(header) => self.header = Some(header.tamed()),
                RecordingEntry::Name(_) => {}
                RecordingEntry::Fact(fact) => self.fact(&fact, place),
            }
        }
    }

    fn fact(&mut self, fact: &Fact, place: &mut SurveyPlace) {
        match fact {
            Fact::Clock(anchor) => {
                place.clock = Some(Clock::new(*anchor));
                if self.anchors.len() < MOST {
                    self.anchors.push(*anchor);
                }
            }
            Fact::Events(batch) => {
                self.events += batch.events.len() as u64;
                let is_transition = |event: &&Event| event.kind == kind::TRANSITION;
                self.transitions += batch.events.iter().filter(is_transition).count() as u64;
                self.check(&batch.events);
            }
            Fact::Refresh { sockets, .. } => self.check(sockets),
            Fact::Snapshot(snapshot) => {
                self.check(&snapshot.sockets);
                self.check(&snapshot.holders);
            }
            Fact::Checkpoint(checkpoint) => {
                self.unreadable += u64::from(Tracker::new(false).restore(checkpoint).is_err());
            }
            Fact::Losses(losses, _) => self.losses = *losses,
            Fact::End(totals) => (self.end, self.losses) = (Some(*totals), totals.losses),
            _ => {}
        }
        self.place(fact, place);
    }

    /// Notes the moments from and up to which facts tell.
    fn place(&mut self, fact: &Fact, place: &mut SurveyPlace) {
        let (Some(time_ns), Some(clock)) = (fact.time_ns(), place.clock) else {
            return;
        };
        place.last_ns = place.last_ns.max(time_ns);
        // The wall clock may be set meanwhile: each end is told as it was then.
        let at = |monotonic_ns| Anchor { monotonic_ns, wall_ns: clock.wall_ns(monotonic_ns) };
        let begins = matches!(fact, Fact::Ready(_)) && !place.is_ready;
        place.is_ready |= begins;
        let begin = self.span.map(|(begin, _)| begin).filter(|_| !begins).unwrap_or_else(|| at(time_ns));
        self.span = Some((begin, at(place.last_ns.max(begin.monotonic_ns))));
    }

    fn check(&mut self, events: &[Event]) {
        self.impossible += events.iter().filter(|event| check(event).is_err()).count() as u64;
    }

    /// Whether it is whole.
    pub(super) fn verdict(&self) -> Wholeness {
        let is_behind_end = self.torn > 0 && self.end.is_some();
        let is_unreadable = self.unreadable > 0 || self.impossible > 0 || self.header.is_none();
        // What was missing in a recording is missing in its copy, too.
        let (was_damaged, was_cut_off) =
            self.end.map_or((false, false), |end| (end.is_damaged, end.is_cut_off));
        let is_damaged = !self.damage.is_empty() || self.missing_blocks > 0 || is_behind_end;
        if is_damaged || is_unreadable || was_damaged {
            Wholeness::Damaged
        } else if self.end.is_none() || was_cut_off {
            Wholeness::Endless
        } else {
            Wholeness::Whole
        }
    }

    /// When it was made; `None` if nothing in it has a time.
    pub(in crate::run) fn time(&self) -> Option<RecordedTime> {
        let (begin, end) = self.span?;
        Some(RecordedTime { begin, end: Some(end), anchors: self.anchors.clone() })
    }

    /// Bytes of the file for each event; `None` without events.
    pub(super) fn bytes_per_event(&self) -> Option<f64> {
        // Neither has so many that the fraction would matter.
        #[expect(clippy::cast_precision_loss, reason = "no recording has 2^53 bytes")]
        (self.events > 0).then(|| self.bytes as f64 / self.events as f64)
    }
}
