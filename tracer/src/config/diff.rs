//! The configuration of `tracer diff`.

use std::{
    path::{Path, PathBuf},
    sync::mpsc::Sender,
};

use crate::{
    aggregate::diff::report::DiffReport,
    cli::{CaptureArgs, DiffArgs, FilterArgs, RecordingArgs, SpanArgs, diff::FailOn},
    config::{Config, Error, Lined, configured, time_zone, use_colour},
    format::Kind,
    source::open::SourceOptions,
    text::charset::{self, Recoding},
    view::diff::{CountedSide, DiffCounter, text::DiffStyle},
};

/// The configuration of a comparison.
pub struct CompareConfig {
    /// Before and after.
    pub sides: [SideOfDiff; 2],
    /// How it is written.
    pub format: DiffFormat,
    /// Groups of each kind whose figures are shown.
    pub rows: usize,
    /// A regression is a failure.
    pub fails_on_regressions: bool,
    /// An incomplete recording is a failure.
    pub strict: bool,
}

/// How a comparison is written.
#[derive(Clone, Debug)]
pub enum DiffFormat {
    /// Tables, and how text is changed for the user's locale.
    Text(DiffStyle, Option<Recoding>),
    /// An object.
    Json,
    /// A row for each figure.
    Csv,
}

/// Groups of each kind whose figures a report has: as many as `tracer diff` shows by default.
pub(super) const AGAINST_ROWS: usize = 10;

/// What a report is compared with.
pub struct AgainstConfig {
    /// Before and after; after is what the report is about.
    pub sides: [SideOfDiff; 2],
    /// Groups of each kind whose figures are shown.
    pub rows: usize,
    /// Where the comparison goes, before the report begins.
    pub to: Sender<DiffReport>,
}

/// One side of a comparison.
pub struct SideOfDiff {
    /// What messages call it.
    pub name: &'static str,
    /// Its receipt is told. That of what is shown afterwards is told then.
    pub has_receipt: bool,
    /// Its recordings.
    pub paths: Vec<PathBuf>,
    /// The same as a source.
    pub source: SourceOptions,
    /// Makes the capture of each of its hosts.
    pub capture: CaptureOfSide,
}

/// Makes a capture that counts, and says where the counts go.
pub type CaptureOfSide = Box<dyn Fn(Sender<CountedSide>) -> Result<Config, Error>>;

/// Builds the configuration of `tracer diff`.
pub fn diff(args: &DiffArgs) -> Result<CompareConfig, Error> {
    let DiffArgs { files, a, b, a_since, a_until, b_since, b_until, span, .. } = args;
    let [of_a, of_b] = [(a_since, a_until), (b_since, b_until)]
        .map(|(since, until)| SpanArgs { since: since.or(span.since), until: until.or(span.until) });
    let (paths_a, paths_b) = match &files[..] {
        [] => (a.clone(), b.clone()),
        [_] if a_since.or(*a_until).or(*b_since).or(*b_until).is_none() => return Err(Error::NoOtherSide),
        [file] => (vec![file.clone()], vec![file.clone()]),
        [one, other, ..] => (vec![one.clone()], vec![other.clone()]),
    };
    let standard_inputs = paths_a.iter().chain(&paths_b).filter(|path| *path == Path::new("-"));
    if standard_inputs.count() > 1 {
        return Err(Error::InputTwice);
    }
    let side = |name, paths, span| {
        let DiffArgs { no_timewait, strict, verbose, .. } = *args;
        let capture = CaptureArgs { no_timewait, strict, verbose, ..CaptureArgs::default() };
        side_of_diff(name, paths, span, (args.filter.clone(), capture))
    };
    Ok(CompareConfig {
        format: match args.output {
            Kind::Json => DiffFormat::Json,
            Kind::Csv => DiffFormat::Csv,
            Kind::Text | Kind::Parquet => DiffFormat::Text(
                DiffStyle { zone: time_zone(args.time), colour: use_colour(args.color) },
                charset::recoding(),
            ),
        },
        rows: args.rows.into(),
        fails_on_regressions: args.fail_on == Some(FailOn::Regressions),
        strict: args.strict,
        sides: [side("A", paths_a, of_a)?, side("B", paths_b, of_b)?],
    })
}

/// Recordings as a side of a comparison.
pub(super) fn side_of_diff(
    name: &'static str,
    paths: Vec<PathBuf>,
    span: SpanArgs,
    (filter, capture): (FilterArgs, CaptureArgs),
) -> Result<SideOfDiff, Error> {
    let recording = RecordingArgs { from: paths.clone(), span, ..RecordingArgs::default() };
    let configured = move |to| {
        let view = Box::new(DiffCounter::new(to));
        configured(view, filter.clone(), capture.clone(), recording.clone(), Lined::none(true))
    };
    // What is wrong is said at once.
    let source = configured(std::sync::mpsc::channel().0)?.source;
    Ok(SideOfDiff {
        name,
        has_receipt: true,
        paths,
        source,
        capture: Box::new(move |to| Ok(configured(to)?.capture)),
    })
}
