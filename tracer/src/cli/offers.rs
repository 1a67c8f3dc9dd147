//! Values that shells offer for options. They come from the definition of the command line and from what every
//! user may read. Nothing is loaded into the kernel for them.

use std::{ffi::OsStr, fs};

use clap::{Arg, Command, builder::StyledStr};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};

use crate::{
    aggregate::findings::FindingKind,
    explain::{self, texts::Language},
    format::columns::{COLUMNS, Views},
    tcp::{limits::limitable_states, reason::Reason, state::State},
};

/// Where `ip netns` keeps its namespaces.
const NETNS: &str = "/run/netns";

/// The users of this host.
const USERS: &str = "/etc/passwd";

/// A value, and what it means.
type Offer = (String, Option<String>);

/// This command and those below it, with the values of their options.
pub(super) fn with_offers(command: Command) -> Command {
    command.mut_args(with_offer).mut_subcommands(with_offers)
}

fn with_offer(arg: Arg) -> Arg {
    let offers: fn(&str) -> Vec<Offer> = match arg.get_id().as_str() {
        "state" => |_| states().map(plain).collect(),
        "transition" => transitions,
        "reason" => |_| Reason::ALL.iter().map(|reason| plain(reason.name().to_owned())).collect(),
        "stuck" | "slow" => |_| limits(),
        "finding" => |_| findings(),
        "columns" => |_| columns(),
        "word" => |_| explain::words().into_iter().map(|(word, brief)| (word, Some(brief))).collect(),
        "lang" => |_| Language::all().map(|language| plain(language.to_string())).collect(),
        "sort" => |_| listed_columns(),
        "netns" => |_| namespaces(),
        "uid" => |_| users(),
        _ => return arg,
    };
    arg.add(ArgValueCompleter::new(move |typed: &OsStr| matching(typed, offers)))
}

/// The offers that go on as the last value of a list does. In which case a word is typed does not matter.
fn matching(typed: &OsStr, offers: fn(&str) -> Vec<Offer>) -> Vec<CompletionCandidate> {
    let Some(typed) = typed.to_str() else {
        return Vec::new();
    };
    let (before, last) = typed.split_at(typed.rfind(',').map_or(0, |comma| comma + 1));
    let goes_on = |(value, _): &Offer| value.to_lowercase().starts_with(&last.to_lowercase());
    let offered = offers(last).into_iter().filter(goes_on);
    let candidate = |(value, help): Offer| {
        CompletionCandidate::new(format!("{before}{value}")).help(help.map(StyledStr::from))
    };
    offered.map(candidate).collect()
}

fn plain(value: String) -> Offer {
    (value, None)
}

fn states() -> impl Iterator<Item = String> {
    (0..=u8::MAX).filter_map(|number| State::from_kernel(number).name()).map(str::to_owned)
}

/// The state before, and once that is there, the one after.
fn transitions(typed: &str) -> Vec<Offer> {
    match typed.split_once(':') {
        None => states().map(|old| plain(old + ":")).collect(),
        Some((old, _)) => states().map(|new| plain(format!("{old}:{new}"))).collect(),
    }
}

fn limits() -> Vec<Offer> {
    let names = limitable_states().filter_map(|state| State::from_kernel(state).name());
    let limits = names.map(|name| plain(format!("{name}=")));
    limits.chain([plain("default".to_owned())]).collect()
}

fn findings() -> Vec<Offer> {
    FindingKind::all().map(|kind| plain(format!("{kind}="))).collect()
}

fn columns() -> Vec<Offer> {
    let columns = COLUMNS.iter().map(|column| (column.key.to_owned(), Some(column.help.to_owned())));
    columns.chain([("help".to_owned(), Some("lists the columns".to_owned()))]).collect()
}

/// Those that a socket of `list` may have a value of.
fn listed_columns() -> Vec<Offer> {
    let columns = COLUMNS.iter().filter(|column| column.views.includes(Views::LIST));
    columns.map(|column| (column.key.to_owned(), Some(column.help.to_owned()))).collect()
}

fn namespaces() -> Vec<Offer> {
    let files = fs::read_dir(NETNS).into_iter().flatten().filter_map(Result::ok);
    let mut names: Vec<_> = files.filter_map(|file| file.file_name().into_string().ok()).collect();
    names.sort();
    names.into_iter().map(plain).collect()
}

fn users() -> Vec<Offer> {
    let users = fs::read_to_string(USERS).unwrap_or_default();
    users.lines().filter_map(|line| Some(plain(line.split_once(':')?.0.to_owned()))).collect()
}
