//! A source whose facts are recorded, too.
//!
//! # Layout
//! - [`Recorded`]: passes facts on, and writes them down
//! - `scribe`: facts become entries; `names`: the names that the recording has
//! - `fault`: it cannot be written while all else goes on

mod fault;
mod names;
mod scribe;

pub(in crate::source) use scribe::Scribe;

use std::{collections::HashMap, time::Duration};

use tokio::time::{Instant, sleep_until};
use tracer_common::Event;

use crate::{
    facts::{
        Fact,
        checkpoint::Checkpoint,
        gauges::Gauges,
        holders::Holders,
        interfaces::Interfaces,
        kernel::KernelInfo,
        losses::{Losses, SourceTotals},
        names::{CgroupTree, ContainerNames, Names, UnknownName},
        process_cgroups::ProcessCgroup,
        recording_counts::RecordingCounts,
        source_counts::SourceCounts,
    },
    recording::{
        header::Header,
        name::Name,
        parts::{Parts, Rotation},
        writer::{Error as WriteError, RecordingFile, RecordingWriter},
    },
    source::{Demand, Error, Source, recorded::fault::RecordingFault},
    tcp::netns::{Inum, Netns, NetnsId},
    time::{clock::Anchor, duration::after},
};

/// How long a fact waits for others before it is written.
const PATIENCE: Duration = Duration::from_millis(200);

/// Passes on the facts of a source, and records them.
pub struct Recorded<S> {
    source: S,
    scribe: Scribe,
    writer: RecordingWriter,
    /// When what is in the scribe's encoder is to be written.
    due: Option<Instant>,
    /// The last fact, while it is being written.
    last: Option<Fact>,
    header: Header,
    /// The files, if there are several.
    parts: Option<Parts>,
    /// What a new part begins with.
    resumption: Resumption,
    /// When the present part began, in nanoseconds of the kernel's monotonic clock.
    part_ns: Option<u64>,
    /// What the next part begins with, if that is now.
    rotation: Option<Checkpoint>,
    /// If it cannot be written, all else goes on.
    may_fail: bool,
    fault: RecordingFault,
    /// Bytes that were written before the last fault.
    bytes_before: u64,
    /// Events that are not in it because of faults.
    missed: u64,
    /// Of these, those before the present writer began.
    missed_before: u64,
    /// Events that the writer had when nothing more could be handed to it.
    handed: u64,
    /// The end of the present part is written, and the next one not begun.
    is_part_ended: bool,
    /// What the present part needs to stand alone is not handed over yet.
    is_beginning: bool,
    /// Whether process ids mean the same to the user as in the events.
    pids: Result<(), UnknownName>,
}

/// The latest facts that a part needs which stands alone.
#[derive(Clone)]
pub struct Resumption {
    /// What was lost in the parts before, and until when.
    losses: (Losses, u64),
    clock: Option<Anchor>,
    interfaces: Interfaces,
    gauges: Gauges,
    holders: Option<Holders>,
}

/// Where a recording is written to.
pub enum Files {
    /// One file, or a pipe.
    One(RecordingFile),
    /// Parts, one after the other.
    Parts(Parts),
}

impl<S: Source> Recorded<S> {
    /// Records what comes from `source`. The header says what is true of it.
    ///
    /// # Errors
    /// The system has no room for a thread.
    pub fn start(mut source: S, header: Header, files: Files) -> Result<Self, Error> {
        let (sink, parts) = match files {
            Files::One(sink) => (sink, None),
            Files::Parts(mut parts) => {
                let sink =
                    parts.begin_next().map_err(Error::system("making the first part of the recording"))?;
                (sink, Some(parts))
            }
        };
        let mut scribe = Scribe::default();
        let writer = RecordingWriter::start(sink, scribe.encoder.header(&header), 0)
            .map_err(Error::system("starting the thread of the recording"))?;
        scribe.repeat_names(source.names().cgroups());
        let pids = source.names().check_pids();
        Ok(Self {
            source,
            scribe,
            writer,
            due: None,
            last: None,
            header,
            parts,
            resumption: Resumption::default(),
            part_ns: None,
            rotation: None,
            may_fail: false,
            fault: RecordingFault::default(),
            bytes_before: 0,
            missed: 0,
            missed_before: 0,
            handed: 0,
            is_part_ended: false,
            is_beginning: false,
            pids,
        })
    }

