//! The configuration of `tracer recording`.

use std::{
    path::{Path, PathBuf},
    slice,
};

use jiff::tz::TimeZone;

use crate::{
    cli::{
        ReportKind, SpanArgs, SurveyArgs,
        recording::{AnonymizeArgs, CutArgs, MergeArgs, RecordingCommand},
    },
    config::{Error, filters::filters, time_zone},
    facts::names::FilterNames,
    filter::Filter,
    select::spec::{FilterSpec, Filters},
    time::{span::SpanSpec, zone},
};

/// What to do with recordings.
pub enum RecordingConfig {
    /// Look what is in them.
    Survey(SurveyConfig),
    /// Copy a part of one.
    Cut(CutConfig),
    /// Copy several as one.
    Merge {
        /// The recordings.
        paths: Vec<PathBuf>,
        /// The copy; `-` is standard output.
        to: PathBuf,
    },
    /// Copy one with pseudonyms.
    Anonymize {
        /// The recording; `-` is standard input.
        path: PathBuf,
        /// The copy; `-` is standard output.
        to: PathBuf,
        /// The file with the key.
        key: PathBuf,
    },
}

impl RecordingConfig {
    /// The files that are read.
    pub fn read(&self) -> impl Iterator<Item = &PathBuf> {
        let (paths, key) = match self {
            Self::Survey(SurveyConfig { paths, .. }) | Self::Merge { paths, .. } => (paths.as_slice(), None),
            Self::Cut(CutConfig { path, .. }) => (slice::from_ref(path), None),
            Self::Anonymize { path, key, .. } => (slice::from_ref(path), Some(key)),
        };
        paths.iter().chain(key)
    }

    /// The file that is written.
    #[must_use]
    pub const fn written(&self) -> Option<&PathBuf> {
        match self {
            Self::Survey(_) => None,
            Self::Cut(CutConfig { to, .. }) | Self::Merge { to, .. } | Self::Anonymize { to, .. } => Some(to),
        }
    }
}

/// Which part of a recording to copy.
pub struct CutConfig {
    /// The recording.
    pub path: PathBuf,
    /// The copy; `-` is standard output.
    pub to: PathBuf,
    /// Between which moments.
    pub span: SpanSpec,
    /// What passes.
    pub filter: Filter,
    /// Network namespaces that the filters name.
    pub names: FilterNames,
}

/// Which recordings to look at, and what to tell.
pub struct SurveyConfig {
    /// The recordings; `-` is standard input.
    pub paths: Vec<PathBuf>,
    /// Only whether they are whole; damage is told by the exit status, too.
    pub verifies: bool,
    /// The time zone of text; `None`: JSON.
    pub zone: Option<TimeZone>,
}

/// Builds the configuration of `tracer recording`.
///
/// # Errors
/// A filter is about stories.
pub fn recording(command: RecordingCommand) -> Result<RecordingConfig, Error> {
    Ok(match command {
        RecordingCommand::Info(args) => RecordingConfig::Survey(survey(args, false)),
        RecordingCommand::Verify(args) => RecordingConfig::Survey(survey(args, true)),
        RecordingCommand::Cut(args) => RecordingConfig::Cut(cut(*args)?),
        RecordingCommand::Merge(MergeArgs { files: paths, to }) => RecordingConfig::Merge { paths, to },
        RecordingCommand::Anonymize(AnonymizeArgs { file: path, to, key }) => {
            RecordingConfig::Anonymize { path, to, key }
        }
    })
}

fn cut(args: CutArgs) -> Result<CutConfig, Error> {
    let CutArgs { file: path, to, span: SpanArgs { since, until }, filter } = args;
    if !filter.story.is_empty() {
        return Err(Error::WholeStories);
    }
    if path == Path::new("-") {
        return Err(Error::ReadTwice("cut"));
    }
    let FilterSpec { filters: Filters { constant: filter, .. }, names } = filters(filter, true)?;
    Ok(CutConfig { path, to, span: SpanSpec { since, until, zone: zone::local() }, filter, names })
}

fn survey(args: SurveyArgs, verifies: bool) -> SurveyConfig {
    let SurveyArgs { files: paths, output, time } = args;
    let zone = (output == ReportKind::Text).then(|| time_zone(time));
    SurveyConfig { paths, verifies, zone }
}
