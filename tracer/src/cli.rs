//! The command line. Only here and in the enums that it parses does `clap` appear.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{
    buffer,
    filter::{addrs::Cidrs, netns::Netns, ports::Ports, story::transition},
    format::{Kind, text::TimeFormat},
    state::State,
    track::reason::Reason,
};

const EXAMPLES: &str = "\
Examples:
  tracer                               every transition of every TCP socket of this host
  tracer --port 443                    those with port 443 at either end
  tracer -L 80,8000-8100 --addr 10.0.0.0/8
                                       those of local ports with an address in 10/8
  tracer --comm 'nginx*' --state CLOSE_WAIT
                                       nginx's connections entering or leaving CLOSE_WAIT
  tracer --netns pid:4711 -6           IPv6 in the network namespace of process 4711
  tracer -o json --duration 60s        a minute of it, for machines
  tracer --raw --columns time,comm,old_state,new_state
                                       exactly what the tracepoint said
  tracer life --reason reset-remote    connections that the peer reset
  tracer check                         can it run here?

Exit status: 0 done, also after Ctrl-C, SIGTERM or a closed pipe; 1 it could not be done;
2 wrong usage; 3 with --strict, when the capture is incomplete.";

const LIFE_EXAMPLES: &str = "\
Examples:
  tracer life                          a line for each connection that ends
  tracer life -D 5432                  those to PostgreSQL servers
  tracer life -o json | jq .reason     with all that is known of each
  tracer life --reason timeout-retransmit,reset-remote";

/// Shows every TCP state transition of this host, live: whose connection, how long in which state,
/// who closed first and why.
#[derive(Debug, Parser)]
#[command(name = "tracer", version, about, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// What to do; without it, the log.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The log's options.
    #[command(flatten)]
    pub log: LogArgs,
}

/// A verb for each question.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// What is happening to connections right now? A line for each state transition (the default)
    #[command(after_help = EXAMPLES)]
    Log(Box<LogArgs>),
    /// What became of each connection? A line for each when it ends
    #[command(after_help = LIFE_EXAMPLES)]
    Life(Box<LifeArgs>),
    /// Can it run here, with which features?
    Check(CheckArgs),
}

/// Options of the log.
#[derive(Args, Debug)]
pub struct LogArgs {
    /// Filters.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Output.
    #[command(flatten)]
    pub output: OutputArgs,
    /// Exactly what the tracepoint said: a line per hit, the task that was on the CPU
    #[arg(long, help_heading = "Output", conflicts_with_all = ["pid", "comm", "uid", "cgroup", "state", "transition", "reason"])]
    pub raw: bool,
    /// Capture.
    #[command(flatten)]
    pub capture: CaptureArgs,
}

/// Options of `life`.
#[derive(Args, Debug)]
pub struct LifeArgs {
    /// Filters.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Output.
    #[command(flatten)]
    pub output: OutputArgs,
    /// Capture.
    #[command(flatten)]
    pub capture: CaptureArgs,
}