    /// If it cannot be written, that is said and counted, and all else goes on.
    #[must_use]
    pub fn that_may_fail(self, may_fail: bool) -> Self {
        Self { may_fail, ..self }
    }

    /// What was recorded so far.
    #[must_use]
    pub fn recording_counts(&self) -> RecordingCounts {
        RecordingCounts {
            // What is only collected may still be missed.
            events: self.writer.events().saturating_sub(self.missed_before),
            bytes: self.bytes_before + self.writer.written(),
            parts: self.header.part + 1,
            left_out: self.scribe.left_out,
            errors: self.fault.errors,
            missed: self.missed,
            has_failed: self.fault.is_lasting(),
        }
    }

    /// Records a fact, and the names that it needs before it.
    fn record(&mut self, fact: &Fact) {
        self.scribe.learn(fact, self.source.names());
        if self.parts.is_some() {
            self.resumption.learn(fact);
            self.part_ns = self.part_ns.or(fact.time_ns());
        }
        if self.fault.is_idle {
            if let Fact::Events(batch) = fact {
                self.missed += batch.events.len() as u64;
            }
            return self.scribe.skip(fact);
        }
        self.scribe.write(fact);
        self.due.get_or_insert_with(|| Instant::now() + PATIENCE);
    }

    /// Something could not be written.
    ///
    /// # Errors
    /// Without a recording the rest is of no use.
    fn fail(&mut self, error: Error) -> Result<(), Error> {
        if !self.may_fail {
            return Err(error);
        }
        let goes_on = self.parts.is_some();
        let was_idle = self.fault.is_idle;
        if self.fault.note(self.scribe.now_ns) {
            let then =
                if goes_on { "another part is tried every ten seconds" } else { "the recording ends here" };
            log::error!("{error}; {then}, and all else goes on");
        }
        let encoder = &mut self.scribe.encoder;
        // While nothing was written, all was counted as missed.
        if !was_idle {
            // What the thread has may still be written.
            let has_failed = self.writer.has_failed();
            self.handed = if has_failed { self.writer.events() } else { encoder.events_taken() };
            self.missed += encoder.events() - self.handed;
        }
        encoder.discard();
        if self.parts.as_mut().is_some_and(Parts::take_back) {
            // A part in which there is nothing is none.
            self.header.part = self.header.part.saturating_sub(1);
        }
        (self.due, self.rotation, self.is_part_ended, self.is_beginning) = (None, None, false, false);
        Ok(())
    }

    /// Writes what has been collected.
    async fn flush(&mut self) -> Result<(), WriteError> {
        let encoder = &mut self.scribe.encoder;
        while !encoder.is_empty() {
            let room = self.writer.room().await?;
            if let Some(block) = encoder.take() {
                room.block(block, encoder.events_taken());
            }
        }
        self.due = None;
        Ok(())
    }

    /// Counts what the thread had when nothing more could be handed to it, and has not written.
    async fn settle(&mut self) {
        // Why it has failed was told.
        let _ = self.writer.finish().await;
        self.missed += self.handed.saturating_sub(self.writer.events());
        self.handed = self.writer.events();
    }

    /// Goes on in the next part.
    async fn rotate(&mut self) -> Result<(), Error> {
        if self.parts.is_none() {
            self.rotation = None;
            return Ok(());
        }
        if !self.is_part_ended && !self.fault.is_idle {
            let totals = SourceTotals { losses: self.resumption.losses.0, ..SourceTotals::default() };
            self.record(&Fact::End(totals));
            self.is_part_ended = true;
        }
        // The last time that this may be given up and begun again: nothing is changed before.
        let room = if self.fault.is_idle {
            self.settle().await;
            None
        } else {
            self.flush().await?;
            Some(self.writer.room().await?)
        };
        let Some((parts, checkpoint)) = self.parts.as_mut().zip(self.rotation.take()) else {
            return Ok(());
        };
        let next = parts.begin_next();
        let next = next.map_err(Error::system("making the next part of the recording"))?;
        self.header.part += 1;
        let encoder = &mut self.scribe.encoder;
        let header = encoder.header(&self.header);
        if let Some(room) = room {
            self.writer.next(room, next, header);
        } else {
            let bytes = self.writer.written();
            self.writer = RecordingWriter::start(next, header, encoder.events())
                .map_err(Error::system("starting the thread of the recording"))?;
            self.bytes_before += bytes;
            self.missed_before = self.missed;
            self.fault.begin_again();
        }
        (self.is_part_ended, self.is_beginning) = (false, true);
        let at_ns = checkpoint.at_ns;
        let first = std::mem::take(&mut self.resumption);
        self.scribe.repeat_names(self.source.names().cgroups());
        for fact in first.facts(Some(checkpoint), at_ns) {
            self.record(&fact);
        }
        // Where nothing happens, what is known is older than the part.
        self.part_ns = Some(self.scribe.now_ns.max(at_ns));
        Ok(())
    }

