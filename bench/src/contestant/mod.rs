//! Who takes part: a table, and how each kind is started and what it says at its end.

mod bpftrace;
mod reader;
mod tcpstates;
mod terminal;
mod tracer;

use std::{
    fs::File,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};

use crate::{child::Child, contestant::terminal::Terminal, interrupt};

/// How long a contestant may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a contestant says of events; `None` if it says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Those that it saw.
    pub seen: Option<u64>,
    /// Those that it knows to have lost.
    pub lost: Option<u64>,
}

/// How a kind of contestant is run.
pub(crate) struct Kind {
    /// The command line, given the contestant's own arguments.
    command: fn(&[&str]) -> Result<Command>,
    /// How the line on standard error begins that says that it is attached.
    ready: &'static str,
    /// How long after that line it is so indeed.
    attaches_within: Duration,
    /// Its counts, from what it wrote and what it said.
    counts: fn(&Path, &str) -> Result<Counts>,
}

/// Somebody who takes part.
pub(crate) struct Contestant {
    /// Its name on the command line and in reports.
    pub name: &'static str,
    kind: &'static Kind,
    arguments: &'static [&'static str],
    is_on_terminal: bool,
}

const fn with(name: &'static str, kind: &'static Kind, arguments: &'static [&'static str]) -> Contestant {
    Contestant { name, kind, arguments, is_on_terminal: false }
}

/// A port that nobody uses: nothing of the load passes.
const NO_PORT: &str = "1";

/// All, in the order of reports. Nobody traces when `untraced` is measured, next to each of these.
pub(crate) const CONTESTANTS: &[Contestant] = &[
    with("empty", &reader::KIND, &["empty"]),
    with("reference", &reader::KIND, &["reference"]),
    with("log", &tracer::KIND, &["log"]),
    with("log-json", &tracer::KIND, &["log", "--output", "json"]),
    with("log-raw", &tracer::KIND, &["log", "--raw"]),
    with("log-port", &tracer::KIND, &["log", "--port", NO_PORT]),
    with("life", &tracer::KIND, &["life"]),
    with("summary", &tracer::KIND, &["summary"]),
    with("summary-in-kernel", &tracer::KIND, &["summary", "--in-kernel"]),
    Contestant { name: "top", kind: &tracer::KIND, arguments: &["top"], is_on_terminal: true },
    with("bpftrace", &bpftrace::KIND, &[]),
    with("tcpstates", &tcpstates::KIND, &[]),
];

/// What is measured of nobody.
pub(crate) const UNTRACED: &str = "untraced";
/// The floor.
pub(crate) const EMPTY: &str = "empty";
/// The yardstick.
pub(crate) const REFERENCE: &str = "reference";

/// A contestant at work.
pub(crate) struct Running {
    child: Child,
    terminal: Option<Terminal>,
    counts: fn(&Path, &str) -> Result<Counts>,
    /// From its start until it was attached, as it says itself.
    pub ready: Duration,
}

impl Contestant {
    /// Whether the machine has it.
    pub(crate) fn is_here(&self) -> bool {
        self.name != tcpstates::NAME || tcpstates::program().is_some()
    }

    /// Whether it is tracer itself.
    pub(crate) fn is_tracer(&self) -> bool {
        std::ptr::eq(self.kind, &raw const tracer::KIND)
    }

    /// Starts it, writing into a file there, and waits until it is attached.
    pub(crate) fn start(&self, scratch: &Path) -> Result<Running> {
        let mut command = (self.kind.command)(self.arguments)?;
        let terminal = if self.is_on_terminal {
            Some(Terminal::open(&mut command)?)
        } else {
            command.stdin(Stdio::null()).stdout(File::create(output(scratch))?);
            None
        };
        let mut child = Child::start(&mut command).with_context(|| format!("starting {}", self.name))?;
        let ready = child.wait_for(self.kind.ready, PATIENCE)?;
        interrupt::sleep(self.kind.attaches_within)?;
        Ok(Running { child, terminal, counts: self.kind.counts, ready })
    }
}

impl Running {
    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// Ends it, and takes its counts.
    pub(crate) fn finish(self, scratch: &Path) -> Result<Counts> {
        let said = self.child.finish()?;
        drop(self.terminal);
        let output = output(scratch);
        if !output.exists() {
            File::create(&output)?;
        }
        let counts = (self.counts)(&output, &said);
        std::fs::remove_file(output)?;
        // The kernel frees programs and a gigabyte of file a little later.
        thread::sleep(Duration::from_millis(100));
        counts
    }
}

fn output(scratch: &Path) -> std::path::PathBuf {
    scratch.join("out")
}
