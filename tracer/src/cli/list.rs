//! The options of `list`: those of netstat and ss, as people type them.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};

use crate::{
    cli::{FilterArgs, OutputArgs},
    source::streamed::server::SOCKET,
    time::{duration, spec::TimeSpec},
};

pub(super) const EXAMPLES: &str = "\
Examples:
  tracer list                          TCP connections and whose they are, as `ss -tnp`
  tracer list -tulpn                   listeners of TCP and UDP, as netstat and ss have it
  tracer list -tanp                    all of TCP
  tracer list -xp                      sockets of this host
  tracer list -tanpeoi                 all that is known, on one line each
  tracer list --state CLOSE_WAIT --by process
                                       who holds connections that the peer has closed
  tracer list --port 5432 --sort age_us
                                       those of PostgreSQL, the oldest first
  tracer list --all-netns -tlp         listeners of all network namespaces
  tracer list --watch 1s --state SYN_SENT
                                       again every second, with what has changed
  tracer list -tan --from host.rec --at 14:05:30
                                       TCP sockets as they were then
  tracer list -i                       network interfaces, as `netstat -i`; -ia with those that are down
  tracer list -rn                      routes, as `netstat -rn`; -rn6 those of IPv6
  tracer list -ta --names              services by name; --names=hosts also hosts
  tracer list -ta -o json              for programs; -o alone shows timers

Columns: `tracer list --columns help`, also with -i and -r. No BPF and no privileges are needed; owners of other users' sockets
are visible to root only.";

const SHOWN: &str = "What to list (without -t, -u and -x: TCP)";

/// Options of `list`.
#[derive(Args, Clone, Debug)]
#[command(
    mut_arg("pid", |arg| arg.short(None)),
    mut_arg("uid", |arg| arg.short(None)),
    mut_arg("output", |arg| arg.short(None).help("Format of the lines; -o json, -o csv and -o text say it, too")),
    mut_arg("state", |arg| arg.help(STATE)),
    mut_arg("netns", |arg| arg.conflicts_with("all_netns")),
    mut_arg("count", |arg| arg.help("Stop after this many lists (--watch)").requires("watch")),
    mut_arg("transition", |arg| arg.hide(true)),
    mut_arg("reason", |arg| arg.hide(true)),
)]
pub struct ListArgs {
    /// TCP
    #[arg(short, long, help_heading = SHOWN)]
    pub tcp: bool,
    /// UDP
    #[arg(short, long, help_heading = SHOWN)]
    pub udp: bool,
    /// Sockets of this host (unix)
    #[arg(short = 'x', long, help_heading = SHOWN)]
    pub unix: bool,
    /// Listeners, too [default: all but listeners]
    #[arg(short, long, help_heading = SHOWN)]
    pub all: bool,
    /// Only listeners; of UDP, sockets without a peer
    #[arg(short, long, help_heading = SHOWN)]
    pub listening: bool,
    /// Network interfaces; with -t, -u, -x, -l, -p or -o: what the kernel knows of each TCP connection (--info)
    #[arg(short, long, help_heading = SHOWN)]
    pub interfaces: bool,
    /// Routes of IPv4, or with -6 of IPv6; with -e other columns
    #[arg(short, long, help_heading = SHOWN)]
    pub routes: bool,
    /// Sockets of all network namespaces
    #[arg(long, help_heading = SHOWN)]
    pub all_netns: bool,
    /// Which processes hold each socket; also without any of these flags
    #[arg(short = 'p', long, help_heading = "Columns")]
    pub processes: bool,
    /// User, inode, cookie and cgroup; with -n the user's number
    #[arg(short, long, help_heading = "Columns")]
    pub extended: bool,
    /// Timers; `-o json`, `-o csv` and `-o text` are formats
    #[arg(short = 'o', long, help_heading = "Columns")]
    pub timers: bool,
    /// Round-trip time, retransmissions and bytes of TCP connections
    #[arg(long, help_heading = "Columns")]
    pub info: bool,
    /// Users as numbers (-e); addresses and ports are numbers anyway
    #[arg(short, long, help_heading = "Columns")]
    pub numeric: bool,
    /// Names of services instead of ports, from /etc/services; with `hosts` also names of hosts, for which the resolver is
    /// asked: two seconds at most, what is not answered by then stays a number
    #[arg(long, value_enum, value_name = "WHICH", num_args = 0..=1, require_equals = true,
        default_missing_value = "services", conflicts_with = "numeric", help_heading = "Columns")]
    pub names: Option<ListNames>,
    /// Filters.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Output.
    #[command(flatten)]
    pub output: OutputArgs,
    /// No header
    #[arg(short = 'H', long, help_heading = "Output")]
    pub no_header: bool,
    /// Sort by a column: numbers and times with the largest first
    #[arg(long, value_name = "COLUMN", help_heading = "Output", conflicts_with = "by")]
    pub sort: Option<String>,
    /// How many sockets there are of each, the most first, instead of a line for each socket
    #[arg(long, value_enum, value_name = "WHAT", help_heading = "Output", conflicts_with = "columns")]
    pub by: Option<ListBy>,
    /// Again every TIME, with what has changed
    #[arg(long, value_name = "TIME", value_parser = duration::parse, help_heading = "Output")]
    pub watch: Option<Duration>,
    /// TCP sockets as they were at a moment of a recording, or of several parts of one; `-` is standard input
    #[arg(long, value_name = "FILE", num_args = 1.., help_heading = "Recordings")]
    pub from: Vec<PathBuf>,
    /// That moment: 2026-01-31T14:05:00Z, "2026-01-31 14:05", 14:05:30, -5m before the end, +30s after the beginning [default:
    /// the end]
    #[arg(
        long,
        value_name = "TIME",
        allow_hyphen_values = true,
        requires = "from",
        help_heading = "Recordings"
    )]
    pub at: Option<TimeSpec>,
    /// The socket of a running `tracer serve --socket`, which is asked for exact ages, if it is there
    #[arg(long, value_name = "PATH", default_value = SOCKET, help_heading = "Output")]
    pub socket: PathBuf,
    /// More messages on standard error
    #[arg(short, long, action = clap::ArgAction::Count, help_heading = "Output")]
    pub verbose: u8,
}

