//! A source whose facts are recorded, too.
//!
//! # Layout
//! - [`Recorded`]: passes facts on, and writes them down
//! - `names`: the names that the recording has

mod names;

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
    },
    recording::{
        encoder::Encoder,
        entry::Unwritable,
        header::Header,
        name::Name,
        parts::{Parts, Rotation},
        writer::{Error as WriteError, RecordingFile, RecordingWriter},
    },
    source::{Demand, Error, Source, recorded::names::RecordedNames},
    tcp::netns::{Inum, Netns, NetnsId},
    time::{clock::Anchor, duration::after},
};

/// How long a fact waits for others before it is written.
const PATIENCE: Duration = Duration::from_millis(200);

/// Passes on the facts of a source, and records them.
pub struct Recorded<S> {
    source: S,
    names: RecordedNames,
    encoder: Encoder,
    writer: RecordingWriter,
    /// When what is in the encoder is to be written.
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
    counts: RecordingCounts,
    /// The end of the present part is written, and the next one not begun.
    is_part_ended: bool,
    /// What the present part needs to stand alone is not handed over yet.
    is_beginning: bool,
    /// The time of the last fact.
    now_ns: u64,
    /// Whether process ids mean the same to the user as in the events.
    pids: Result<(), UnknownName>,
}

/// The latest facts that a part needs which stands alone.
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

