//! The configuration: checked and resolved arguments. Code behind it never sees the command line.
//!
//! # Layout
//! - here: the configuration of each command
//! - `diff`: that of `diff`
//! - `record`: that of `record`; `recording`: that of `recording`; `report`: that of `report`; `serve`, `otlp`: that of
//!   `serve`
//! - `filters`, `lines`, `reports`: the parts that several commands share

mod again;
mod diff;
mod error;
mod export;
mod filters;
mod lines;
mod list;
mod network;
mod otlp;
mod record;
mod recording;
mod report;
mod reports;
mod serve;

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use jiff::tz::TimeZone;
use rustix::termios::tcgetwinsize;
use tracer_common::state;

use crate::{
    aggregate::{
        By,
        findings::{Findings, Thresholds},
    },
    cli::{
        CaptureArgs, CheckArgs, ExplainArgs, FilterArgs, FindingArgs, LifeArgs, LogArgs, OutputArgs,
        RecordingArgs, SpanArgs, StuckArgs, SummaryArgs, TopArgs, Zone, words,
    },
    config::{filters::filters, lines::plan, reports::reports},
    explain::{screen::Look, texts::Language},
    facts::hooks::REQUEST_HOOK,
    format::{Kind, columns::DefaultIn, lines::Lines},
    output::{file::Destination, stderr::message},
    recording::parts::Rotation,
    select::{
        slow::Slow,
        spec::{FilterSpec, Filters},
    },
    source::{
        kernel::{aggregate::AggregateOptions, live, load, optional::Hooks},
        open::SourceOptions,
        replay::ReplayOptions,
    },
    tcp::{
        limits::{Limit, Limits},
        state::State,
    },
    text::charset::{self, Recoding},
    time::{
        span::{SpanSpec, TimeSpan},
        zone,
    },
    view::{
        Needs, View,
        life::Life,
        log::{Incidents, Log, Watch},
        raw::Raw,
        summary::{Summary, SummaryOptions},
        top::{Top, TopOptions, model::TypedFilter},
    },
};

pub use again::{Reload, ReloadedConfig};
pub use diff::{AgainstConfig, CaptureOfSide, CompareConfig, DiffFormat, SideOfDiff, diff};
pub use error::Error;
pub use export::{ExportConfig, export};
use lines::use_colour;
pub use list::{ListConfig, RecordedList, SocketsConfig, list};
pub use network::{NetworkConfig, NetworkList};
pub use otlp::OtlpConfig;
pub use record::record;
pub use recording::{CutConfig, RecordingConfig, SurveyConfig, recording};
pub use report::report;
pub use serve::{ServeConfig, serve};

/// The widest lines that read well, also where there is no terminal.
const READABLE: usize = 80;

/// The narrowest lines that text is wrapped to.
const NARROWEST: usize = 40;

/// The configuration of a capture.
pub struct Config {
    /// The view that shows the events.
    pub view: Box<dyn View>,
    /// The filters. The source resolves the names in them.
    pub filters: FilterSpec,
    /// Track timewait sockets until they end.
    pub follows_timewait: bool,
    /// Stop after this time.
    pub duration: Option<Duration>,
    /// Stop after this number of lines.
    pub count: Option<u64>,
    /// What part of a recording is shown.
    pub span: ShownSpan,
    /// The host that messages are about, escaped, if there are several.
    pub host: Option<String>,
    /// Reads options again while it runs.
    pub reload: Option<Reload>,
    /// An incomplete capture is a failure (`--strict`).
    pub strict: bool,
    /// The file for the receipt, which is also written to standard error.
    pub receipt: Option<Destination>,
}

/// What part of a recording is shown.
#[derive(Clone, Debug)]
pub enum ShownSpan {
    /// It is known.
    Known(TimeSpan),
    /// Files tell it before they are shown.
    OfFiles(SpanSpec),
    /// A stream tells it when it begins.
    OfStream(SpanSpec),
}

