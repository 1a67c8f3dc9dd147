//! Arguments, checked and resolved: nothing behind this sees the command line.

use std::{collections::HashSet, fs::File, io, path::Path, time::Duration};

use anstream::ColorChoice;
use tracer_common::filter::family;
use wildmatch::WildMatch;

use crate::{
    cli::{CaptureArgs, FilterArgs, OutputArgs, When},
    escape::escaped,
    fields::{Field, Shown, field},
    filter::{
        Ends, Filter, netns,
        story::{StoryFilter, cgroups},
    },
    format::{Kind, Plan, text::Style},
    say::say,
    source::kernel::load::Options,
};

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

/// Which view is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A line per hit.
    Raw,
    /// A line per transition.
    Log,
    /// A line per connection.
    Life,
}

/// What a capture has to do.
pub struct Config {
    /// For the kernel programs.
    pub kernel: Options,
    /// What is shown.
    pub asked: Asked,
    /// What is shown of it.
    pub story: StoryFilter,
    /// How lines are written.
    pub plan: Plan,
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

/// Checks the arguments of a capture.
pub fn resolve(
    asked: Asked,
    filter: FilterArgs,
    output: &OutputArgs,
    capture: CaptureArgs,
) -> Result<Config, Error> {
    if let Some(buffer) = capture.buffer.as_ref().filter(|buffer| buffer.is_rounded) {
        let (size, events) = (buffer.size, buffer.size.events());
        say(format_args!("buffer of {} rounded up to {size}, room for {events} events", buffer.asked));
    }
    let tells_stories = asked != Asked::Raw;
    Ok(Config {
        plan: plan(asked, output)?,
        story: resolve_story(&filter)?,
        kernel: Options {
            buffer: capture.buffer.map(|buffer| buffer.size).unwrap_or_default(),
            filter: resolve_filter(filter, tells_stories)?,
            asks_for_sockets: tells_stories,
            debug: capture.verbose >= 2,
            btf: capture.btf,
        },
        asked,
        takes_snapshot: tells_stories && !capture.no_snapshot,
        follows_waiting: tells_stories && !capture.no_timewait,
        duration: capture.duration,
        count: capture.count,
        strict: capture.strict,
        receipt: capture.receipt.as_deref().map(create).transpose()?,
    })
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

fn plan(asked: Asked, args: &OutputArgs) -> Result<Plan, Error> {
    Ok(Plan {
        kind: args.output,
        columns: args.columns.as_deref().map(chosen_columns).transpose()?,
        place: match asked {
            Asked::Raw => (Shown::RAW_TEXT, Shown::RAW_DATA),
            Asked::Log => (Shown::LOG_TEXT, Shown::LOG_DATA),
            Asked::Life => (Shown::LIFE_TEXT, Shown::LIFE_DATA),
        },
        style: Style {
            time: args.time,
            colour: args.output == Kind::Text && use_colour(args.color),
            precise: asked == Asked::Raw,
        },
    })
}

fn chosen_columns(list: &str) -> Result<Vec<&'static Field>, Error> {
    if list.trim().is_empty() {
        return Err(Error::NoColumns);
    }
    let mut columns: Vec<&'static Field> = Vec::new();
    for key in list.split(',').map(str::trim) {
        let column = field(key).ok_or_else(|| Error::UnknownColumn(escaped(key.as_bytes())))?;
        if columns.iter().any(|chosen| chosen.key == column.key) {
            return Err(Error::RepeatedColumn(column.key));
        }
        columns.push(column);
    }
    Ok(columns)
}

/// Whether standard output gets colours.
#[must_use]
pub fn use_colour(when: When) -> bool {
    match when {
        When::Always => true,
        When::Never => false,
        When::Auto => anstream::AutoStream::choice(&io::stdout()) != ColorChoice::Never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_checked() {
        let keys =
            |list| chosen_columns(list).map(|columns| columns.iter().map(|c| c.key).collect::<Vec<_>>());
        assert_eq!(keys("new_state, time").unwrap(), ["new_state", "time"]);
        assert!(matches!(keys("time,nope"), Err(Error::UnknownColumn(key)) if key == "nope"));
        assert!(matches!(keys("\x1b"), Err(Error::UnknownColumn(key)) if key == "\\x1b"));
        assert!(matches!(keys("time,"), Err(Error::UnknownColumn(_))));
        assert!(matches!(keys(""), Err(Error::NoColumns)));
        assert!(matches!(keys("time,time"), Err(Error::RepeatedColumn("time"))));
    }

    #[test]
    fn users_by_name_and_number() {
        assert_eq!(uid("root").ok(), Some(0));
        assert_eq!(uid("4711").ok(), Some(4711));
        assert!(matches!(uid("no such\x1b"), Err(Error::User(user)) if user == "no such\\x1b"));
    }
}