/// Counts of a recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordingCounts {
    /// Events in it.
    pub events: u64,
    /// Bytes of all parts.
    pub bytes: u64,
    /// How many parts there are.
    pub parts: u32,
    /// Facts that are not in it, because they are too large.
    pub left_out: u64,
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
        let mut encoder = Encoder::default();
        let writer = RecordingWriter::start(sink, encoder.header(&header))
            .map_err(Error::system("starting the thread of the recording"))?;
        let mut names = RecordedNames::default();
        names.repeat(source.names().cgroups());
        let pids = source.names().check_pids();
        let counts = RecordingCounts::default();
        Ok(Self {
            source,
            names,
            encoder,
            writer,
            due: None,
            last: None,
            header,
            parts,
            resumption: Resumption::default(),
            part_ns: None,
            rotation: None,
            counts,
            is_part_ended: false,
            is_beginning: false,
            now_ns: 0,
            pids,
        })
    }

    /// What was recorded so far.
    #[must_use]
    pub fn counts(&self) -> RecordingCounts {
        let parts = self.header.part + 1;
        RecordingCounts { bytes: self.writer.written(), parts, ..self.counts }
    }

    /// Records a fact, and the names that it needs before it.
    fn record(&mut self, fact: &Fact) {
        self.now_ns = self.now_ns.max(fact.time_ns().unwrap_or_default());
        let names = &mut self.names;
        let source = self.source.names();
        names.begin_fact(self.now_ns, source);
        match fact {
            Fact::Events(batch) => {
                self.counts.events += batch.events.len() as u64;
                names.learn(&batch.events, source);
            }
            Fact::Snapshot(snapshot) => {
                names.learn(&snapshot.sockets, source);
                names.learn(&snapshot.holders, source);
            }
            Fact::Refresh { sockets, .. } => names.learn(sockets, source),
            Fact::Gauges(gauges) => {
                gauges.by_netns.keys().for_each(|netns| names.learn_netns(netns.inum, source));
            }
            _ => {}
        }
        if self.parts.is_some() {
            self.resumption.learn(fact);
            self.part_ns = self.part_ns.or(fact.time_ns());
        }
        for name in names.take_unwritten() {
            let written = self.encoder.name(&name);
            self.note(written);
        }
        let written = match fact {
            // What is not in the recording is missing for whoever reads it.
            Fact::End(totals) if self.counts.left_out > 0 => {
                self.encoder.fact(&Fact::End(SourceTotals { is_damaged: true, ..*totals }))
            }
            fact => self.encoder.fact(fact),
        };
        self.note(written);
        self.due.get_or_insert_with(|| Instant::now() + PATIENCE);
    }

    /// Counts what could not be written.
    fn note(&mut self, written: Result<(), Unwritable>) {
        if let Err(error) = written {
            self.counts.left_out += 1;
            log::warn!("{error}");
        }
    }

    /// Writes what has been collected.
    async fn flush(&mut self) -> Result<(), WriteError> {
        while !self.encoder.is_empty() {
            let room = self.writer.room().await?;
            if let Some(block) = self.encoder.take() {
                room.block(block);
            }
        }
        self.due = None;
        Ok(())
    }

    /// Goes on in the next part.
    async fn rotate(&mut self) -> Result<(), Error> {
        if self.parts.is_none() {
            self.rotation = None;
            return Ok(());
        }
        if !self.is_part_ended {
            let totals = SourceTotals { losses: self.resumption.losses.0, ..SourceTotals::default() };
            self.record(&Fact::End(totals));
            self.is_part_ended = true;
        }
        self.flush().await?;
        let Some(parts) = &mut self.parts else {
            return Ok(());
        };
        // The last time that this may be given up and begun again: nothing is changed before.
        let room = self.writer.room().await?;
        let Some(checkpoint) = self.rotation.take() else {
            return Ok(());
        };
        let next = parts.begin_next();
        let next = next.map_err(Error::system("making the next part of the recording"))?;
        self.header.part += 1;
        self.writer.next(room, next, self.encoder.header(&self.header));
        (self.is_part_ended, self.is_beginning) = (false, true);
        let at_ns = checkpoint.at_ns;
        let first = std::mem::take(&mut self.resumption);
        self.names.repeat(self.source.names().cgroups());
        for fact in first.facts().chain([Fact::Checkpoint(Box::new(checkpoint)), Fact::Ready(at_ns)]) {
            self.record(&fact);
        }
        // Where nothing happens, what is known is older than the part.
        self.part_ns = Some(self.now_ns.max(at_ns));
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

    fn is_due(&self) -> bool {
        self.encoder.is_full()
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
            if self.rotation.is_some() {
                self.rotate().await?;
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
            if let Some(last) = self.last.take() {
                return Ok(last);
            }
            let due = self.due;
            let part_ns = self.parts.as_ref().and_then(|parts| self.part_due(parts.rotation().time));
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
        // A part is as large as asked besides its beginning: with many connections there would be nothing else in it.
        let size = self.writer.size();
        let size = if self.header.part == 0 { size.bytes() } else { size.behind_beginning() };
        let is_large = bytes.is_some_and(|bytes| size >= bytes);
        let is_old = self.part_due(time).is_some_and(|due_ns| self.now_ns >= due_ns);
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

    /// The facts that the part begins with.
    pub fn facts(self) -> impl Iterator<Item = Fact> {
        let Self { losses: (losses, until_ns), clock, interfaces, gauges, holders } = self;
        let known = [Fact::Losses(losses, until_ns), Fact::Interfaces(interfaces), Fact::Gauges(gauges)];
        clock.map(Fact::Clock).into_iter().chain(known).chain(holders.map(Fact::Holders))
    }
}

impl<S: Source> Names for Recorded<S> {
    fn cgroup_path(&mut self, id: u64) -> Option<String> {
        self.names.cgroup_path(id)
    }

    fn container_names(&mut self, cgroup: u64) -> Option<ContainerNames> {
        self.names.container_names(cgroup)
    }

    fn netns_name(&mut self, inum: Inum) -> Option<String> {
        self.names.netns_name(inum)
    }

    fn command_line(&mut self, pid: u32) -> Option<String> {
        let line = self.source.names().command_line(pid)?;
        self.names.add(Name::CommandLine(pid, Some(line.clone())));
        Some(line)
    }

    fn cgroups(&mut self) -> Option<CgroupTree> {
        self.source.names().cgroups()
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
