//! Arguments, checked and resolved: nothing behind this sees the command line.

mod lines;

use std::{collections::HashSet, fs::File, io, path::Path, time::Duration};

use clap::ValueEnum as _;
use jiff::tz::TimeZone;
use rustix::termios::tcgetwinsize;
use tracer_common::filter::family;
use wildmatch::WildMatch;

use crate::{
    cli::{
        CaptureArgs, FilterArgs, LifeArgs, LogArgs, ReportArgs, ReportKind, StuckArgs, SummaryArgs, TopArgs,
        Zone, words,
    },
    config::lines::plan,
    filter::{Ends, Filter, netns},
    format::{Plan, columns::Shown},
    output::stderr::say,
    select::{
        chosen::Chosen,
        story::{StoryFilter, cgroups},
    },
    source::kernel::{aggregate, load::Options, optional::Hooks},
    tcp::limits::Limits,
    text::escape::escaped,
    view::{
        log::{Incidents, Watch},
        summary::{self, By, text::WITH_BARS},
        top::{self, model::Words},
    },
};

pub use lines::use_colour;

/// Why arguments that parse still make no sense.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such column.
    #[error("unknown column `{0}`: `--columns help` lists them")]
    UnknownColumn(String),
    /// An empty list.
    #[error("--columns needs at least one column: `--columns help` lists them")]
    NoColumns,
    /// The same twice: JSON cannot say it.
    #[error("column `{0}` is named twice")]
    RepeatedColumn(&'static str),
    /// What only user space knows.
    #[error("in the kernel only ports are counted: --by port, or no --by; or leave --in-kernel away")]
    NotInKernel,
    /// What tells of them is left out.
    #[error("--resets and --retransmits come from hooks that --hooks minimal leaves out")]
    NoHooks,
    /// Top has no lines for them.
    #[error("top shows connections, and no transitions: choose a state, or use `tracer log`")]
    NoTransitions,
    /// A namespace that is not there.
    #[error(transparent)]
    Netns(#[from] netns::Error),
    /// No such user.
    #[error("no user `{0}`: give a name that this host knows, or a number")]
    User(String),
    /// No such cgroup.
    #[error("{0}")]
    Cgroup(String),
    /// The receipt's file.
    #[error("cannot write the receipt to {path}: {cause}")]
    Receipt {
        /// The file.
        path: String,
        /// What the system said.
        cause: io::Error,
    },
}

/// Which view is asked for, and how it looks.
pub enum Wanted {
    /// A line per hit.
    Raw(Plan),
    /// A line per transition; perhaps for what else happens, and for connections that are stuck, too.
    Log(Plan, Incidents, Option<Watch>),
    /// A line per connection.
    Life(Plan),
    /// Tables.
    Summary(summary::Options),
    /// The whole screen.
    Top(top::Options),
}

/// What a capture has to do.
pub struct Config {
    /// For the kernel programs.
    pub kernel: Options,
    /// What is shown.
    pub wanted: Wanted,
    /// What is shown of it.
    pub story: StoryFilter,
    /// Look for the sockets that exist already.
    pub takes_snapshot: bool,
    /// Follow timewait sockets to their end.
    pub follows_waiting: bool,
    /// Stop after this long.
    pub duration: Option<Duration>,
    /// Stop after this many lines.
    pub count: Option<u64>,
    /// An incomplete capture is a failure.
    pub strict: bool,
    /// Where the receipt goes, beside standard error.
    pub receipt: Option<ReceiptFile>,
}

/// What `tracer log` has to do.
pub fn log(args: LogArgs) -> Result<Config, Error> {
    let LogArgs { filter, output, raw, resets, retransmits, stuck, only_stuck, exit_on_stuck, capture } =
        args;
    let incidents = Incidents { resets, retransmits };
    if incidents.any() && capture.hooks == Hooks::Minimal {
        return Err(Error::NoHooks);
    }
    let wanted = if raw {
        Wanted::Raw(plan((Shown::RAW_TEXT, Shown::RAW_DATA), true, &output)?)
    } else {
        let data = if incidents.any() { Shown::LOG_DATA.and(Shown::INCIDENT_DATA) } else { Shown::LOG_DATA };
        let plan = plan((Shown::LOG_TEXT, data), false, &output)?;
        Wanted::Log(plan, incidents, watch(&stuck, only_stuck, exit_on_stuck))
    };
    config(wanted, filter, capture, output.count)
}

/// What `tracer life` has to do.
pub fn life(args: LifeArgs) -> Result<Config, Error> {
    let LifeArgs { filter, output, capture } = args;
    let wanted = Wanted::Life(plan((Shown::LIFE_TEXT, Shown::LIFE_DATA), false, &output)?);
    config(wanted, filter, capture, output.count)
}

/// What `tracer summary` has to do.
pub fn summary(args: SummaryArgs) -> Result<Config, Error> {
    let SummaryArgs { filter, report, capture } = args;
    config(Wanted::Summary(reports(&report)), filter, capture, None)
}

/// What `tracer summary --in-kernel` has to do.
pub struct Folding {
    /// For the kernel program.
    pub kernel: aggregate::Options,
    /// When, and how it looks.
    pub reports: summary::Options,
    /// Stop after this long.
    pub duration: Option<Duration>,
    /// An incomplete capture is a failure.
    pub strict: bool,
}

/// What `tracer summary --in-kernel` has to do.
pub fn folding(args: SummaryArgs) -> Result<Folding, Error> {
    let SummaryArgs { filter, report, capture } = args;
    if report.by.iter().any(|by| *by != By::Port) {
        return Err(Error::NotInKernel);
    }
    Ok(Folding {
        kernel: aggregate::Options {
            filter: resolve_filter(filter, true)?,
            by_port: !report.by.is_empty(),
            sockets: aggregate::SOCKETS,
            btf: capture.btf,
        },
        reports: reports(&report),
        duration: capture.duration,
        strict: capture.strict,
    })
}

/// What `tracer top` has to do.
pub fn top(args: TopArgs) -> Result<Config, Error> {
    let TopArgs { mut filter, stuck, refresh, color, capture } = args;
    let mut limits = Limits::defaults();
    limits.set(&stuck.stuck);
    let words = words::of_lines(&mut filter);
    if !filter.transition.is_empty() {
        return Err(Error::NoTransitions);
    }
    let words = Words { parse: typed, may_go_on: words::may_go_on, typed: words };
    let options = top::Options { limits, refresh, colour: use_colour(color), words };
    config(Wanted::Top(options), filter, capture, None)
}

/// The filter that somebody types.
fn typed(words: &str) -> Result<Chosen, String> {
    let args = words::parse(words)?;
    if !args.transition.is_empty() {
        return Err(Error::NoTransitions.to_string());
    }
    let story = resolve_story(&args).map_err(|error| error.to_string())?;
    let filter = resolve_filter(args, true).map_err(|error| error.to_string())?;
    Ok(Chosen::new(&filter, story))
}

fn config(
    wanted: Wanted,
    filter: FilterArgs,
    capture: CaptureArgs,
    count: Option<u64>,
) -> Result<Config, Error> {
    if let Some(buffer) = capture.buffer.as_ref().filter(|buffer| buffer.is_rounded) {
        let (size, events) = (buffer.size, buffer.size.events());
        say(format_args!("buffer of {} rounded up to {size}, room for {events} events", buffer.asked));
    }
    let tells_stories = !matches!(wanted, Wanted::Raw(_));
    Ok(Config {
        story: resolve_story(&filter)?,
        kernel: Options {
            buffer: capture.buffer.map(|buffer| buffer.size).unwrap_or_default(),
            filter: resolve_filter(filter, tells_stories)?,
            asks_for_sockets: tells_stories,
            hooks: if tells_stories { capture.hooks } else { Hooks::Minimal },
            stray_resets: matches!(wanted, Wanted::Log(_, Incidents { resets: true, .. }, _)),
            debug: capture.verbose >= 2,
            btf: capture.btf,
        },
        wanted,
        takes_snapshot: tells_stories && !capture.no_snapshot,
        follows_waiting: tells_stories && !capture.no_timewait,
        duration: capture.duration,
        count,
        strict: capture.strict,
        receipt: capture.receipt.as_deref().map(create).transpose()?,
    })
}

fn watch(args: &StuckArgs, is_all: bool, ends: bool) -> Option<Watch> {
    let mut limits = Limits::default();
    limits.set(&args.stuck);
    if args.stuck.is_empty() && (is_all || ends) {
        limits = Limits::defaults();
    }
    limits.shortest().map(|_| Watch { limits, ends, is_all })
}

/// Whether standard output is a terminal on which tables with bars would wrap.
fn is_narrow() -> bool {
    tcgetwinsize(io::stdout()).is_ok_and(|size| (1..WITH_BARS).contains(&size.ws_col))
}

fn reports(args: &ReportArgs) -> summary::Options {
    let zone = match args.time {
        Zone::Local => TimeZone::system(),
        Zone::Utc => TimeZone::UTC,
    };
    let text = summary::text::Style {
        zone,
        colour: use_colour(args.color),
        has_bars: !is_narrow(),
        quantiles_are_bounds: args.in_kernel,
    };
    summary::Options {
        interval: args.interval,
        by: By::value_variants()
            .iter()
            .filter(|by| args.by.is_empty() || args.by.contains(by))
            .copied()
            .collect(),
        rows: usize::from(args.rows),
        count: args.count,
        text: (args.output == ReportKind::Text).then_some(text),
    }
}

/// A file for the receipt.
pub struct ReceiptFile {
    /// Its path, harmless.
    pub name: String,
    /// Open for writing.
    pub file: File,
}

/// The file is made before privileges are given up, and before anything is captured in vain.
fn create(path: &Path) -> Result<ReceiptFile, Error> {
    let name = escaped(path.as_os_str().as_encoded_bytes());
    match File::create(path) {
        Ok(file) => Ok(ReceiptFile { name, file }),
        Err(cause) => Err(Error::Receipt { path: name, cause }),
    }
}

fn resolve_filter(args: FilterArgs, tells_stories: bool) -> Result<Filter, Error> {
    // A filter selects by what is shown: raw shows a v4-mapped socket as the IPv6 that it is.
    let (ipv4, ipv6) = if tells_stories {
        (family::IPV4 | family::MAPPED, family::IPV6)
    } else {
        (family::IPV4, family::IPV6 | family::MAPPED)
    };
    Ok(Filter {
        ports: Ends::new(args.port, args.local_port, args.remote_port),
        addrs: Ends::new(args.addr, args.local_addr, args.remote_addr),
        families: match (args.ipv4, args.ipv6) {
            (true, _) => ipv4,
            (_, true) => ipv6,
            _ => family::ANY,
        },
        netns: args.netns.iter().map(netns::Netns::resolve).collect::<Result<_, _>>()?,
        for_stories: tells_stories,
    })
}

fn resolve_story(args: &FilterArgs) -> Result<StoryFilter, Error> {
    let mut in_cgroups = HashSet::new();
    for path in &args.cgroup {
        in_cgroups.extend(cgroups(path).map_err(Error::Cgroup)?);
    }
    Ok(StoryFilter {
        pids: args.pid.iter().copied().collect(),
        comms: args.comm.iter().map(|pattern| WildMatch::new(pattern)).collect(),
        uids: args.uid.iter().map(|user| uid(user)).collect::<Result<_, _>>()?,
        cgroups: in_cgroups,
        states: args.state.clone(),
        transitions: args.transition.clone(),
        reasons: args.reason.clone(),
    })
}

fn uid(user: &str) -> Result<u32, Error> {
    let by_name = || uzers::get_user_by_name(user).map(|user| user.uid());
    user.parse().ok().or_else(by_name).ok_or_else(|| Error::User(escaped(user.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_by_name_and_number() {
        assert_eq!(uid("root").ok(), Some(0));
        assert_eq!(uid("4711").ok(), Some(4711));
        assert!(matches!(uid("no such\x1b"), Err(Error::User(user)) if user == "no such\\x1b"));
    }
}
