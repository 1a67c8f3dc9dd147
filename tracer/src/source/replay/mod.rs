//! A recording as a [`Source`]. It needs no kernel and no privileges.
//!
//! # Layout
//! - [`Replay`]: plays the facts of a recording
//! - [`names`]: the names in it
//! - [`input`]: a thread that reads it
//! - `loss`: what is missing in it; `pace`: the speed

pub mod input;
mod loss;
pub mod names;
mod pace;

use std::{
    collections::VecDeque,
    io,
    path::PathBuf,
    sync::{Arc, LazyLock, atomic::AtomicU64},
};

use tracer_common::Event;

use crate::{
    facts::playback::{PlayCommand, Playback},
    facts::{Batch, Fact, kernel::KernelInfo, losses::SourceTotals, names::Names},
    recording::{entry::RecordingEntry, header::Header, name::Name, reader::RecordingPiece},
    source::{
        Demand, Error, Source,
        decode::check,
        replay::{
            input::{Item, ReplayInput, Unreadable},
            loss::Missing,
            names::ReplayedNames,
            pace::Pace,
        },
    },
    time::clock::Anchor,
};

/// A full-screen view draws at least so often, in nanoseconds.
const PICTURE_NS: u64 = 100_000_000;

/// Options of a [`Replay`].
#[derive(Clone, Debug, Default)]
pub struct ReplayOptions {
    /// The recordings; `-` is standard input.
    pub paths: Vec<PathBuf>,
    /// How many times as fast as it happened; `None`: as fast as possible.
    pub speed: Option<f64>,
    /// Wait for more at its end, while it is still being written.
    pub follows: bool,
    /// Somebody looks at it: the end of the recording is not the end, and time goes on without facts.
    pub is_watched: bool,
    /// Whether it can be paused. What pauses a pipe pauses the one who writes it.
    pub can_pause: bool,
    /// Counts the bytes that have been read.
    pub read: Arc<AtomicU64>,
}

/// Recordings as a source of facts.
#[derive(Debug)]
pub struct Replay {
    input: ReplayInput,
    /// That of the present file; `None` before the first one.
    header: Option<Header>,
    /// What was read, and not played yet.
    entries: VecDeque<RecordingEntry>,
    names: ReplayedNames,
    missing: Missing,
    pace: Option<Pace>,
    /// Which facts at the beginning of the present file are not played.
    passes_over: PassesOver,
    /// The end of the present file. Another one may follow.
    end: Option<SourceTotals>,
    /// The time of the last fact.
    now_ns: u64,
    /// Nothing later is played.
    end_ns: Option<u64>,
    /// All has been read.
    has_ended: bool,
    /// Why no more is played.
    refused: Option<Unreadable>,
    /// Nothing has come behind the header yet.
    is_at_header: bool,
    /// What the wall clock was has been told, and when the capture began.
    has_clock: bool,
    is_ready: bool,
    /// See [`ReplayOptions`].
    is_watched: bool,
    can_pause: bool,
    /// Up to this time all events have been played.
    watermark_ns: u64,
    /// All has been played, and that was told.
    is_told: bool,
    is_stopped: bool,
}

/// Which facts at the beginning of a file are not played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PassesOver {
    /// All are played.
    Nothing,
    /// What was lost in the parts before it counts there.
    Losses,
    /// It goes on where the last file ended: what stands for that one is not needed.
    AllUntilReady,
    /// It does not: there is a beginning already, and the kernel's counters are those of another recording.
    Beginning,
}

impl Replay {
    /// Opens recordings of one or several hosts, and reads up to the first fact of each. Those of a host that was restarted
    /// meanwhile are several, in the order of their times.
    ///
    /// # Errors
    /// One cannot be read, or is none, or they do not belong together.
    pub async fn open_all(options: &ReplayOptions) -> Result<Vec<Self>, Error> {
        Self::with(options, ReplayedNames::default).await
    }

