//! The configuration of `tracer export`.

use std::{path::PathBuf, time::Duration};

use crate::{
    cli::{ExportArgs, ExportFormat, RecordingArgs},
    config::{Error, Lined, RunConfig, ShownHosts, configured, lines::chosen_columns, of_hosts},
    format::{
        Kind, Plan,
        columns::DefaultIn,
        lines::Lines,
        text::{TextStyle, TimeFormat},
    },
    output::files::{Rolling, is_folder},
    recording::parts::Rotation,
    view::{
        View,
        life::Life,
        log::{Incidents, Log},
    },
};

/// How long a file in a folder is, unless the user says something else.
const HOUR: Duration = Duration::from_secs(3600);

/// Where an export goes.
#[derive(Clone, Debug)]
pub struct ExportConfig {
    /// A file, or a folder that is there; `-` is standard output.
    pub to: PathBuf,
    /// What names of files in a folder end with.
    pub suffix: &'static str,
    /// When a file in a folder ends and the next one begins.
    pub rolling: Option<Rolling>,
}

/// Builds the configuration of `tracer export`.
pub fn export(args: ExportArgs) -> Result<RunConfig, Error> {
    // What is written as a whole cannot be put together, and files have the name of their host.
    if matches!(args.format, ExportFormat::Parquet) || is_folder(&args.to) {
        return export_of(args, ShownHosts::One);
    }
    of_hosts(args, export_of)
}

/// Rows always say which host they are about.
fn export_of(args: ExportArgs, _: ShownHosts) -> Result<RunConfig, Error> {
    let ExportArgs { files, format, to, life, columns, rotate, filter, capture, span } = args;
    // Both kinds of rows may be in one folder.
    let (kind, suffixes) = match format {
        ExportFormat::Jsonl => (Kind::Json, ["jsonl", "life.jsonl"]),
        ExportFormat::Csv => (Kind::Csv, ["csv", "life.csv"]),
        ExportFormat::Parquet => (Kind::Parquet, ["parquet", "life.parquet"]),
    };
    let suffix = suffixes[usize::from(life)];
    let default_in = if life { DefaultIn::LIFE_DATA } else { DefaultIn::LOG_DATA };
    let default_in = default_in.and(DefaultIn::EXPORT_DATA);
    let lines = Lines::new(Plan {
        kind,
        columns: columns.as_deref().map(chosen_columns).transpose()?,
        default_in: (default_in, default_in),
        style: TextStyle { time: TimeFormat::Utc, colour: false, precise: false },
    });
    let view: Box<dyn View> =
        if life { Box::new(Life::new(lines)) } else { Box::new(Log::new(lines, Incidents::default(), None)) };
    let recording = RecordingArgs { from: files, span, ..RecordingArgs::default() };
    let mut config = configured(view, filter, capture, recording, Lined::none(false))?;
    let rolling = rotate.map(|Rotation { bytes, time, .. }| Rolling { bytes, time });
    let rolling = rolling.or(is_folder(&to).then_some(Rolling { bytes: None, time: Some(HOUR) }));
    config.export = Some(ExportConfig { to, suffix, rolling });
    Ok(config)
}
