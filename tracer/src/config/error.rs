//! Errors in arguments that parse but are not valid.

use crate::output::{file, otlp::target, tls};

/// Why arguments that parse are not valid.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file with a token or with passwords.
    #[error("reading {0}: {1}")]
    Secrets(String, std::io::Error),
    /// There is nothing in it.
    #[error("{0} is empty: nobody could ask")]
    NoSecrets(String),
    /// Pages cannot be encrypted.
    #[error("--tls-cert, --tls-key: {0}")]
    Tls(#[from] tls::Error),
    /// Nothing can be sent there.
    #[error("--otlp: {0}")]
    Otlp(target::Error),
    /// A line of a file with headers is none.
    #[error("line {0} of {1} is no header: write `name: value`")]
    NoHeader(usize, String),
    /// There is no such column.
    #[error("unknown column `{0}`: `--columns help` lists them")]
    UnknownColumn(String),
    /// The list of columns is empty.
    #[error("--columns needs at least one column: `--columns help` lists them")]
    NoColumns,
    /// A column is named twice, which JSON objects do not allow.
    #[error("column `{0}` is named twice")]
    RepeatedColumn(&'static str),
    /// A column that has no value for a socket that is there now.
    #[error("column `{0}` has no value in `list`: `tracer list --columns help` lists those that have")]
    NotListed(&'static str),
    /// Programs get numbers.
    #[error("--names is for text: JSON and CSV have addresses and ports as numbers")]
    NamesInText,
    /// Sockets are sorted by one column.
    #[error("--sort takes one column")]
    OneColumn,
    /// Interfaces and routes have nothing that this option could be about.
    #[error("{0} is about sockets: leave it, or -i and -r, away")]
    OnlyOfSockets(&'static str),
    /// Counters of interfaces change all the time, and the kernel tells changes of routes as they happen.
    #[error("--watch is for sockets: type `{}` to see {} again and again, or `{}` for each change", .0.1, .0.0, .0.2)]
    NotWatched((&'static str, &'static str, &'static str)),
    /// `list` has states, and no transitions.
    #[error("list shows what is there now: choose a --state; transitions and reasons are in `tracer log`")]
    NotNow,
    /// The kernel program counts by port only, and `--by` asks for something else.
    #[error("in the kernel only ports are counted: --by service, or no --by; or leave --in-kernel away")]
    NotInKernel,
    /// `life` ends before TIME_WAIT does.
    #[error("in `life` a connection ends where TIME_WAIT begins: for times in TIME_WAIT use `tracer log`")]
    NoTimewait,
    /// The hooks for these events are disabled.
    #[error("--resets and --retransmits come from hooks that --hooks minimal leaves out")]
    NoHooks,
    /// `top` has no lines for transitions.
    #[error("top shows connections, and no transitions: choose a state, or use `tracer log`")]
    NoTransitions,
    /// A recording has whole stories.
    #[error(
        "a recording has whole stories: give filters on owners, cgroups, states and reasons when it is shown, with --from"
    )]
    WholeStories,
    /// Standard output is one.
    #[error("--rotate makes files, and standard output is none: give the name of a file")]
    NoParts,
    /// A ring that nothing would ever keep.
    #[error("--ring keeps nothing by itself: say when it does, with --on-stuck, --on-reason or --on-signal")]
    NoTrigger,
    /// What is kept is a part of a ring.
    #[error("--on-reason says when a ring is kept: give --ring, too")]
    NoRing,
    /// A file of options.
    #[error("--config {0}: {1}")]
    Options(String, String),
    /// Nobody would learn of it.
    #[error("--on-reason says when a ring is kept, and when there is an alert: give --ring or --alerts, too")]
    NoRingNorAlerts,
    /// Two things at one place.
    #[error("--alerts and --record - both write to standard output: give the recording a file")]
    TwiceStandardOutput,
    /// Options of a recording without one.
    #[error("{0} is about a recording: give one with --record FILE")]
    NotRecorded(&'static str),
    /// There is nothing that triggers could be about.
    #[error(
        "--raw has no stories, so nothing is stuck and nothing has a reason: leave it, or --on-stuck and --on-reason, away"
    )]
    NoStories,
    /// A part of a recording is found before it is copied; what is compared is counted before it is shown.
    #[error("{0} reads the recording twice, and a pipe can be read once: give a file")]
    ReadTwice(&'static str),
    /// What happens now has no other time.
    #[error("--since and --until are about a recording: give one with --from")]
    NothingRecorded,
    /// A moment counts from the end of something that is still being written or read.
    #[error(
        "a time before the end, such as -5m, needs a file: standard input and --follow have no end yet; give a time of day, or +5m after the beginning"
    )]
    NoEndYet,
    /// Only TCP is followed.
    #[error("a recording has TCP sockets, and no {0}")]
    NotInRecording(&'static str),
    /// There is nothing to compare with.
    #[error(
        "give two recordings to compare, as in `tracer diff before.rec after.rec`, or one with --a-until and --b-since"
    )]
    NoOtherSide,
    /// Standard input can be read once.
    #[error("standard input can be read once: give a file for the other side")]
    InputTwice,
    /// There is no such user.
    #[error("no user `{0}`: give a name that this host knows, or a number")]
    User(String),
    /// The receipt's file cannot be written.
    #[error("cannot write the receipt to {0}")]
    Receipt(#[from] file::Error),
}
