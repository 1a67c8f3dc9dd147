//! The options of `export`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::{
    cli::{CaptureArgs, FilterArgs, SpanArgs, record::rotation},
    recording::parts::Rotation,
};

/// Examples.
pub(super) const EXAMPLES: &str = "\
Examples:
  tracer export host.rec --format parquet --to host.parquet
                                       a row for each state transition
  tracer export host.rec --life --format csv --to host.csv
                                       a row for each connection
  tracer export host.rec --since -1h --format parquet --to hour.parquet
                                       the last hour of it
  tracer export --format parquet --rotate 1h,512M --to /srv/tracer/
                                       what happens from now on, in files one after the other
  duckdb -c \"from 'host.parquet' select reason, count(*) group by all\"

A file appears under its name when it is whole. Those in a folder are called TIME-HOST.parquet, and sort
by time; each has an hour, unless --rotate says something else.";

/// Options of `export`.
#[derive(Args, Clone, Debug)]
pub struct ExportArgs {
    /// Recordings, or parts of one; without them, what happens from now on
    #[arg(value_name = "FILE", conflicts_with_all = ["buffer", "hooks", "no_snapshot", "btf"])]
    pub files: Vec<PathBuf>,
    /// The format
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: ExportFormat,
    /// Where it goes: a file, a folder that is there, or `-` for standard output
    #[arg(long, value_name = "PATH")]
    pub to: PathBuf,
    /// A row for each connection when it ends, instead of one for each transition
    #[arg(long)]
    pub life: bool,
    /// Columns, in order; `help` lists them [default: those of the log's JSON, or of life's, with time_ns and host]
    #[arg(long, value_name = "LIST")]
    pub columns: Option<String>,
    /// Begin a new file in the folder after so much or so long: 512M, 1h, or both, as 512M,1h [default: 1h]
    #[arg(long, value_name = "SIZE|TIME", value_parser = rotation)]
    pub rotate: Option<Rotation>,
    /// Filters.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Capture.
    #[command(flatten)]
    pub capture: CaptureArgs,
    /// The part of recordings.
    #[command(flatten)]
    pub span: SpanArgs,
}

/// Formats of exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// JSON Lines: an object per line.
    Jsonl,
    /// RFC 4180 with a header.
    Csv,
    /// Apache Parquet.
    Parquet,
}