    /// The same for recordings of one host.
    ///
    /// # Errors
    /// One cannot be read, or is none, or they do not belong together.
    pub async fn open(options: &ReplayOptions) -> Result<Self, Error> {
        Self::alone(Self::open_all(options).await?)
    }

    /// The same for a copy, which also takes names: [`Self::take_names`].
    ///
    /// # Errors
    /// One cannot be read, or is none, or they do not belong together.
    pub async fn open_to_copy(options: &ReplayOptions) -> Result<Self, Error> {
        Self::alone(Self::with(options, ReplayedNames::kept).await?)
    }

    /// The same for recordings of one host: of the runs of the host that are `wanted`, the last.
    ///
    /// # Errors
    /// One cannot be read, or is none, or they do not belong together.
    pub async fn open_last(options: &ReplayOptions, wanted: impl Fn(&Header) -> bool) -> Result<Self, Error> {
        let mut boots = Self::open_all(options).await?;
        let is_one_host = boots.is_sorted_by(|one, other| one.host_key() == other.host_key());
        let last = boots.iter().rposition(|replay| replay.header.as_ref().is_some_and(&wanted));
        match last.filter(|_| is_one_host) {
            Some(last) => Ok(boots.swap_remove(last)),
            None => Self::alone(boots),
        }
    }

    fn host_key(&self) -> Option<(String, String)> {
        self.header.as_ref().map(Header::host_key)
    }

    /// The one that there is.
    fn alone(mut hosts: Vec<Self>) -> Result<Self, Error> {
        match (hosts.pop(), hosts.pop()) {
            (Some(replay), None) => Ok(replay),
            (Some(one), Some(other)) => {
                let is_restart = one.host_key() == other.host_key();
                let [other, one] = [other, one].map(|replay| replay.missing.name().to_owned());
                Err(if is_restart { Unreadable::Restart(other, one) } else { Unreadable::Hosts(other, one) }
                    .into())
            }
            (None, _) => Err(Error::system("opening the recording")(io::ErrorKind::NotFound.into())),
        }
    }

    /// The names that come before the last fact, and after the one before.
    pub fn take_names(&mut self) -> Vec<Name> {
        self.names.take_latest()
    }

    async fn with(options: &ReplayOptions, names: fn() -> ReplayedNames) -> Result<Vec<Self>, Error> {
        let inputs = ReplayInput::start(&options.paths, options.follows, &options.read).await?;
        let mut hosts: Vec<_> = inputs.into_iter().map(|input| Self::of(input, options, names())).collect();
        for replay in &mut hosts {
            // Filters ask for names before the first fact is taken.
            while replay.entries.is_empty() && !replay.has_ended {
                replay.read().await?;
                replay.settle();
            }
        }
        let begun_ns =
            hosts.iter().filter_map(|replay| replay.header.as_ref()).map(|header| header.begun_ns).min();
        if let (Some(begun_ns), 2..) = (begun_ns, hosts.len()) {
            for replay in &mut hosts {
                replay.begin_at(begun_ns);
            }
        }
        Ok(hosts)
    }

    fn of(input: ReplayInput, options: &ReplayOptions, names: ReplayedNames) -> Self {
        Self {
            missing: Missing::default(),
            input,
            header: None,
            entries: VecDeque::new(),
            names,
            pace: options.speed.map(Pace::of),
            passes_over: PassesOver::Nothing,
            end: None,
            now_ns: 0,
            end_ns: None,
            has_ended: false,
            refused: None,
            is_at_header: false,
            has_clock: false,
            is_ready: false,
            is_watched: options.is_watched,
            can_pause: options.can_pause,
            watermark_ns: 0,
            is_told: false,
            is_stopped: false,
        }
    }

