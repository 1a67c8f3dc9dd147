//! The configuration of `tracer list`.

use std::{path::PathBuf, time::Duration};

use tracer_common::state;

use crate::{
    cli::{
        ListArgs, RecordingArgs, SpanArgs,
        list::{ListBy, ListNames},
    },
    config::{
        Error, ShownSpan,
        filters::filters,
        lines::{chosen_columns, use_colour},
        network::{self, NetworkConfig},
        shown_span,
    },
    facts::{end_names::NamedEnds, listing::Protocol, names::FilterNames},
    filter::Filter,
    format::{
        Kind, Plan,
        columns::{Column, DefaultIn, Views, column},
        text::TextStyle,
    },
    select::{listed::Shown, story::StoryFilter},
    source::replay::ReplayOptions,
    tcp::{state::State, states::States},
    text::charset::{self, Recoding},
    time::spec::TimeSpec,
    view::list::{ListOptions, ListView, SocketTable, groups::GroupBy},
};

/// What to list.
pub enum ListConfig {
    /// Sockets.
    Sockets(Box<SocketsConfig>),
    /// Network interfaces (`-i`) or routes (`-r`).
    Network(Box<NetworkConfig>),
}

/// The configuration of a list of sockets.
pub struct SocketsConfig {
    /// The kinds of sockets.
    pub protocols: Vec<Protocol>,
    /// A bit for each state, by the kernel's number.
    pub states: u32,
    /// Which of them are shown.
    pub shown: Shown,
    /// The recording that is listed instead of this host.
    pub recorded: Option<RecordedList>,
    /// Filters on addresses and ports.
    pub constant: Filter,
    /// Filters on owners, users, cgroups and states.
    pub story: StoryFilter,
    /// Network namespaces and cgroups that the filters name.
    pub names: FilterNames,
    /// All network namespaces are listed, not only this process's own.
    pub all_netns: bool,
    /// Whether what the kernel knows of each connection is shown.
    pub info: bool,
    /// Whether owners are shown, or filtered.
    pub owners: bool,
    /// Whether it matters in which cgroups owners run.
    pub runs_in: bool,
    /// Whether users are shown by name.
    pub users: bool,
    /// The names that ports, and perhaps addresses, are shown by.
    pub end_names: Option<NamedEnds>,
    /// The view.
    pub view: ListView,
    /// Time between two lists; `None` for one.
    pub watch: Option<Duration>,
    /// The most lists.
    pub count: Option<u64>,
    /// The socket of a running `serve`.
    pub socket: Option<PathBuf>,
    /// How text is changed for the user's locale.
    pub recoding: Option<Recoding>,
}

/// The moment of a recording.
pub struct RecordedList {
    /// The recording.
    pub replay: ReplayOptions,
    /// Its end is the moment.
    pub at: ShownSpan,
}

/// Builds the configuration of `tracer list`.
pub fn list(args: ListArgs) -> Result<ListConfig, Error> {
    let not_recorded = [
        (args.udp, "UDP sockets (-u)"),
        (args.unix, "unix sockets (-x)"),
        (args.routes, "routes (-r)"),
        (args.asks_for_interfaces(), "lists of interfaces (-i)"),
        (args.watch.is_some(), "now, to look at again (--watch)"),
    ];
    if !args.from.is_empty()
        && let Some((_, what)) = not_recorded.into_iter().find(|(is_asked, _)| *is_asked)
    {
        return Err(Error::NotInRecording(what));
    }
    if args.routes {
        return network::routes(args).map(|config| ListConfig::Network(Box::new(config)));
    }
    if args.asks_for_interfaces() {
        return network::interfaces(args).map(|config| ListConfig::Network(Box::new(config)));
    }
    sockets(args).map(|config| ListConfig::Sockets(Box::new(config)))
}

