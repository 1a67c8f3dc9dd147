//! The command line. `clap` appears only here and in `config`, which reads its result.
//!
//! # Layout
//! - here: the commands; `args`: groups of options that several commands share
//! - [`list`]: the options of `list`, which has flags of its own; [`export`]: those of `export`; [`report`]: those of `report`
//! - [`diff`]: those of `diff`
//! - [`record`]: those of `record`; [`recording`]: those of `recording`; [`serve`], [`otlp`]: those of `serve`
//! - `values`: the words for values that are defined elsewhere
//! - [`words`]: the filters that users type in `top`
//! - [`completions`]: completions for shells; `offers`: the values that they offer
//! - [`usage`]: errors in the command line; [`wrong_turns`]: advice for those written as for other tools

mod args;
pub mod completions;
pub mod diff;
pub mod export;
pub mod list;
mod offers;
pub mod otlp;
pub mod record;
pub mod recording;
pub mod report;
pub mod serve;
pub mod usage;
mod values;
pub mod words;
pub mod wrong_turns;

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{
    aggregate::{By, Rank},
    explain::texts::Language,
    tcp::limits::Limit,
    time::duration,
};

use args::FILTERS;
pub use args::{
    CaptureArgs, FilterArgs, FindingArgs, OutputArgs, RecordingArgs, SpanArgs, StoryFilterArgs, StuckArgs,
    When,
};
pub use diff::DiffArgs;
pub use export::{ExportArgs, ExportFormat};
pub use list::ListArgs;
pub use otlp::OtlpArgs;
pub use record::{RecordArgs, RecorderArgs};
pub use recording::SurveyArgs;
pub use report::ReportPageArgs;
pub use serve::ServeArgs;

const EXAMPLES: &str = "\
Examples:
  tracer                               every transition of every TCP socket of this host
  tracer --port 443                    those with port 443 at either end
  tracer -L 80,8000-8100 --addr 10.0.0.0/8
                                       those of local ports with an address in 10/8
  tracer --comm 'nginx*' --state CLOSE_WAIT
                                       nginx's connections entering or leaving CLOSE_WAIT
  tracer --port '!22' --comm '!kubelet,!node*'
                                       all but those
  tracer --netns pid:4711 -6           IPv6 in the network namespace of process 4711
  tracer -o json --duration 60s        a minute of it, for programs
  tracer --raw --columns time,comm,old_state,new_state
                                       exactly what the tracepoint said
  tracer --resets --retransmits        also a line for each of them, with why RSTs are sent
  tracer --stuck CLOSE_WAIT=60s        also a line for each connection that is stuck
  tracer --slow SYN_SENT=1s,LAST_ACK=5s
                                       transitions out of a state that took longer
  tracer --only-stuck --exit-on-stuck  waits for the first connection that is stuck
  tracer --only-stuck --group          a line for each process that has stuck connections
  tracer life --reason reset-remote    connections that the peer reset
  tracer summary --interval 10s        how many, how long, and who
  tracer top                           where is it stuck? full screen
  tracer list -tulpn                   which sockets are there now? as netstat and ss have it
  tracer --from host.rec --since 14:05 --until 14:10
                                       five minutes of a recording
  tracer explain CLOSE_WAIT            what is that, and what do I do?
  tracer check                         can it run here?

Exit status: 0 done, also after Ctrl-C, SIGTERM or a closed pipe; 1 could not do it; 2 wrong
usage; 3 with --strict, when the capture is incomplete; 4 with --exit-on-stuck, when a connection
is stuck, even if the capture is incomplete.";

const LIFE_EXAMPLES: &str = "\
Examples:
  tracer life                          a line for each connection that ends
  tracer life -D 5432                  those to PostgreSQL servers
  tracer life -o json | jq .reason     for programs; JSON has all that is known of each
  tracer life --reason timeout-retransmit,reset-remote
  tracer life --slow ESTABLISHED=1m    those that were established for longer than a minute";