    /// When the next part begins if nothing happens, in nanoseconds of the kernel's monotonic clock.
    fn part_due(&self, time: Option<Duration>) -> Option<u64> {
        after(self.part_ns?, time?)
    }

    /// Writes what there is before an error of the source ends the recording.
    async fn save(&mut self) {
        if let Err(error) = self.flush().await {
            log::error!("{error}");
        } else if let Err(error) = self.writer.finish().await {
            log::error!("{error}");
        }
    }

    /// Does what is due.
    async fn keep_up(&mut self) -> Result<(), Error> {
        if self.rotation.is_some() {
            self.rotate().await?;
        }
        if self.fault.is_idle {
            if self.last.is_some() {
                self.settle().await;
            }
            return Ok(());
        }
        if self.is_due() || self.last.is_some() || self.is_beginning {
            self.flush().await?;
        }
        if self.is_beginning {
            self.writer.room().await?.begun();
            self.is_beginning = false;
        }
        if self.last.is_some() {
            self.writer.finish().await?;
        }
        if self.fault.is_lasting() && self.writer.size().has_begun() && self.fault.end() {
            log::warn!("the recording goes on; {} events are not in it", self.missed);
        }
        Ok(())
    }

    fn is_due(&self) -> bool {
        self.scribe.encoder.is_full()
            || self.due.is_some_and(|due| due <= Instant::now())
            || self.writer.has_failed()
    }
}

impl<S: Source> Source for Recorded<S> {
    fn kernel(&self) -> &KernelInfo {
        self.source.kernel()
    }

    fn header(&self) -> Option<&Header> {
        self.source.header()
    }

    async fn next(&mut self, demand: Demand<'_>) -> Result<Fact, Error> {
        loop {
            if let Err(error) = self.keep_up().await {
                self.fail(error)?;
            }
            if let Some(last) = self.last.take() {
                return Ok(last);
            }
            let due = self.due;
            let part_ns = self.parts.as_ref().and_then(|parts| self.part_due(parts.rotation().time));
            let part_ns = if self.fault.is_idle { self.fault.retry_ns() } else { part_ns };
            let demand = Demand { due_ns: demand.due_ns.into_iter().chain(part_ns).min(), ..demand };
            tokio::select! {
                biased;
                fact = self.source.next(demand) => {
                    let fact = match fact {
                        Ok(fact) => fact,
                        Err(error) => {
                            self.save().await;
                            return Err(error);
                        }
                    };
                    self.record(&fact);
                    if !matches!(fact, Fact::End(_)) {
                        return Ok(fact);
                    }
                    self.last = Some(fact);
                }
                () = async { sleep_until(due.unwrap_or_else(Instant::now)).await }, if due.is_some() => {}
            }
        }
    }

    fn is_live(&self) -> bool {
        self.source.is_live()
    }

    fn has_more(&self) -> bool {
        self.source.has_more()
    }

    fn stop(&mut self) {
        self.source.stop();
    }

    fn recycle(&mut self, events: Vec<Event>) {
        self.source.recycle(events);
    }

    fn wants_checkpoint(&self) -> bool {
        let Some(Rotation { bytes, time, .. }) = self.parts.as_ref().map(Parts::rotation) else {
            return false;
        };
        if self.fault.is_idle {
            let is_time = self.fault.retry_ns().is_some_and(|retry_ns| self.scribe.now_ns >= retry_ns);
            return self.rotation.is_none() && is_time;
        }
        // A part is as large as asked besides its beginning: with many connections there would be nothing else in it.
        let size = self.writer.size();
        let size = if self.header.part == 0 { size.bytes() } else { size.behind_beginning() };
        let is_large = bytes.is_some_and(|bytes| size >= bytes);
        let is_old = self.part_due(time).is_some_and(|due_ns| self.scribe.now_ns >= due_ns);
        self.rotation.is_none() && (is_large || is_old)
    }