const STATE: &str = "Sockets in a state, such as CLOSE_WAIT, in any tool's spelling, or in one of ss's groups: all, \
     connected, synchronized, bucket, big";

/// Which names are shown instead of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ListNames {
    /// Those of services.
    Services,
    /// Those of services and hosts.
    Hosts,
}

/// What sockets are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ListBy {
    /// Names of processes.
    Process,
    /// States.
    State,
    /// Local ports.
    Port,
    /// Addresses of peers.
    Peer,
    /// Containers, by name.
    Container,
}

impl ListArgs {
    /// Whether a flag asks for sockets, so that -i asks for more about them.
    #[must_use]
    pub fn asks_for_sockets(&self) -> bool {
        self.tcp || self.udp || self.unix || self.listening || self.processes || self.timers || self.info
    }

    /// Whether -i asks for interfaces.
    #[must_use]
    pub fn asks_for_interfaces(&self) -> bool {
        self.interfaces && !self.routes && !self.asks_for_sockets()
    }

    /// Whether any of netstat's flags is there, so that owners are asked for by -p only.
    #[must_use]
    pub fn has_flags(&self) -> bool {
        self.asks_for_sockets() || self.all || self.extended || self.interfaces || self.numeric
    }
}

/// The formats that may stand directly behind `-o`.
const FORMATS: [&str; 3] = ["json", "csv", "text"];

