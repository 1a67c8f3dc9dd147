//! The contestants: builds and views of tracer, and the programs that it is compared with.
//!
//! # Layout
//! - [`CONTESTANTS`]: the table of all contestants
//! - `tracer`, `reader`, `bpftrace`, `tcpstates`: how each kind is started, and where its counts are
//! - `ready`: when a contestant is attached
//! - `running`, `terminal`: start and end a contestant, on a terminal if it needs one

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

/// How many events a contestant reports; `None` if it does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Events that it saw.
    pub seen: Option<u64>,
    /// Events that it knows to have lost.
    pub lost: Option<u64>,
}

/// How a kind of contestant is run.
struct Kind {
    /// Whether this machine has the program.
    is_here: fn(&[&str]) -> bool,
    /// The command line, given the contestant's own arguments.
    command: fn(&[&str]) -> Result<Command>,
    /// How to know that it is attached.
    ready: Ready,
    /// How long after that it may take until it really is.
    attaches_within: Duration,
    /// Its counts, from the file with its output and from its standard error.
    counts: fn(&Path, &str) -> Result<Counts>,
}

/// A program that is measured, with its arguments.
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

/// A port that the load does not use, so that no event passes the filter.
const NO_PORT: &str = "1";

/// All contestants, in the order of reports.
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
    with("record", &tracer::KIND, &["record", "-"]),
    with("record-raw", &tracer::KIND, &["record", "--raw", "-"]),
    Contestant { name: "top", kind: &tracer::KIND, arguments: &["top"], is_on_terminal: true },
    with(BPFTRACE, &bpftrace::KIND, &[]),
    with(TCPSTATES, &tcpstates::KIND, tcpstates::LIBBPF_TOOLS),
    with("tcpstates-bcc", &tcpstates::KIND, tcpstates::BCC),
];

/// Name of the row for the load while nobody traces.
pub(crate) const UNTRACED: &str = "untraced";
/// The empty program: what being on the hook costs.
pub(crate) const EMPTY: &str = "empty";
/// The reference: the same facts as tracer's, copied by hand-written C.
pub(crate) const REFERENCE: &str = "reference";
/// A tool of the same purpose, from libbpf-tools.
pub(crate) const TCPSTATES: &str = "tcpstates";
/// A script of the same purpose.
pub(crate) const BPFTRACE: &str = "bpftrace";

/// Whether the contestant of that name is tracer itself.
pub(crate) fn is_tracer(name: &str) -> bool {
    CONTESTANTS.iter().any(|contestant| contestant.name == name && contestant.is_tracer())
}

/// The contestants that are wanted and that this machine has. Prints which ones it lacks.
pub(crate) fn present(is_wanted: impl Fn(&Contestant) -> bool) -> impl Iterator<Item = &'static Contestant> {
    CONTESTANTS.iter().filter(move |contestant| is_wanted(contestant)).filter(|contestant| {
        let is_here = contestant.is_here();
        if !is_here {
            eprintln!("bench: {} is left out: it is not on the path", contestant.name);
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

    /// Starts it, with its output in a file in `scratch`, and waits until it is attached.
    pub(crate) fn start(&self, scratch: &Path) -> Result<Running> {
        self.run((self.kind.command)(self.arguments)?, scratch)
    }

    /// The same with another build of tracer.
    pub(crate) fn start_build(&self, program: &Path, scratch: &Path) -> Result<Running> {
        self.run(tracer::command(program, self.arguments), scratch)
    }
}