    fn checkpoint(&mut self, checkpoint: Checkpoint, freeze: Option<&str>) -> Option<String> {
        self.rotation = Some(checkpoint);
        let (parts, why) = self.parts.as_mut().zip(freeze)?;
        Some(match parts.freeze(why) {
            Ok(count) => format!("{count} parts are kept: {}", parts.frozen(why)),
            Err(error) => format!("the parts cannot be kept: {error}"),
        })
    }

    fn counts(&self) -> SourceCounts {
        SourceCounts { recording: Some(self.recording_counts()), ..self.source.counts() }
    }

    fn names(&mut self) -> &mut dyn Names {
        self
    }
}

impl Default for Resumption {
    fn default() -> Self {
        Self {
            losses: (Losses::NONE, 0),
            clock: None,
            interfaces: Interfaces::default(),
            gauges: Gauges::default(),
            holders: None,
        }
    }
}

impl Resumption {
    /// Takes a fact.
    pub fn learn(&mut self, fact: &Fact) {
        match fact {
            Fact::Clock(anchor) => self.clock = Some(*anchor),
            Fact::Interfaces(interfaces) => self.interfaces.extend(interfaces.clone()),
            Fact::Snapshot(snapshot) => {
                self.interfaces.extend(snapshot.interfaces.clone());
                self.holders = Holders::in_snapshot(snapshot).or(self.holders.take());
            }
            Fact::Gauges(gauges) => self.gauges = gauges.clone(),
            Fact::Holders(holders) => self.holders = Some(holders.clone()),
            Fact::Losses(losses, until_ns) => self.losses = (*losses, *until_ns),
            _ => {}
        }
    }

    /// The facts that the part begins with, if that is at this time. Without a checkpoint it has no stories.
    pub fn facts(self, checkpoint: Option<Checkpoint>, at_ns: u64) -> impl Iterator<Item = Fact> {
        let Self { losses: (losses, until_ns), clock, interfaces, gauges, holders } = self;
        let known = [Fact::Losses(losses, until_ns), Fact::Interfaces(interfaces), Fact::Gauges(gauges)];
        let known = clock.map(Fact::Clock).into_iter().chain(known).chain(holders.map(Fact::Holders));
        let checkpoint = checkpoint.map(|checkpoint| Fact::Checkpoint(Box::new(checkpoint)));
        known.chain(checkpoint).chain([Fact::Ready(at_ns)])
    }
}

impl<S: Source> Names for Recorded<S> {
    fn cgroup_path(&mut self, id: u64) -> Option<String> {
        self.scribe.names.cgroup_path(id)
    }

    fn container_names(&mut self, cgroup: u64) -> Option<ContainerNames> {
        self.scribe.names.container_names(cgroup)
    }

    fn netns_name(&mut self, inum: Inum) -> Option<String> {
        self.scribe.names.netns_name(inum)
    }

    fn process_cgroup(&mut self, pid: u32) -> Option<ProcessCgroup> {
        self.scribe.names.process_cgroup(pid)
    }

    fn command_line(&mut self, pid: u32) -> Option<String> {
        let line = self.source.names().command_line(pid)?;
        self.scribe.add_name(Name::CommandLine(pid, Some(line.clone())));
        Some(line)
    }

    fn cgroups(&mut self) -> Option<CgroupTree> {
        self.source.names().cgroups()
    }

    fn cgroups_of_processes(&mut self) -> Vec<(u64, String)> {
        self.source.names().cgroups_of_processes()
    }

    fn processes(&mut self) -> Option<HashMap<u32, Vec<u8>>> {
        self.source.names().processes()
    }

    fn netns(&mut self, netns: &Netns) -> Result<NetnsId, UnknownName> {
        self.source.names().netns(netns)
    }

    fn check_pids(&self) -> Result<(), UnknownName> {
        self.pids.clone()
    }
}
