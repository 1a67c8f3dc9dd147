//! The options of `diff`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::{
    cli::{FilterArgs, SpanArgs, When, Zone},
    format::Kind,
    time::spec::TimeSpec,
};

/// Examples.
pub(super) const EXAMPLES: &str = "\
Examples:
  tracer diff before.rec after.rec     what a deploy has changed
  tracer diff before.rec after.rec --fail-on regressions
                                       for CI: exit status 5 if anything has become worse
  tracer diff host.rec --a-until 14:00 --b-since 14:10
                                       two spans of one recording
  tracer diff before.rec after.rec --since +1m --until +11m
                                       ten minutes of each, without the first
  tracer diff --a old/host.rec.* --b new/host.rec.* --port 5432
                                       parts, or recordings of several hosts, on each side
  tracer diff before.rec after.rec -o json | jq '.changes[0]'

A change is told if chance alone would show any such difference in one of a thousand comparisons at
most, and if it is large enough to matter. Shares, such as those of resets, are compared by Fisher's
exact test, durations by that of Gehan (Mann-Whitney, with connections that go on), rates by Welch's
t test; all with the variance that blocks of consecutive connections have, because trouble comes in
bursts; and corrected for many tests by Holm's method. Connections are compared by service (a
server's local port, a client's remote port), by process name and by container name.

Exit status: 0 compared; 1 could not do it; 2 wrong usage; 3 with --strict, when a recording is
incomplete; 5 with --fail-on, when that was found, even if a recording is incomplete.";

/// Options of `diff`.
#[derive(Args, Clone, Debug)]
pub struct DiffArgs {
    /// The recordings: before (A) and after (B); or one, with a span for each side. `-` is standard input
    #[arg(value_name = "FILE", num_args = 1..=2, required_unless_present_all = ["a", "b"], conflicts_with_all = ["a", "b"])]
    pub files: Vec<PathBuf>,
    /// Several recordings as side A: parts of one, or those of several hosts
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "b", help_heading = "Sides")]
    pub a: Vec<PathBuf>,
    /// Several recordings as side B
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "a", help_heading = "Sides")]
    pub b: Vec<PathBuf>,
    /// Side A begins at this moment of its recording, given as for --since
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, help_heading = "Sides")]
    pub a_since: Option<TimeSpec>,
    /// Side A ends at this moment
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, help_heading = "Sides")]
    pub a_until: Option<TimeSpec>,
    /// Side B begins at this moment of its recording
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, help_heading = "Sides")]
    pub b_since: Option<TimeSpec>,
    /// Side B ends at this moment
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, help_heading = "Sides")]
    pub b_until: Option<TimeSpec>,
    /// The part of both, where a side has none of its own.
    #[command(flatten)]
    pub span: SpanArgs,
    /// Filters, for both sides.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Format: tables, an object, or a row for each figure
    #[arg(short, long, value_enum, default_value_t = Kind::Text, value_name = "FORMAT", help_heading = "Output")]
    pub output: Kind,
    /// Groups of each kind whose figures are shown; changes are shown of all
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=2000), help_heading = "Output")]
    pub rows: u16,
    /// How text shows times; JSON always has RFC 3339 UTC
    #[arg(long, value_enum, default_value_t = Zone::Local, value_name = "FORMAT", help_heading = "Output")]
    pub time: Zone,
    /// Colours in text; `auto` means on terminals, unless NO_COLOR is set
    #[arg(long, value_enum, default_value_t = When::Auto, value_name = "WHEN", help_heading = "Output")]
    pub color: When,
    /// Exit with status 5 if there are any of these
    #[arg(long, value_enum, value_name = "WHAT")]
    pub fail_on: Option<FailOn>,
    /// Exit with status 3 if a recording is incomplete: events were lost, it is damaged, or it has no end
    #[arg(long)]
    pub strict: bool,
    /// Do not follow TIME_WAIT, and FIN_WAIT2 of orphans, to the end
    #[arg(long)]
    pub no_timewait: bool,
    /// More messages on standard error
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// What makes a comparison fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// Changes for the worse.
    Regressions,
}