const SUMMARY_EXAMPLES: &str = "\
Examples:
  tracer summary                       tables every ten seconds, and for the whole run at the end
  tracer summary --interval 60s --count 1
                                       one report on a minute
  tracer summary --by peer --rows 20 -D 443
                                       the peers that this host connects to most
  tracer summary --in-kernel           without any event leaving the kernel
  tracer summary -o json | jq .states  for programs, an object per report";

const TOP_EXAMPLES: &str = "\
Examples:
  tracer top                           all connections; ? lists the keys
  tracer top --port 5432               those with port 5432 at either end
  tracer top --by service              a row for each service
  tracer top --stuck CLOSE_WAIT=5s     with another limit for what counts as stuck
  tracer top --finding resets=100      with another threshold for a finding
  tracer top --from host.rec --since 14:05 --speed 10x
                                       a recording, ten times as fast: Space pauses and plays, . steps";

const EXPLAIN_EXAMPLES: &str = "\
Examples:
  tracer explain                       the list of words
  tracer explain CLOSE_WAIT            a state, in any tool's spelling: SYN-RECEIVED, ESTAB, 0A
  tracer explain ESTABLISHED:CLOSE_WAIT
                                       a transition
  tracer explain reset-remote          why a connection ended
  tracer explain accept-queue          a finding of top and summary
  tracer explain srtt_us               a column, by its name or its title; also of list -i and -r
  tracer explain close                 how a connection ends, seen from both ends; also open,
                                       simultaneous-close, half-open, reset, timeout
  tracer explain finding:close-wait    this meaning of a word that has several";

/// Shows every TCP state transition of this host, live: whose connection, how long in which state,
/// who closed first and why.
#[derive(Debug, Parser)]
#[command(name = "tracer", bin_name = "tracer", version, about, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// What to do; without it, the log.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The log's options.
    #[command(flatten)]
    pub log: LogArgs,
    /// Keep all system calls and files within reach, for debugging: see docs/sandbox.md
    #[arg(long, global = true)]
    pub no_sandbox: bool,
}

/// One verb per question.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// What is happening to connections right now? A line for each state transition (the default)
    #[command(after_help = EXAMPLES)]
    Log(Box<LogArgs>),
    /// What became of each connection? A line for each when it ends
    #[command(after_help = LIFE_EXAMPLES)]
    Life(Box<LifeArgs>),
    /// How many, how long, and who? Tables and distributions, at intervals and at the end
    #[command(after_help = SUMMARY_EXAMPLES)]
    Summary(Box<SummaryArgs>),
    /// Keep what happens, for later and for others: a recording, which every view takes with --from
    #[command(after_help = record::EXAMPLES)]
    Record(Box<RecordArgs>),
    /// What is in a recording, is it whole?
    #[command(subcommand, after_help = recording::EXAMPLES)]
    Recording(recording::RecordingCommand),
    /// Watch it for ever: metrics for Prometheus
    #[command(after_help = serve::EXAMPLES)]
    Serve(Box<ServeArgs>),
    /// Take it elsewhere: JSON Lines, CSV or Parquet, of recordings or of what happens now
    #[command(after_help = export::EXAMPLES)]
    Export(Box<ExportArgs>),
    /// What changed? Two recordings, or two spans of one, compared: by more than chance, and enough to matter
    #[command(after_help = diff::EXAMPLES)]
    Diff(Box<DiffArgs>),
    /// Show it to others: one HTML page about recordings, which says first what is wrong
    #[command(after_help = report::EXAMPLES)]
    Report(Box<ReportPageArgs>),
    /// Where is it stuck? A full-screen view
    #[command(after_help = TOP_EXAMPLES)]
    Top(Box<TopArgs>),
    /// Which sockets exist now, whose are they, how long in this state? Takes netstat's and ss's flags: -tulpn
    #[command(after_help = list::EXAMPLES)]
    List(Box<ListArgs>),
    /// What does a word mean, and what do I do? States, transitions, reasons, findings, columns, the receipt
    #[command(after_help = EXPLAIN_EXAMPLES)]
    Explain(ExplainArgs),
    /// Can it run here, with which features?
    Check(CheckArgs),
    /// Completions for bash, zsh or fish
    #[command(after_help = completions::HELP)]
    Completions(CompletionsArgs),
}

