//! Who takes part.
//!
//! # Layout
//!
//! This file is the table. A file for each kind says how it is started and what it counts; `ready`
//! tells when it is attached, and `running` starts and ends it.

mod bpftrace;
mod reader;
mod ready;
mod running;
mod tcpstates;
mod terminal;
mod tracer;

use std::{path::Path, process::Command, time::Duration};

use anyhow::Result;

use self::ready::Ready;
pub(crate) use self::running::Running;

/// What a contestant says of events; `None` if it says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Those that it saw.
    pub seen: Option<u64>,
    /// Those that it knows to have lost.
    pub lost: Option<u64>,
}

/// How a kind of contestant is run.
struct Kind {
    /// Whether the machine has it.
    is_here: fn(&[&str]) -> bool,
    /// The command line, given the contestant's own arguments.
    command: fn(&[&str]) -> Result<Command>,
    /// What tells that it is attached.
    ready: Ready,
    /// How long after that it is attached indeed.
    attaches_within: Duration,
    /// Its counts, from the file that it wrote and its standard error.
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
    with(BPFTRACE, &bpftrace::KIND, &[]),
    with(TCPSTATES, &tcpstates::KIND, tcpstates::LIBBPF_TOOLS),
    with("tcpstates-bcc", &tcpstates::KIND, tcpstates::BCC),
];

/// What is measured of nobody.
pub(crate) const UNTRACED: &str = "untraced";
/// The floor.
pub(crate) const EMPTY: &str = "empty";
/// The yardstick.
pub(crate) const REFERENCE: &str = "reference";
/// A tool of the same purpose, of libbpf-tools.
pub(crate) const TCPSTATES: &str = "tcpstates";
/// Another one, with a script.
pub(crate) const BPFTRACE: &str = "bpftrace";

/// Whether the contestant of that name is tracer itself.
pub(crate) fn is_tracer(name: &str) -> bool {
    CONTESTANTS.iter().any(|contestant| contestant.name == name && contestant.is_tracer())
}

/// Those that are wanted, without those that the machine lacks, which it says.
pub(crate) fn present(is_wanted: impl Fn(&Contestant) -> bool) -> impl Iterator<Item = &'static Contestant> {
    CONTESTANTS.iter().filter(move |contestant| is_wanted(contestant)).filter(|contestant| {
        let is_here = contestant.is_here();
        if !is_here {
            eprintln!("bench: without {}, which is not on the path", contestant.name);
        }
        is_here
    })
}

impl Contestant {
    fn is_here(&self) -> bool {
        (self.kind.is_here)(self.arguments)
    }

    /// Whether it is tracer itself.
    pub(crate) fn is_tracer(&self) -> bool {
        std::ptr::eq(self.kind, &raw const tracer::KIND)
    }

    /// Starts it, writing into a file in `scratch`, and waits until it is attached.
    pub(crate) fn start(&self, scratch: &Path) -> Result<Running> {
        self.run((self.kind.command)(self.arguments)?, scratch)
    }

    /// The same with another build of tracer.
    pub(crate) fn start_build(&self, program: &Path, scratch: &Path) -> Result<Running> {
        self.run(tracer::command(program, self.arguments), scratch)
    }
}
