//! The options of `report`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::{FilterArgs, FindingArgs, SpanArgs, StuckArgs};

/// Examples.
pub(super) const EXAMPLES: &str = "\
Examples:
  tracer report host.rec               writes report.html: open it in a browser, or mail it
  tracer report host.rec --to incident.html --since 14:05 --until 14:10
                                       five minutes of it
  tracer report host.rec --port 5432 --to - > postgres.html
                                       only connections with this port
  tracer report after.rec --against before.rec
                                       also what a deploy has changed: see tracer diff
  ssh host sudo tracer record --duration 60s - | tracer report - --to host.html
                                       a minute of another host
  tracer report host.rec --finding resets=100,half-open=off
                                       with other thresholds for what is wrong

The page is one file. It loads nothing, and works without a network; names in it are those of the
recording: see tracer recording anonymize. It appears under its name when it is whole.";

/// Options of `report`.
#[derive(Args, Clone, Debug)]
pub struct ReportPageArgs {
    /// Recordings of one host, or parts of one; `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Compare with this recording, one from before, as `tracer diff` does: what has changed comes first. Give it again
    /// for further parts of it
    #[arg(long, value_name = "OTHER")]
    pub against: Vec<PathBuf>,
    /// Where the page goes: a file, which is replaced if it is there, or `-` for standard output
    #[arg(long, value_name = "PATH", default_value = "report.html", help_heading = "Output")]
    pub to: PathBuf,
    /// Filters.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Stuck connections.
    #[command(flatten)]
    pub stuck: StuckArgs,
    /// Findings.
    #[command(flatten)]
    pub finding: FindingArgs,
    /// The part of recordings.
    #[command(flatten)]
    pub span: SpanArgs,
    /// Exit with status 3 if something is missing from the recording
    #[arg(long, help_heading = "Capture")]
    pub strict: bool,
    /// Write the receipt to this file too, as JSON
    #[arg(long, value_name = "FILE", help_heading = "Capture")]
    pub receipt: Option<PathBuf>,
    /// More messages on standard error
    #[arg(short, long, action = clap::ArgAction::Count, help_heading = "Capture")]
    pub verbose: u8,
}