    /// Plays as if it had begun at this time of day, in nanoseconds since 1970, as the recordings of other hosts have.
    fn begin_at(&mut self, wall_ns: i64) {
        if let (Some(pace), Some(header)) = (&mut self.pace, &self.header) {
            pace.begin_at(wall_ns.saturating_sub(header.booted_ns));
        }
    }

    /// Reads on.
    async fn read(&mut self) -> Result<(), Error> {
        match self.input.next().await? {
            Some(Item::File(name)) => self.missing.begin(name),
            Some(Item::Piece(RecordingPiece::Block(block))) => {
                self.entries.extend(self.missing.before(&block).map(RecordingEntry::Fact));
                if self.missing.is_behind_gap() && self.passes_over == PassesOver::AllUntilReady {
                    // What ends the passing over may be what is missing.
                    self.passes_over = PassesOver::Beginning;
                }
                self.entries.extend(block.entries);
            }
            Some(Item::Piece(RecordingPiece::Damage(damage))) => self.missing.damage(damage),
            None => self.has_ended = true,
        }
        Ok(())
    }

    /// Takes what comes before the next fact that is played.
    fn settle(&mut self) {
        while let Some(entry) = self.entries.pop_front() {
            let is_at_header = matches!(entry, RecordingEntry::Header(_));
            match entry {
                RecordingEntry::Header(header) => self.begin(header.tamed()),
                RecordingEntry::Name(name) => self.names.learn(name),
                RecordingEntry::Fact(Fact::End(totals)) => self.end = Some(totals),
                RecordingEntry::Fact(fact) if self.is_passed_over(&fact) => {}
                fact @ RecordingEntry::Fact(_) => {
                    self.is_at_header = false;
                    self.entries.push_front(fact);
                    self.stand_in();
                    return;
                }
            }
            self.is_at_header = is_at_header;
        }
    }

    /// If the first facts are missing, puts what the header tells of them before the next one.
    fn stand_in(&mut self) {
        let (Some(header), Some(RecordingEntry::Fact(next))) = (&self.header, self.entries.front()) else {
            return;
        };
        let wall_ns = header.begun_ns;
        let monotonic_ns = u64::try_from(wall_ns.saturating_sub(header.booted_ns)).unwrap_or_default();
        let missing = match next {
            Fact::Clock(_) => None,
            _ if !self.has_clock => Some(Fact::Clock(Anchor { monotonic_ns, wall_ns })),
            Fact::Events(batch) if !self.is_ready => {
                let first_ns = batch.events.first().map_or(batch.until_ns, |event| event.time_ns);
                Some(Fact::Ready(monotonic_ns.min(first_ns)))
            }
            _ => None,
        };
        let first = missing.as_ref().unwrap_or(next);
        self.has_clock |= matches!(first, Fact::Clock(_));
        self.is_ready |= matches!(first, Fact::Ready(_));
        if let Some(fact) = missing {
            if matches!(fact, Fact::Clock(_)) {
                let name = self.missing.name();
                log::warn!(
                    "{name}: its first block is missing: times of day are off by the time that the host was suspended, if it was"
                );
            }
            self.entries.push_front(RecordingEntry::Fact(fact));
        }
    }

    /// A file begins.
    fn begin(&mut self, header: Header) {
        let Some(last) = &self.header else {
            if header.part > 0 {
                self.passes_over = PassesOver::Losses;
            }
            self.header = Some(header);
            return;
        };
        let is_same = last.id == header.id;
        let name = || self.missing.name().to_owned();
        if is_same && last.part == header.part {
            // The header is there twice, and the file once.
            if !self.is_at_header {
                self.refused = Some(Unreadable::Again(name()));
            }
            return;
        }
        if (last.filter != header.filter) || (last.has_stories != header.has_stories) {
            self.refused = Some(Unreadable::Filters(name()));
            return;
        }
        let goes_on = is_same && last.part.checked_add(1) == Some(header.part);
        self.passes_over = if goes_on { PassesOver::AllUntilReady } else { PassesOver::Beginning };
        if !goes_on {
            self.missing.join(is_same);
        }
        let end = self.end.take();
        // What was lost is counted over all parts of a recording.
        if !is_same {
            let totals = end.unwrap_or_else(|| self.missing.cut_off_before());
            self.missing.add(totals);
        }
        self.header = Some(header);
    }