fn sockets(args: ListArgs) -> Result<SocketsConfig, Error> {
    let story = &args.filter.story;
    if !story.transition.is_empty() || !story.reason.is_empty() {
        return Err(Error::NotNow);
    }
    if args.names.is_some() && args.output.output != Kind::Text {
        return Err(Error::NamesInText);
    }
    let protocols = protocols(&args);
    let tables = tables(&args, &protocols)?;
    let keys: Vec<&str> = tables.iter().flat_map(SocketTable::columns).map(|column| column.key).collect();
    let sort = args.sort.as_deref().map(sort_column).transpose()?;
    let needs = |column: &[&str]| {
        keys.iter().any(|key| column.contains(key)) || sort.is_some_and(|sort| column.contains(&sort.key))
    };
    let owners =
        needs(&OWNERS) || !story.pid.is_empty() || !story.comm.is_empty() || args.by == Some(ListBy::Process);
    let info = needs(&INFO);
    let spec = filters(args.filter, true)?;
    let runs_in = needs(&RUNS_IN) || !spec.names.workloads.is_empty() || args.by == Some(ListBy::Container);
    let states = &spec.filters.story.states;
    let shown = match (args.all || !states.is_empty(), args.listening) {
        (true, _) => Shown::All,
        (_, true) => Shown::Listeners,
        _ => Shown::Connections,
    };
    let recoding = (args.output.output == Kind::Text).then(charset::recoding).flatten();
    Ok(SocketsConfig {
        states: mask(&spec.filters.story, shown),
        protocols,
        shown,
        socket: Some(args.socket),
        recorded: recorded(&args.from, args.at)?,
        constant: spec.filters.constant,
        story: spec.filters.story,
        names: spec.names,
        all_netns: args.all_netns,
        info,
        owners: owners || runs_in,
        runs_in,
        users: needs(&["user"]),
        end_names: args.names.map(named_ends),
        view: ListView::new(ListOptions {
            tables,
            has_header: !args.no_header,
            sort,
            by: args.by.map(group_by),
            kind: args.output.output,
            repeats: args.watch.is_some(),
            colour: args.output.output == Kind::Text && use_colour(args.output.color),
        }),
        watch: args.watch,
        count: args.output.count,
        recoding,
    })
}

fn recorded(from: &[PathBuf], at: Option<TimeSpec>) -> Result<Option<RecordedList>, Error> {
    if from.is_empty() {
        return Ok(None);
    }
    let span = SpanArgs { since: at, until: at };
    let recording = RecordingArgs { from: from.to_vec(), span, ..RecordingArgs::default() };
    let at = shown_span(&recording)?;
    let replay = ReplayOptions { paths: recording.from, ..ReplayOptions::default() };
    Ok(Some(RecordedList { replay, at }))
}

fn protocols(args: &ListArgs) -> Vec<Protocol> {
    let asked = [(args.tcp, Protocol::Tcp), (args.udp, Protocol::Udp), (args.unix, Protocol::Unix)];
    let asked: Vec<_> = asked.into_iter().filter(|(is_asked, _)| *is_asked).map(|(_, kind)| kind).collect();
    if asked.is_empty() { vec![Protocol::Tcp] } else { asked }
}

/// The states that the kernel is asked for. It tells half-open connections as SYN_RECV.
fn mask(story: &StoryFilter, shown: Shown) -> u32 {
    let is_asked = |number: u8| {
        let state = State::from_kernel(number);
        let is_half_open = |states: &States| {
            number == state::SYN_RECV && states.contains(State::from_kernel(state::NEW_SYN_RECV))
        };
        let is_shown = number != state::LISTEN || shown != Shown::Connections;
        is_shown && story.states.selects(|states| states.contains(state) || is_half_open(states))
    };
    (1..=state::NEW_SYN_RECV).filter(|number| is_asked(*number)).fold(0, |mask, number| mask | 1 << number)
}

const fn group_by(by: ListBy) -> GroupBy {
    match by {
        ListBy::Process => GroupBy::Process,
        ListBy::State => GroupBy::State,
        ListBy::Port => GroupBy::Port,
        ListBy::Peer => GroupBy::Peer,
        ListBy::Container => GroupBy::Container,
    }
}

const fn named_ends(names: ListNames) -> NamedEnds {
    match names {
        ListNames::Services => NamedEnds::Services,
        ListNames::Hosts => NamedEnds::Hosts,
    }
}

/// The columns that need a search for holders.
const OWNERS: [&str; 4] = ["pid", "comm", "holders", "holder_list"];

/// The columns that tell of the cgroup in which the owner runs.
const RUNS_IN: [&str; 5] = ["container", "container_id", "pod", "k8s_namespace", "unit"];

/// The columns that need what the kernel knows of each connection.
const INFO: [&str; 6] = ["age_us", "age_at_least_us", "srtt_us", "retransmits", "tx_bytes", "rx_bytes"];

/// What a column of text is shown with.
type With = fn(&ListArgs) -> bool;

const ALWAYS: With = |_| true;
const WATCHED: With = |args| args.watch.is_some();
const NETNS: With = |args| args.all_netns || !args.filter.netns.is_empty();
const EXTENDED: With = |args| args.extended;
const USER_NAMES: With = |args| args.extended && !args.numeric;
const USER_NUMBERS: With = |args| args.extended && args.numeric;
const TIMERS: With = |args| args.timers;
const DETAILS: With = |args| args.info || args.interfaces;
const PROCESSES: With = |args| args.processes || !args.has_flags();