/// Options of the log.
#[derive(Args, Clone, Debug)]
pub struct LogArgs {
    /// Filters.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Transitions out of a state that took longer than this, where that time is known: STATE=TIME, as with --stuck
    #[arg(long, value_name = "STATE=TIME", value_delimiter = ',', help_heading = FILTERS)]
    pub slow: Vec<Limit>,
    /// Output.
    #[command(flatten)]
    pub output: OutputArgs,
    /// Exactly what the tracepoint said: a line per hit, the task that was on the CPU
    #[arg(long, help_heading = "Output", conflicts_with_all = ["StoryFilterArgs", "slow", "StuckArgs"])]
    pub raw: bool,
    /// Also a line for each RST that is sent, with the kernel's reason, or received; RSTs that belong to no
    /// socket included
    #[arg(long, help_heading = "Output", conflicts_with_all = ["raw", "only_stuck"])]
    pub resets: bool,
    /// Also a line for each segment that is retransmitted
    #[arg(long, help_heading = "Output", conflicts_with_all = ["raw", "only_stuck"])]
    pub retransmits: bool,
    /// Stuck connections.
    #[command(flatten)]
    pub stuck: StuckArgs,
    /// Only the lines of stuck connections; without --stuck, its default holds
    #[arg(long, help_heading = "Stuck connections", conflicts_with = "raw")]
    pub only_stuck: bool,
    /// One line per process and state instead, about its oldest stuck connection, with how many there are; again
    /// when there are twice as many
    #[arg(long, help_heading = "Stuck connections", requires = "only_stuck")]
    pub group: bool,
    /// End with status 4, for scripts, at the first stuck connection, whose line is the last; for one that is
    /// older than tracer, the time counts from tracer's start. Without --stuck, its default holds
    #[arg(long, help_heading = "Stuck connections", conflicts_with = "raw")]
    pub exit_on_stuck: bool,
    /// Capture.
    #[command(flatten)]
    pub capture: CaptureArgs,
    /// Recordings.
    #[command(flatten)]
    pub recording: RecordingArgs,
}

/// Options of `life`.
#[derive(Args, Clone, Debug)]
pub struct LifeArgs {
    /// Filters.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Connections that spent longer than this in a state, where that time is known: STATE=TIME, such as
    /// ESTABLISHED=60s; CLOSE_WAIT=off, or `default`, as with the log's --stuck
    #[arg(long, value_name = "STATE=TIME", value_delimiter = ',', help_heading = FILTERS)]
    pub slow: Vec<Limit>,
    /// Output.
    #[command(flatten)]
    pub output: OutputArgs,
    /// Capture.
    #[command(flatten)]
    pub capture: CaptureArgs,
    /// Recordings.
    #[command(flatten)]
    pub recording: RecordingArgs,
}

/// Options of `summary`.
#[derive(Args, Clone, Debug)]
pub struct SummaryArgs {
    /// Filters.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// What is shown, and how.
    #[command(flatten)]
    pub report: ReportArgs,
    /// Stuck connections.
    #[command(flatten)]
    pub stuck: StuckArgs,
    /// Findings.
    #[command(flatten)]
    pub finding: FindingArgs,
    /// Capture.
    #[command(flatten)]
    pub capture: CaptureArgs,
    /// Recordings.
    #[command(flatten)]
    pub recording: RecordingArgs,
}