    fn is_passed_over(&mut self, fact: &Fact) -> bool {
        let is_ready = matches!(fact, Fact::Ready(_));
        match self.passes_over {
            PassesOver::Nothing => false,
            PassesOver::Losses => {
                if is_ready {
                    self.passes_over = PassesOver::Nothing;
                } else if let Fact::Losses(losses, _) = fact {
                    self.missing.lost_before(*losses);
                    return true;
                }
                false
            }
            PassesOver::AllUntilReady => {
                if is_ready {
                    self.passes_over = PassesOver::Nothing;
                }
                true
            }
            PassesOver::Beginning => {
                if let Fact::Ready(at_ns) = fact
                    && *at_ns < self.now_ns
                {
                    self.refused = Some(Unreadable::Overlap(self.missing.name().to_owned()));
                }
                is_ready || matches!(fact, Fact::CountersAtStart(_) | Fact::CountersAtEnd(_))
            }
        }
    }

    /// Takes the next fact, after [`Self::settle`].
    fn pop(&mut self) -> Option<Fact> {
        let Some(RecordingEntry::Fact(fact)) = self.entries.pop_front() else {
            return None;
        };
        self.now_ns = self.now_ns.max(fact.time_ns().unwrap_or_default());
        if let Fact::Ready(time_ns) | Fact::Events(Batch { until_ns: time_ns, .. }) = &fact {
            self.watermark_ns = self.watermark_ns.max(*time_ns);
        }
        let fact = checked(fact, &mut self.missing.malformed);
        Some(self.missing.complete(fact))
    }

    /// The last fact.
    fn end(&mut self) -> Fact {
        let totals = self.end.unwrap_or_else(|| self.missing.cut_off());
        Fact::End(self.missing.totals(totals))
    }

    /// Nothing happens up to this time.
    fn silence(&mut self, until_ns: u64) -> Fact {
        self.watermark_ns = self.watermark_ns.max(until_ns);
        Fact::Events(Batch { events: Vec::new(), until_ns: self.watermark_ns })
    }

    /// Ends the replay at this time. Nothing later is played.
    fn end_at(&mut self, end_ns: u64) {
        self.end_ns = Some(self.end_ns.map_or(end_ns, |before| before.min(end_ns)));
    }

    /// If the next fact is later than the end, leaves it out, or puts the end in its place if it is events. Returns
    /// whether what comes next is to be looked at.
    fn cut(&mut self) -> bool {
        let (Some(end_ns), Some(RecordingEntry::Fact(fact))) = (self.end_ns, self.entries.front()) else {
            return false;
        };
        if self.has_ended || fact.time_ns().is_none_or(|time_ns| time_ns <= end_ns) {
            return false;
        }
        let Some(RecordingEntry::Fact(Fact::Events(batch))) = self.entries.pop_front() else {
            // Events from before the end may come behind it.
            return true;
        };
        let mut last = Batch { events: Vec::new(), until_ns: end_ns };
        last.events.extend(batch.events.into_iter().filter(|event| event.time_ns <= end_ns));
        self.entries.clear();
        self.entries.push_front(RecordingEntry::Fact(Fact::Events(last)));
        self.end_here();
        false
    }

    /// Ends the replay before its end.
    fn end_here(&mut self) {
        // How many events filters kept back until then is not known, unless there were none.
        let is_open = self.header.as_ref().is_some_and(|header| header.filter.is_open());
        let filtered = is_open.then_some(0);
        self.end =
            Some(SourceTotals { losses: self.missing.recorded(), filtered, ..SourceTotals::default() });
        self.has_ended = true;
    }
}