/// The columns of TCP and UDP sockets in text, in netstat's order.
const INET: [(&str, With); 23] = [
    ("change", WATCHED),
    ("netns", NETNS),
    ("netns_name", NETNS),
    ("protocol", ALWAYS),
    ("recv_queue", ALWAYS),
    ("send_queue", ALWAYS),
    ("local", ALWAYS),
    ("remote", ALWAYS),
    ("state", ALWAYS),
    ("age_us", ALWAYS),
    ("timer", TIMERS),
    ("timer_us", TIMERS),
    ("unanswered", TIMERS),
    ("srtt_us", DETAILS),
    ("retransmits", DETAILS),
    ("tx_bytes", DETAILS),
    ("rx_bytes", DETAILS),
    ("user", USER_NAMES),
    ("uid", USER_NUMBERS),
    ("inode", EXTENDED),
    ("cookie", EXTENDED),
    ("cgroup_path", EXTENDED),
    ("holder_list", PROCESSES),
];

/// Those of unix sockets.
const UNIX: [(&str, With); 17] = [
    ("change", WATCHED),
    ("netns", NETNS),
    ("netns_name", NETNS),
    ("protocol", ALWAYS),
    ("refcount", ALWAYS),
    ("flags", ALWAYS),
    ("type", ALWAYS),
    ("state", ALWAYS),
    ("recv_queue", DETAILS),
    ("send_queue", DETAILS),
    ("user", USER_NAMES),
    ("uid", USER_NUMBERS),
    ("cookie", EXTENDED),
    ("inode", ALWAYS),
    ("peer_inode", DETAILS),
    ("holder_list", PROCESSES),
    ("path", ALWAYS),
];

/// Text has a table for each kind of socket, as netstat; data formats, and columns that the user chooses, are one.
fn tables(args: &ListArgs, protocols: &[Protocol]) -> Result<Vec<SocketTable>, Error> {
    let watched = if args.watch.is_some() { DefaultIn::WATCH_DATA } else { DefaultIn::NOWHERE };
    let data = DefaultIn::LIST_DATA.and(watched);
    let plan = |columns| Plan {
        kind: args.output.output,
        columns,
        default_in: (data, data),
        style: TextStyle {
            time: args.output.time,
            colour: args.output.output == Kind::Text && use_colour(args.output.color),
            precise: false,
        },
    };
    if let Some(list) = &args.output.columns {
        let columns = chosen_columns(list)?;
        columns.iter().try_for_each(|column| is_listed(column))?;
        return Ok(vec![SocketTable { protocols: protocols.to_vec(), plan: plan(Some(columns)) }]);
    }
    if args.output.output != Kind::Text {
        return Ok(vec![SocketTable { protocols: protocols.to_vec(), plan: plan(None) }]);
    }
    let of = |table: &[(&str, With)]| {
        table.iter().filter(|(_, with)| with(args)).filter_map(|(key, _)| column(key)).collect()
    };
    let (unix, inet): (Vec<Protocol>, Vec<_>) =
        protocols.iter().partition(|protocol| **protocol == Protocol::Unix);
    let tables = [(inet, &INET[..]), (unix, &UNIX[..])];
    let tables = tables.into_iter().filter(|(protocols, _)| !protocols.is_empty());
    Ok(tables.map(|(protocols, columns)| SocketTable { protocols, plan: plan(Some(of(columns))) }).collect())
}

fn is_listed(column: &'static Column) -> Result<(), Error> {
    if column.views.includes(Views::LIST) { Ok(()) } else { Err(Error::NotListed(column.key)) }
}

fn sort_column(key: &str) -> Result<&'static Column, Error> {
    let [column] = chosen_columns(key)?[..] else {
        return Err(Error::OneColumn);
    };
    is_listed(column).map(|()| column)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_of_text_are_there() {
        for (key, _) in INET.iter().chain(&UNIX) {
            let column = column(key).unwrap_or_else(|| panic!("{key}"));
            assert!(is_listed(column).is_ok(), "{key}");
        }
        for key in OWNERS.iter().chain(&RUNS_IN).chain(&INFO) {
            assert!(column(key).is_some(), "{key}");
        }
    }

    #[test]
    fn only_states_that_are_shown_are_asked_for() {
        let of = |text: &str| StoryFilter {
            states: text.split_terminator(',').map(|text| text.parse().unwrap()).collect(),
            ..StoryFilter::default()
        };
        let bit = |number: u8| 1_u32 << number;
        assert_eq!(mask(&of(""), Shown::All), 0x1ffe);
        assert_eq!(mask(&of(""), Shown::Connections), 0x1ffe & !bit(state::LISTEN));
        assert_eq!(mask(&of("LISTEN"), Shown::All), bit(state::LISTEN));
        assert_eq!(mask(&of("NEW_SYN_RECV"), Shown::All), bit(state::SYN_RECV) | bit(state::NEW_SYN_RECV));
        assert_eq!(mask(&of("!estab"), Shown::All), 0x1ffe & !bit(state::ESTABLISHED));
    }
}