/// A capture, and where its facts come from.
pub struct RunConfig {
    /// The capture.
    pub capture: Config,
    /// The source of the facts.
    pub source: SourceOptions,
    /// Hooks that a kernel may lack, each with the option that needs it.
    pub hooks: Vec<(&'static str, &'static [&'static str])>,
    /// How text is changed for the user's locale.
    pub recoding: Option<Recoding>,
    /// Where the facts are recorded.
    pub record: Option<RecordConfig>,
    /// Where lines go instead of standard output.
    pub export: Option<ExportConfig>,
    /// The same capture for each of several hosts, whose recordings are shown together; `None` if they cannot be.
    pub of_several: Option<CaptureOfSeveral>,
    /// What it is compared with.
    pub against: Option<AgainstConfig>,
    /// Where metrics are served.
    pub serve: Option<ServeConfig>,
}

/// Makes the captures of several hosts, whose lines say which one they are about.
pub type CaptureOfSeveral = Box<dyn Fn() -> Result<Config, Error>>;

/// Whether what is shown is about one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ShownHosts {
    One,
    /// Lines say which one they are about.
    Several,
}

impl ShownHosts {
    /// The outputs whose default columns apply.
    fn columns(self, default_in: (DefaultIn, DefaultIn)) -> (DefaultIn, DefaultIn) {
        match self {
            Self::One => default_in,
            Self::Several => (default_in.0.and(DefaultIn::HOSTS), default_in.1.and(DefaultIn::HOSTS)),
        }
    }
}

/// A configuration that can also be made for several hosts.
fn of_hosts<A: Clone + 'static>(
    args: A,
    build: fn(A, ShownHosts) -> Result<RunConfig, Error>,
) -> Result<RunConfig, Error> {
    let mut config = build(args.clone(), ShownHosts::One)?;
    config.of_several = Some(Box::new(move || Ok(build(args.clone(), ShownHosts::Several)?.capture)));
    Ok(config)
}

/// Where facts are recorded.
#[derive(Clone, Debug)]
pub struct RecordConfig {
    /// The file; `-` is standard output.
    pub path: PathBuf,
    /// Whether there are several, and which.
    pub rotation: Option<Rotation>,
    /// SIGUSR1 keeps the last parts.
    pub heeds_signal: bool,
    /// If it cannot be written, all else goes on.
    pub may_fail: bool,
}

/// The time zone of times of day.
fn time_zone(zone: Zone) -> TimeZone {
    match zone {
        Zone::Local => zone::local(),
        Zone::Utc => TimeZone::UTC,
    }
}

/// Builds the configuration of `tracer log`.
pub fn log(args: LogArgs) -> Result<RunConfig, Error> {
    of_hosts(args, log_of)
}

fn log_of(args: LogArgs, hosts: ShownHosts) -> Result<RunConfig, Error> {
    let watch = watch(&args);
    let LogArgs { filter, slow, output, raw, resets, retransmits, group, capture, recording, .. } = args;
    let incidents = Incidents { resets, retransmits };
    if incidents.any() && capture.hooks == Hooks::Minimal {
        return Err(Error::NoHooks);
    }
    let view: Box<dyn View> = if raw {
        let default_in = hosts.columns((DefaultIn::RAW_TEXT, DefaultIn::RAW_DATA));
        Box::new(Raw::new(Lines::new(plan(default_in, true, &output)?)))
    } else {
        let default_in = match (group, incidents.any() || watch.is_some()) {
            (true, _) => (DefaultIn::GROUP_TEXT, DefaultIn::GROUP_DATA),
            (_, true) => (DefaultIn::LOG_TEXT, DefaultIn::LOG_DATA.and(DefaultIn::EVENT_DATA)),
            _ => (DefaultIn::LOG_TEXT, DefaultIn::LOG_DATA),
        };
        Box::new(Log::new(Lines::new(plan(hosts.columns(default_in), false, &output)?), incidents, watch))
    };
    configured(view, filter, capture, recording, Lined::of(&output, &slow, false))
}

/// Builds the configuration of `tracer life`.
pub fn life(args: LifeArgs) -> Result<RunConfig, Error> {
    of_hosts(args, life_of)
}

fn life_of(args: LifeArgs, hosts: ShownHosts) -> Result<RunConfig, Error> {
    let LifeArgs { filter, slow, output, capture, recording } = args;
    let lined = Lined::of(&output, &slow, true);
    if lined.slow.as_ref().is_some_and(|slow| slow.limits.of(state::TIME_WAIT).is_some()) {
        return Err(Error::NoTimewait);
    }
    let default_in = hosts.columns((DefaultIn::LIFE_TEXT, DefaultIn::LIFE_DATA));
    let lines = Lines::new(plan(default_in, false, &output)?);
    configured(Box::new(Life::new(lines)), filter, capture, recording, lined)
}

/// Builds the configuration of `tracer summary`.
pub fn summary(args: SummaryArgs) -> Result<RunConfig, Error> {
    of_hosts(args, summary_of)
}

fn summary_of(args: SummaryArgs, hosts: ShownHosts) -> Result<RunConfig, Error> {
    let SummaryArgs { filter, report, stuck, finding, capture, recording } = args;
    let reports = SummaryOptions {
        findings: Some(Findings::new(limits(&stuck), thresholds(&finding))),
        names_host: hosts == ShownHosts::Several,
        ..reports(&report, capture.duration)
    };
    let lined = Lined::none(reports.text.is_some());
    configured(Box::new(Summary::new(&reports)), filter, capture, recording, lined)
}