/// What a summary shows, and how.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Output")]
pub struct ReportArgs {
    /// Time between reports [default: 10s; with --duration and --count, as many equal parts of the duration]
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub interval: Option<Duration>,
    /// What connections are ranked by; several, separated by commas [default:
    /// service,peer,process,cgroup,netns]
    #[arg(long, value_enum, value_name = "WHAT", value_delimiter = ',')]
    pub by: Vec<By>,
    /// What each ranking is sorted by, the most first
    #[arg(long, value_enum, value_name = "COUNT", default_value_t, conflicts_with = "in_kernel")]
    pub rank: Rank,
    /// Rows of each ranking
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub rows: u16,
    /// Count in the kernel, so that no event leaves it: transitions and times in states, with --by service
    /// those, too. TIME_WAIT is not followed to its end
    #[arg(long, conflicts_with_all = ["StoryFilterArgs", "StuckArgs", "FindingArgs", "buffer", "hooks", "no_snapshot", "receipt", "from", "since", "until", "record"])]
    pub in_kernel: bool,
    /// Format of the reports
    #[arg(short, long, value_enum, default_value_t = ReportKind::Text, value_name = "FORMAT")]
    pub output: ReportKind,
    /// How text shows times; JSON always has RFC 3339 UTC
    #[arg(long, value_enum, default_value_t = Zone::Local, value_name = "FORMAT")]
    pub time: Zone,
    /// Colours in text; `auto` means on terminals, unless NO_COLOR is set
    #[arg(long, value_enum, default_value_t = When::Auto, value_name = "WHEN")]
    pub color: When,
    /// Stop after this many intervals, or after --duration if that is sooner
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
}

/// Formats of reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReportKind {
    /// For people.
    Text,
    /// An object per line.
    Json,
}

/// Time zones of reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Zone {
    /// This host's.
    Local,
    /// UTC.
    Utc,
}

/// Options of `top`.
#[derive(Args, Clone, Debug)]
pub struct TopArgs {
    /// Filters.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Stuck connections.
    #[command(flatten)]
    pub stuck: StuckArgs,
    /// Findings.
    #[command(flatten)]
    pub finding: FindingArgs,
    /// Begin with a row for each of these [default: pid as soon as there are more connections than rows]
    #[arg(long, value_enum, value_name = "WHAT", help_heading = "Output")]
    pub by: Option<By>,
    /// Time between two drawings of the screen
    #[arg(long, value_name = "TIME", default_value = "100ms", value_parser = duration::parse, help_heading = "Output")]
    pub refresh: Duration,
    /// When to use colours; `auto` means unless NO_COLOR is set
    #[arg(long, value_enum, default_value_t = When::Auto, value_name = "WHEN", help_heading = "Output")]
    pub color: When,
    /// Capture.
    #[command(flatten)]
    pub capture: CaptureArgs,
    /// Recordings.
    #[command(flatten)]
    pub recording: RecordingArgs,
}

/// Options of `explain`.
#[derive(Args, Clone, Debug)]
pub struct ExplainArgs {
    /// What to explain; without it, the list of words
    #[arg(value_name = "WORD")]
    pub word: Option<String>,
    /// Language [default: that of LC_ALL, LC_MESSAGES or LANG, else en]
    #[arg(long, value_name = "LANGUAGE")]
    pub lang: Option<Language>,
    /// When to use colours
    #[arg(long, value_enum, default_value_t = When::Auto, value_name = "WHEN")]
    pub color: When,
}

/// Options of `completions`.
#[derive(Args, Clone, Debug)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    pub shell: completions::Shell,
}

/// Options of `check`.
#[derive(Args, Clone, Debug)]
pub struct CheckArgs {
    /// Read the kernel's types from this file instead of /sys/kernel/btf/vmlinux
    #[arg(long, value_name = "PATH")]
    pub btf: Option<PathBuf>,
    /// When to use colours
    #[arg(long, value_enum, default_value_t = When::Auto, value_name = "WHEN")]
    pub color: When,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }
}