/// Replaces `-o json` by `--output json`: in `list`, `-o` alone means timers, as in netstat and ss.
#[must_use]
pub fn with_formats(words: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut words: Vec<OsString> = words.into_iter().collect();
    if words.get(1).is_none_or(|command| command != "list") {
        return words;
    }
    for at in 2..words.len() {
        let (before, after) = words.split_at_mut(at + 1);
        let Some(word) = before.last_mut() else { break };
        let attached = word.to_str().and_then(|word| word.strip_prefix("-o"));
        let has_equals = attached.is_some_and(|format| format.starts_with('='));
        let attached = attached.map(|format| format.strip_prefix('=').unwrap_or(format).to_owned());
        match attached.as_deref() {
            // There are no words in `list`, so one that is no format is a wrong one.
            Some("") if after.first().is_some_and(|next| !next.as_encoded_bytes().starts_with(b"-")) => {
                *word = "--output".into();
            }
            Some(format) if has_equals || FORMATS.contains(&format) => {
                *word = format!("--output={format}").into();
            }
            _ => {}
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::{
        cli::{Cli, Command},
        format::Kind,
    };

    fn parse(line: &str) -> Result<ListArgs, String> {
        let words = with_formats(line.split(' ').map(OsString::from));
        match Cli::try_parse_from(words).map_err(|error| error.to_string())?.command {
            Some(Command::List(args)) => Ok(*args),
            other => panic!("{line}: {other:?}"),
        }
    }

    /// The flags of netstat that are set.
    fn flags(line: &str) -> String {
        let args = parse(line).unwrap();
        let flags = [
            ('t', args.tcp),
            ('u', args.udp),
            ('x', args.unix),
            ('a', args.all),
            ('l', args.listening),
            ('n', args.numeric),
            ('p', args.processes),
            ('e', args.extended),
            ('o', args.timers),
            ('i', args.interfaces),
            ('r', args.routes),
            ('4', args.filter.ipv4),
            ('6', args.filter.ipv6),
            ('H', args.no_header),
        ];
        flags.into_iter().filter(|(_, is_set)| *is_set).map(|(flag, _)| flag).collect()
    }

    #[test]
    fn bundles_are_taken_as_typed() {
        for (typed, set) in [
            ("-tulpn", "tulnp"),
            ("-tanp", "tanp"),
            ("-tunapl", "tualnp"),
            ("-plunt", "tulnp"),
            ("-tnp", "tnp"),
            ("-an", "an"),
            ("-anp", "anp"),
            ("-lntu", "tuln"),
            ("-xap", "xap"),
            ("-rn", "nr"),
            ("-in", "ni"),
            ("-rn6", "nr6"),
            ("-ie", "ei"),
            ("-tanpo", "tanpo"),
            ("-tanop", "tanpo"),
            ("-tuxanpeoi", "tuxanpeoi"),
            ("-t -u -l", "tul"),
            ("-4tl", "tl4"),
            ("-tl6", "tl6"),
            ("-tanH", "tanH"),
            (
                "--tcp --udp --unix --all --listening --numeric --processes --extended --timers --ipv4",
                "tuxalnpeo4",
            ),
        ] {
            assert_eq!(flags(&format!("tracer list {typed}")), set, "{typed}");
        }
    }

    #[test]
    fn o_is_a_timer_unless_it_stands_before_a_format() {
        let parsed = |line: &str| {
            let args = parse(&format!("tracer list {line}")).unwrap();
            (args.timers, args.output.output)
        };
        for line in ["-o json", "-ojson", "-o=json", "--output json", "--output=json", "-t -o json -p"] {
            assert_eq!(parsed(line), (false, Kind::Json), "{line}");
        }
        assert_eq!(parsed("-o csv"), (false, Kind::Csv));
        for line in ["-o", "-to", "-o -t", "--timers", "-o --output text"] {
            assert_eq!(parsed(line), (true, Kind::Text), "{line}");
        }
        assert_eq!(parsed("-to -o json"), (true, Kind::Json));
    }

    #[test]
    fn a_format_that_there_is_not_is_told() {
        for line in ["-o xml", "-o=xml", "-ta -o jsonl"] {
            let said = parse(&format!("tracer list {line}")).unwrap_err();
            assert!(said.contains("'--output <FORMAT>'") && said.contains("text, json, csv"), "{said}");
        }
    }

    #[test]
    fn names_are_asked_for() {
        let names = |line: &str| parse(&format!("tracer list {line}")).map(|args| args.names);
        assert_eq!(names("-ta"), Ok(None));
        assert_eq!(names("-ta --names -p"), Ok(Some(ListNames::Services)));
        assert_eq!(names("--names=services"), Ok(Some(ListNames::Services)));
        assert_eq!(names("--names=hosts"), Ok(Some(ListNames::Hosts)));
        assert!(names("-tan --names").is_err() && names("--names=all").is_err());
    }

    #[test]
    fn p_and_u_are_flags_and_the_filters_are_long() {
        let args = parse("tracer list -pu --pid 7 --uid root --port 443 --state estab").unwrap();
        assert!(args.processes && args.udp);
        let story = args.filter.story;
        assert_eq!(
            (story.pid.len(), story.uid.len(), args.filter.port.len(), story.state.len()),
            (1, 1, 1, 1)
        );
        assert!(parse("tracer list -4 -6").is_err());
        assert!(parse("tracer list --netns 1 --all-netns").is_err());
    }

    #[test]
    fn other_commands_keep_their_o() {
        let words = ["tracer", "log", "-o", "json"].map(OsString::from);
        assert_eq!(with_formats(words.clone()), words);
    }
}