/// The configuration of `tracer summary --in-kernel`.
pub struct InKernelConfig {
    /// The options for the kernel program.
    pub kernel: AggregateOptions,
    /// The schedule and the style of the reports.
    pub reports: SummaryOptions,
    /// Stop after this time.
    pub duration: Option<Duration>,
    /// An incomplete capture is a failure (`--strict`).
    pub strict: bool,
}

/// Builds the configuration of `tracer summary --in-kernel`.
pub fn in_kernel(args: SummaryArgs) -> Result<InKernelConfig, Error> {
    let SummaryArgs { filter, report, capture, .. } = args;
    if report.by.iter().any(|by| *by != By::Service) {
        return Err(Error::NotInKernel);
    }
    let FilterSpec { filters: Filters { constant, .. }, names } = filters(filter, true)?;
    Ok(InKernelConfig {
        kernel: AggregateOptions::new(constant, names, !report.by.is_empty(), capture.btf),
        reports: reports(&report, capture.duration),
        duration: capture.duration,
        strict: capture.strict,
    })
}

/// The configuration of `tracer check`.
pub struct CheckOptions {
    /// Read the kernel's types from this file.
    pub btf: Option<PathBuf>,
    /// Use colours.
    pub colour: bool,
}

/// Builds the configuration of `tracer check`.
#[must_use]
pub fn check(args: CheckArgs) -> CheckOptions {
    CheckOptions { btf: args.btf, colour: use_colour(args.color) }
}

/// Builds what `tracer explain` needs: the language and the look of the screen.
#[must_use]
pub fn explain(args: &ExplainArgs) -> (Language, Look) {
    let language = args.lang.unwrap_or_else(of_locale);
    let columns = tcgetwinsize(io::stdout()).map_or(0, |size| usize::from(size.ws_col));
    let width = if columns == 0 { READABLE } else { columns.clamp(NARROWEST, READABLE) };
    (language, Look { width, colour: use_colour(args.color) })
}

/// The language of the user's locale (setlocale(3)).
fn of_locale() -> Language {
    let locale = ["LC_ALL", "LC_MESSAGES", "LANG"].map(|name| env::var(name).unwrap_or_default());
    Language::of_locale(locale.iter().map(String::as_str))
}

/// Builds the configuration of `tracer top`.
pub fn top(args: TopArgs) -> Result<RunConfig, Error> {
    top_in(args, zone::local())
}

/// The same, with times of day in this zone.
pub fn top_in(args: TopArgs, zone: TimeZone) -> Result<RunConfig, Error> {
    let TopArgs { mut filter, stuck, finding, by, refresh, color, capture, recording } = args;
    let limits = limits(&stuck);
    let words = words::take_line_filters(&mut filter);
    if !filter.story.transition.is_empty() {
        return Err(Error::NoTransitions);
    }
    let words = TypedFilter { parse: typed, is_prefix_of_option: words::is_prefix_of_option, typed: words };
    let options = TopOptions {
        limits,
        thresholds: thresholds(&finding),
        by,
        refresh,
        colour: use_colour(color),
        zone,
        words,
        language: of_locale(),
    };
    configured(Box::new(Top::new(options)), filter, capture, recording, Lined::none(true))
}

/// Parses a filter that the user types.
fn typed(words: &str) -> Result<FilterSpec, String> {
    let args = words::parse(words)?;
    if !args.story.transition.is_empty() {
        return Err(Error::NoTransitions.to_string());
    }
    filters(args, true).map_err(|error| error.to_string())
}

/// What views with lines have, and others do not.
struct Lined {
    /// Stop after this number of lines.
    count: Option<u64>,
    /// The filter on the time in states.
    slow: Option<Slow>,
    /// Whether the output is text.
    is_text: bool,
}

impl Lined {
    /// `whole`: each line is about a whole connection.
    fn of(output: &OutputArgs, slow: &[Limit], whole: bool) -> Self {
        let mut limits = Limits::default();
        limits.set(slow);
        let slow = (!limits.is_empty()).then_some(Slow { limits, whole });
        Self { count: output.count, slow, is_text: output.output == Kind::Text }
    }

    fn none(is_text: bool) -> Self {
        Self { count: None, slow: None, is_text }
    }
}

