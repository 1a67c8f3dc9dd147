//! The options of `tracer recording`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cli::{FilterArgs, ReportKind, SpanArgs, Zone};

pub(super) const EXAMPLES: &str = "\
Examples:
  tracer recording info host.rec       host, kernel, span, filter, events, losses, size by kind
  tracer recording info -o json *.rec | jq '[.host, .from, .events]'
                                       for programs, an object per recording
  tracer recording verify host.rec     is it whole? exit status 3 on damage
  tracer recording cut host.rec --since 14:05 --until 14:10 --to incident.rec
                                       five minutes of it
  tracer recording merge host.rec.* --to host.rec
                                       parts become one
  tracer recording anonymize incident.rec --key secret --to public.rec
                                       to give it away";

const VERIFY: &str = "\
Examples:
  tracer recording verify host.rec.*   each part
  tracer recording verify -o json host.rec | jq .damage

A recording that is still being written is no damage, and neither is one whose writer was killed: it ends with its
last whole block.

Exit status: 0 nothing is missing; 1 a file cannot be read, or is no recording; 2 wrong usage; 3 damage.";

const CUT: &str = "\
Examples:
  tracer recording cut host.rec --since -5m --to last.rec
                                       the last five minutes
  tracer recording cut host.rec --since 2026-01-31T14:05:00Z --until 2026-01-31T14:10:00Z --to incident.rec
  tracer recording cut host.rec --port 5432 --to postgres.rec
                                       nothing of other connections is in it

It stands alone: owners, reasons and times in states are the same as in the whole. It has no counters of the kernel to
compare with.";

const MERGE: &str = "\
Examples:
  tracer recording merge host.rec.* --to host.rec
  tracer recording merge host.rec-20260131T140500Z-signal.* --to - | ssh elsewhere tracer life --from -";

const ANONYMIZE: &str = "\
Examples:
  head -c 32 /dev/urandom > secret     the key: keep it, or throw it away
  tracer recording anonymize host.rec --key secret --to public.rec

Addresses keep the prefixes that they have in common with others. Names of hosts, processes, cgroups, namespaces and
devices, and command lines, become pseudonyms, which are the same in all copies with the same key. Ports, times, ids
of processes and users, and the kernel's release stay.";

/// What to do with recordings.
#[derive(Debug, Subcommand)]
pub enum RecordingCommand {
    /// What is in it? Host, kernel, span, filter, events, losses, damage, size by kind
    #[command(after_help = EXAMPLES)]
    Info(SurveyArgs),
    /// Is it whole? Exit status 3 on damage
    #[command(after_help = VERIFY)]
    Verify(SurveyArgs),
    /// A part of it: by time, by filters
    #[command(after_help = CUT)]
    Cut(Box<CutArgs>),
    /// Parts of a recording, as one
    #[command(after_help = MERGE)]
    Merge(MergeArgs),
    /// A copy with pseudonyms in the places of names and addresses
    #[command(after_help = ANONYMIZE)]
    Anonymize(AnonymizeArgs),
}

/// Options of `recording cut`.
#[derive(Args, Clone, Debug)]
#[command(
    mut_arg("pid", |arg| arg.hide(true)),
    mut_arg("comm", |arg| arg.hide(true)),
    mut_arg("uid", |arg| arg.hide(true)),
    mut_arg("cgroup", |arg| arg.hide(true)),
    mut_arg("container", |arg| arg.hide(true)),
    mut_arg("pod", |arg| arg.hide(true)),
    mut_arg("k8s_namespace", |arg| arg.hide(true)),
    mut_arg("unit", |arg| arg.hide(true)),
    mut_arg("state", |arg| arg.hide(true)),
    mut_arg("transition", |arg| arg.hide(true)),
    mut_arg("reason", |arg| arg.hide(true)),
)]
pub struct CutArgs {
    /// The recording, a file: it is read twice
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The copy, a new file; `-` is standard output
    #[arg(long, value_name = "OUT")]
    pub to: PathBuf,
    /// Between which moments.
    #[command(flatten)]
    pub span: SpanArgs,
    /// Filters.
    #[command(flatten)]
    pub filter: FilterArgs,
}

/// Options of `recording merge`.
#[derive(Args, Clone, Debug)]
pub struct MergeArgs {
    /// The parts, in any order
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// The copy, a new file; `-` is standard output
    #[arg(long, value_name = "OUT")]
    pub to: PathBuf,
}

/// Options of `recording anonymize`.
#[derive(Args, Clone, Debug)]
pub struct AnonymizeArgs {
    /// The recording; `-` is standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The copy, a new file; `-` is standard output
    #[arg(long, value_name = "OUT")]
    pub to: PathBuf,
    /// A file with a secret of at least 16 bytes, which pseudonyms are made with
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
}

/// Options of `recording info` and `recording verify`.
#[derive(Args, Clone, Debug)]
pub struct SurveyArgs {
    /// Recordings; `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Format
    #[arg(short, long, value_enum, default_value_t = ReportKind::Text, value_name = "FORMAT")]
    pub output: ReportKind,
    /// How text shows times; JSON always has RFC 3339 UTC
    #[arg(long, value_enum, default_value_t = Zone::Local, value_name = "FORMAT")]
    pub time: Zone,
}