/// A fact without events that cannot be: somebody else may have written the recording.
fn checked(mut fact: Fact, malformed: &mut u64) -> Fact {
    let mut keep = |events: &mut Vec<Event>| {
        let before = events.len();
        events.retain(|event| check(event).is_ok());
        *malformed += (before - events.len()) as u64;
    };
    match &mut fact {
        Fact::Events(batch) => keep(&mut batch.events),
        Fact::Refresh { sockets, .. } => keep(sockets),
        Fact::Snapshot(snapshot) => {
            keep(&mut snapshot.sockets);
            keep(&mut snapshot.holders);
        }
        _ => {}
    }
    fact
}

impl Source for Replay {
    fn kernel(&self) -> &KernelInfo {
        static UNKNOWN: LazyLock<KernelInfo> = LazyLock::new(KernelInfo::default);
        self.header.as_ref().map_or(&UNKNOWN, |header| &header.kernel)
    }

    fn header(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    fn is_live(&self) -> bool {
        false
    }

    async fn next(&mut self, demand: Demand<'_>) -> Result<Fact, Error> {
        if let Some(end_ns) = demand.end_ns {
            self.end_at(end_ns);
        }
        // Whoever looks has pressed a key.
        let due_ns = demand.due_ns.filter(|_| self.is_watched && demand.events && self.watermark_ns > 0);
        if let Some(due_ns) = due_ns.filter(|due_ns| *due_ns <= self.watermark_ns.max(self.now_ns)) {
            return Ok(self.silence(due_ns));
        }
        loop {
            self.settle();
            if let Some(refused) = self.refused.take() {
                return Err(refused.into());
            }
            if self.cut() {
                continue;
            }
            let Some(RecordingEntry::Fact(fact)) = self.entries.front() else {
                if self.has_ended && self.is_watched && !self.is_stopped {
                    if let Some(due_ns) = due_ns.filter(|_| !std::mem::replace(&mut self.is_told, true)) {
                        // Something else may be due before the picture is.
                        return Ok(self.silence(due_ns.saturating_add(PICTURE_NS)));
                    }
                    std::future::pending::<()>().await;
                }
                if self.has_ended {
                    return Ok(self.end());
                }
                self.read().await?;
                continue;
            };
            if !demand.events && matches!(fact, Fact::Events(_)) {
                std::future::pending::<()>().await;
            }
            if let (Some(pace), Some(time_ns)) = (&mut self.pace, fact.time_ns())
                && !self.is_stopped
                && demand.since_ns.is_none_or(|since_ns| since_ns <= time_ns)
            {
                if let Some(due_ns) = due_ns.filter(|due_ns| *due_ns < time_ns) {
                    pace.wait(due_ns).await;
                    return Ok(self.silence(due_ns));
                }
                pace.wait(time_ns).await;
            }
            if let Some(fact) = self.pop() {
                return Ok(fact);
            }
        }
    }

    fn has_more(&self) -> bool {
        // What is played at a pace may come much later.
        self.pace.is_none() && (!self.entries.is_empty() || !(self.has_ended || self.input.is_empty()))
    }

    fn play(&mut self, command: PlayCommand) {
        if let Some(pace) = self.pace.as_mut().filter(|_| self.can_pause && !self.is_told) {
            pace.play(command);
        }
    }

    fn playback(&self) -> Option<Playback> {
        let playing = self.pace.as_ref().filter(|_| self.can_pause).map(Pace::playback);
        if self.is_told { Some(Playback::Ended) } else { playing }
    }

    fn stop(&mut self) {
        self.is_stopped = true;
        self.end_at(self.now_ns);
        while self.cut() {
            self.settle();
        }
        // What is still being written may have no more for long.
        if self.entries.is_empty() && !self.has_ended {
            self.end_here();
        }
    }

    fn names(&mut self) -> &mut dyn Names {
        &mut self.names
    }
}