fn configured(
    view: Box<dyn View>,
    filter: FilterArgs,
    capture: CaptureArgs,
    recording: RecordingArgs,
    lined: Lined,
) -> Result<RunConfig, Error> {
    if let Some(buffer) = capture.buffer.as_ref().filter(|buffer| buffer.is_rounded) {
        let (size, events) = (buffer.size, buffer.size.events());
        message(format_args!("buffer of {} rounded up to {size}, room for {events} events", buffer.asked));
    }
    let Needs { stories, screen, refreshes, gauges, stray_resets, mut hooks, .. } = view.needs();
    let Lined { count, slow, is_text } = lined;
    let mut filters = filters(filter, stories)?;
    filters.filters.story.slow = slow;
    let Filters { constant, story } = &filters.filters;
    if story.states.wanted().contains(&State::from_kernel(state::NEW_SYN_RECV).into()) {
        hooks.push(("--state NEW_SYN_RECV", &[REQUEST_HOOK]));
    }
    if story.slow.as_ref().is_some_and(|slow| slow.limits.of(state::NEW_SYN_RECV).is_some()) {
        hooks.push(("--slow NEW_SYN_RECV", &[REQUEST_HOOK]));
    }
    let follows_timewait = stories && !capture.no_timewait;
    let span = shown_span(&recording)?;
    Ok(RunConfig {
        hooks,
        recoding: if is_text { charset::recoding() } else { None },
        record: recording.record.map(|path| RecordConfig {
            path,
            rotation: None,
            heeds_signal: false,
            may_fail: false,
        }),
        export: None,
        of_several: None,
        against: None,
        serve: None,
        source: if recording.from.is_empty() {
            SourceOptions::Kernel(live::LiveOptions {
                load: load::LoadOptions {
                    buffer: capture.buffer.map(|buffer| buffer.size).unwrap_or_default(),
                    filter: constant.clone(),
                    asks_for_sockets: stories,
                    hooks: if stories { capture.hooks } else { Hooks::Minimal },
                    stray_resets,
                    debug: capture.verbose >= 2,
                    btf: capture.btf,
                },
                names: filters.names.clone(),
                takes_snapshot: stories && !capture.no_snapshot,
                follows_timewait,
                refreshes,
                gauges,
            })
        } else {
            let RecordingArgs { from: paths, speed, follow: follows, .. } = recording;
            let can_pause = !follows && !paths.iter().any(is_stream);
            // Nobody can watch what is played as fast as possible.
            let speed = speed.or((screen && can_pause).then_some(1.0));
            let (is_watched, read) = (screen, Arc::default());
            SourceOptions::Recording(ReplayOptions { paths, speed, follows, is_watched, can_pause, read })
        },
        capture: Config {
            view,
            filters,
            follows_timewait,
            duration: capture.duration,
            count,
            span,
            host: None,
            reload: None,
            strict: capture.strict,
            receipt: capture.receipt.as_deref().map(Destination::check).transpose()?,
        },
    })
}

/// Whether a recording can be read once, and its end is not known before. What is not there, reading it says.
fn is_stream(path: &PathBuf) -> bool {
    let is_pipe = || fs::metadata(path).is_ok_and(|file| !file.is_file() && !file.is_dir());
    path == Path::new("-") || is_pipe()
}

/// What part of a recording is asked for.
fn shown_span(recording: &RecordingArgs) -> Result<ShownSpan, Error> {
    let RecordingArgs { from, follow, span: SpanArgs { since, until }, .. } = recording;
    let spec = SpanSpec { since: *since, until: *until, zone: zone::local() };
    if spec.is_open() {
        return Ok(ShownSpan::Known(TimeSpan::default()));
    }
    if from.is_empty() {
        return Err(Error::NothingRecorded);
    }
    let is_stream = *follow || from.iter().any(is_stream);
    match (is_stream, spec.needs_end()) {
        (true, true) => Err(Error::NoEndYet),
        (true, false) => Ok(ShownSpan::OfStream(spec)),
        (false, _) => Ok(ShownSpan::OfFiles(spec)),
    }
}

/// The limits of views that know from the beginning what is stuck.
fn limits(args: &StuckArgs) -> Limits {
    let mut limits = Limits::defaults();
    limits.set(&args.stuck);
    limits
}

fn thresholds(args: &FindingArgs) -> Thresholds {
    let mut thresholds = Thresholds::default();
    thresholds.set(&args.finding);
    thresholds
}

fn watch(args: &LogArgs) -> Option<Watch> {
    let LogArgs { stuck: StuckArgs { stuck }, only_stuck, exit_on_stuck, group, .. } = args;
    let mut limits = Limits::default();
    limits.set(stuck);
    if stuck.is_empty() && (*only_stuck || *exit_on_stuck) {
        limits = Limits::defaults();
    }
    let has_limits = !limits.is_empty();
    has_limits.then_some(Watch { limits, ends: *exit_on_stuck, is_all: *only_stuck, groups: *group })
}
