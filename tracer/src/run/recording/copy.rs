//! Copies of recordings: what is read, edited, and written again.

use std::{
    fs::File,
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
};

use bytesize::ByteSize;

use crate::{
    facts::{Batch, Fact, snapshot::TimewaitByNetns},
    output::{
        file::{Destination, Unfinished},
        stderr::message,
        write::PatientFile,
    },
    recording::{
        encoder::Encoder,
        header::{self, Header},
        name::Name,
        writer,
    },
    run::{error::Error, known::KnownThen, record},
    select::spec::Filters,
    source::{
        self, Demand, Source as _,
        recorded::Resumption,
        replay::{Replay, ReplayOptions},
    },
    time::span::TimeSpan,
};

/// Decides what is in a copy.
pub(super) trait Editor {
    /// Changes the header.
    fn header(&mut self, header: &mut Header);

    /// Whether a fact is in the copy. It may be changed.
    fn fact(&mut self, fact: &mut Fact) -> bool;

    /// Whether a name is in the copy. It may be changed.
    fn name(&mut self, name: &mut Name) -> bool;
}

/// All of it.
pub(super) struct Everything;

impl Editor for Everything {
    fn header(&mut self, header: &mut Header) {
        // Two copies of parts of one recording are not parts that follow on each other.
        (header.id, header.part) = (header::new_id(), 0);
    }

    fn fact(&mut self, _: &mut Fact) -> bool {
        true
    }

    fn name(&mut self, _: &mut Name) -> bool {
        true
    }
}

/// Opens recordings as one, to be copied.
pub(super) async fn open(paths: &[PathBuf]) -> Result<Replay, Error> {
    let options = ReplayOptions { paths: paths.to_vec(), ..ReplayOptions::default() };
    Ok(Replay::open_to_copy(&options).await?)
}

/// Writes a copy.
pub(super) async fn copy(
    mut replay: Replay,
    to: &Path,
    span: TimeSpan,
    editor: &mut dyn Editor,
) -> Result<(), Error> {
    let mut header = replay.header().cloned().unwrap_or_default();
    let mut before = span.since_ns.map(|since_ns| Prelude::new(since_ns, &header));
    editor.header(&mut header);
    let mut copy = CopyWriter::new(to, &header)?;
    let written = async {
        let timewait = TimewaitByNetns::default();
        let mut has_ended = false;
        while !has_ended {
            let demand = Demand { end_ns: span.until_ns, ..Demand::all(&timewait) };
            let mut fact = replay.next(demand).await?;
            has_ended = matches!(fact, Fact::End(_));
            for mut name in replay.take_names() {
                if editor.name(&mut name) {
                    copy.add(|encoder| encoder.name(&name));
                }
            }
            if !editor.fact(&mut fact) {
                continue;
            }
            let begins = match &mut before {
                Some(before) => before.take(fact, &mut replay),
                None => vec![fact],
            };
            if before.is_some() && !begins.is_empty() {
                before = None;
            }
            for fact in &begins {
                copy.fact(fact);
            }
            copy.write(false)?;
        }
        copy.write(true)
    };
    written.await?;
    copy.finish()
}

/// A copy that is being written. It appears under its name when it is whole.
struct CopyWriter {
    name: String,
    file: BufWriter<PatientFile<File>>,
    /// `None` for standard output.
    unfinished: Option<Unfinished>,
    encoder: Encoder,
    events: u64,
    bytes: u64,
    left_out: u64,
}

impl CopyWriter {
    fn new(to: &Path, header: &Header) -> Result<Self, Error> {
        let (name, file, unfinished) = if to == Path::new("-") {
            (record::STANDARD_OUTPUT.to_owned(), record::standard_output()?, None)
        } else {
            let unfinished = Destination::check_new(to)?.begin()?;
            let file = unfinished.file().map_err(Error::system("opening the copy once more"))?;
            (unfinished.shown().to_owned(), file, Some(unfinished))
        };
        let mut encoder = Encoder::default();
        let head = encoder.header(header);
        let file = BufWriter::new(PatientFile(file));
        let mut copy = Self { name, file, unfinished, encoder, events: 0, bytes: 0, left_out: 0 };
        copy.put(&head)?;
        Ok(copy)
    }

    fn add<E: std::fmt::Display>(&mut self, add: impl FnOnce(&mut Encoder) -> Result<(), E>) {
        if let Err(error) = add(&mut self.encoder) {
            self.left_out += 1;
            log::warn!("{error}");
        }
    }

    fn fact(&mut self, fact: &Fact) {
        if let Fact::Events(batch) = fact {
            self.events += batch.events.len() as u64;
        }
        self.add(|encoder| encoder.fact(fact));
    }

    /// Writes the blocks that are full, or all of them.
    fn write(&mut self, all: bool) -> Result<(), Error> {
        while self.encoder.is_full() || (all && !self.encoder.is_empty()) {
            if let Some(block) = self.encoder.take() {
                self.put(&block.pack())?;
            }
        }
        if all {
            let flushed = self.file.flush();
            self.wrote(flushed)?;
        }
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.bytes += bytes.len() as u64;
        let put = self.file.write_all(bytes);
        self.wrote(put)
    }

    fn wrote(&self, result: io::Result<()>) -> Result<(), Error> {
        let error = |cause| source::Error::from(writer::Error { name: self.name.clone(), cause });
        Ok(result.map_err(error)?)
    }

    /// Gives it its name, and says what has been written.
    fn finish(mut self) -> Result<(), Error> {
        if let Some(unfinished) = self.unfinished.take() {
            let finished = unfinished.finish(None);
            self.wrote(finished)?;
        }
        let (name, events, size) = (&self.name, self.events, ByteSize::b(self.bytes));
        message(format_args!("{name}: {events} events, {size}"));
        if self.left_out > 0 {
            message(format_args!("{} facts are not in it, because they are too large", self.left_out));
        }
        Ok(())
    }
}

/// What comes before the beginning of a copy: it becomes a checkpoint.
struct Prelude {
    since_ns: u64,
    known: KnownThen,
    has_stories: bool,
    resumption: Resumption,
}

impl Prelude {
    fn new(since_ns: u64, header: &Header) -> Self {
        Self {
            since_ns,
            known: KnownThen::new(header, Filters::default()),
            has_stories: header.has_stories,
            resumption: Resumption::default(),
        }
    }

    /// Takes a fact. Gives the facts that the copy begins with as soon as it is time, and this one behind them.
    fn take(&mut self, fact: Fact, replay: &mut Replay) -> Vec<Fact> {
        let is_end = matches!(fact, Fact::End(_));
        let is_before = fact.time_ns().is_none_or(|time_ns| time_ns < self.since_ns);
        let (old, new) = match fact {
            fact if is_before && !is_end => (Some(fact), None),
            Fact::Events(Batch { mut events, until_ns }) => {
                let new = events.split_off(events.partition_point(|event| event.time_ns < self.since_ns));
                let old = Batch { events, until_ns: self.since_ns };
                (Some(Fact::Events(old)), Some(Fact::Events(Batch { events: new, until_ns })))
            }
            fact => (None, Some(fact)),
        };
        if let Some(old) = old {
            self.resumption.learn(&old);
            self.known.learn(old, replay.names());
        }
        let Some(new) = new else {
            return Vec::new();
        };
        let checkpoint = self.has_stories.then(|| self.known.stages.checkpoint());
        let first = std::mem::take(&mut self.resumption);
        first.facts(checkpoint, self.since_ns).chain([new]).collect()
    }
}