/// Filters.
#[derive(Args, Debug)]
#[command(next_help_heading = "Filters (different ones are ANDed, values of one are ORed)")]
pub struct FilterArgs {
    /// Ports at either end: a list of ports and ranges, such as 443,8000-8100
    #[arg(short = 'P', long, value_name = "PORTS")]
    pub port: Vec<Ports>,
    /// Local ports
    #[arg(short = 'L', long, visible_alias = "localport", value_name = "PORTS")]
    pub local_port: Vec<Ports>,
    /// Remote ports
    #[arg(short = 'D', long, visible_alias = "remoteport", value_name = "PORTS")]
    pub remote_port: Vec<Ports>,
    /// Addresses at either end: a list of addresses and prefixes, such as 10.0.0.0/8,2001:db8::1
    #[arg(long, value_name = "CIDR")]
    pub addr: Vec<Cidrs>,
    /// Local addresses
    #[arg(long, value_name = "CIDR")]
    pub local_addr: Vec<Cidrs>,
    /// Remote addresses
    #[arg(long, value_name = "CIDR")]
    pub remote_addr: Vec<Cidrs>,
    /// IPv4 only, v4-mapped connections included
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    pub ipv4: bool,
    /// IPv6 only
    #[arg(short = '6', long)]
    pub ipv6: bool,
    /// Network namespaces: inode numbers, paths, names from `ip netns`, or pid:PID
    #[arg(long, value_name = "NETNS", value_delimiter = ',')]
    pub netns: Vec<Netns>,
    /// Processes that own the socket
    #[arg(short, long, value_name = "PID", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..))]
    pub pid: Vec<u32>,
    /// Names of such processes; * and ? stand for anything
    #[arg(long, value_name = "GLOB", value_delimiter = ',')]
    pub comm: Vec<String>,
    /// Users that the socket belongs to: names or numbers
    #[arg(short, long, value_name = "USER", value_delimiter = ',')]
    pub uid: Vec<String>,
    /// Cgroups of the socket, with those below: folders of the v2 hierarchy
    #[arg(long, value_name = "PATH", value_delimiter = ',')]
    pub cgroup: Vec<PathBuf>,
    /// Lines that enter or leave a state
    #[arg(long, value_name = "STATE", value_delimiter = ',')]
    pub state: Vec<State>,
    /// Lines with a transition
    #[arg(long, value_name = "OLD:NEW", value_delimiter = ',', value_parser = transition)]
    pub transition: Vec<(State, State)>,
    /// Lines that end a connection for a reason, such as reset-remote
    #[arg(long, value_name = "REASON", value_delimiter = ',')]
    pub reason: Vec<Reason>,
}

/// What is shown, and how.
#[derive(Args, Debug)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// Format of the lines
    #[arg(short, long, value_enum, default_value_t = Kind::Text, value_name = "FORMAT")]
    pub output: Kind,
    /// Columns to show, in order; `help` lists them
    #[arg(long, value_name = "LIST")]
    pub columns: Option<String>,
    /// How text shows times; JSON and CSV always have RFC 3339 UTC
    #[arg(long, value_enum, default_value_t = TimeFormat::Local, value_name = "FORMAT")]
    pub time: TimeFormat,
    /// When text has colours; `auto` is for terminals, unless NO_COLOR is set
    #[arg(long, value_enum, default_value_t = When::Auto, value_name = "WHEN")]
    pub color: When,
}

/// How events are captured.
#[derive(Args, Debug)]
#[command(next_help_heading = "Capture")]
pub struct CaptureArgs {
    /// Stop after this long, such as 30s, 5m or 1h 30m
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub duration: Option<Duration>,
    /// Stop after this many lines
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// Ring buffer between kernel and tracer, rounded up to a power of two [default: 64MiB]
    #[arg(long, value_name = "SIZE")]
    pub buffer: Option<buffer::Request>,
    /// Do not look for the sockets that exist already: their owners stay unknown
    #[arg(long)]
    pub no_snapshot: bool,
    /// Do not follow TIME_WAIT and orphans in FIN_WAIT2, of whose ends no event tells
    #[arg(long)]
    pub no_timewait: bool,
    /// Exit with status 3 if events were lost, or the kernel's own counters say something else
    #[arg(long)]
    pub strict: bool,
    /// Write the receipt here as JSON too
    #[arg(long, value_name = "FILE")]
    pub receipt: Option<PathBuf>,
    /// Take the kernel's types from here instead of /sys/kernel/btf/vmlinux
    #[arg(long, value_name = "PATH")]
    pub btf: Option<PathBuf>,
    /// Say more on standard error; twice: what the kernel program says of each event, too
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// Options of `check`.
#[derive(Args, Debug)]
pub struct CheckArgs {
    /// Take the kernel's types from here instead of /sys/kernel/btf/vmlinux
    #[arg(long, value_name = "PATH")]
    pub btf: Option<PathBuf>,
    /// When to use colours
    #[arg(long, value_enum, default_value_t = When::Auto, value_name = "WHEN")]
    pub color: When,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// A number alone means seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let seconds = || text.parse::<f64>().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let friendly =
        || text.parse::<jiff::SignedDuration>().ok().and_then(|span| Duration::try_from(span).ok());
    seconds()
        .or_else(friendly)
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "give a time greater than zero with its unit, such as 30s, 5m or 1h 30m".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn times() {
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("1h 30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("1.5"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        for text in ["", "0", "-1s", "s", "1 fortnight", "inf", "nan", "1e300"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
