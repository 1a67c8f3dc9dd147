//! Groups of options that several commands share.

use std::{num::NonZeroU32, path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};

use crate::{
    aggregate::findings::Threshold,
    filter::{addrs::Cidr, ports::Ports},
    format::{Kind, text::TimeFormat},
    select::story::parse_transition,
    source::kernel::{buffer, optional::Hooks},
    tcp::{cgroup::Cgroup, limits::Limit, netns::Netns, reasons::Reasons, states::States},
    text::{choice::Choice, glob::Glob},
    time::{duration, spec::TimeSpec},
};

/// The heading of filters in the help.
pub(super) const FILTERS: &str =
    "Filters (different ones are ANDed, values of one are ORed, those with ! take away)";

/// Filters.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = FILTERS)]
pub struct FilterArgs {
    /// Ports at either end: a list of ports, ranges and services, such as 443,8000-8100,postgresql; '!22' leaves
    /// out, as with the other filters
    #[arg(short = 'P', long, value_name = "PORTS", value_delimiter = ',')]
    pub port: Vec<Choice<Ports>>,
    /// Local ports
    #[arg(short = 'L', long, visible_alias = "localport", value_name = "PORTS", value_delimiter = ',')]
    pub local_port: Vec<Choice<Ports>>,
    /// Remote ports
    #[arg(short = 'D', long, visible_alias = "remoteport", value_name = "PORTS", value_delimiter = ',')]
    pub remote_port: Vec<Choice<Ports>>,
    /// Addresses at either end: a list of addresses and prefixes, such as 10.0.0.0/8,2001:db8::1
    #[arg(long, value_name = "CIDR", value_delimiter = ',')]
    pub addr: Vec<Choice<Cidr>>,
    /// Local addresses
    #[arg(long, value_name = "CIDR", value_delimiter = ',')]
    pub local_addr: Vec<Choice<Cidr>>,
    /// Remote addresses
    #[arg(long, value_name = "CIDR", value_delimiter = ',')]
    pub remote_addr: Vec<Choice<Cidr>>,
    /// IPv4 only, v4-mapped connections included
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    pub ipv4: bool,
    /// IPv6 only
    #[arg(short = '6', long)]
    pub ipv6: bool,
    /// Network namespaces: inode numbers, paths, names from `ip netns`, or pid:PID
    #[arg(long, value_name = "NETNS", value_delimiter = ',')]
    pub netns: Vec<Choice<Netns>>,
    /// Filters on a connection's story.
    #[command(flatten)]
    pub story: StoryFilterArgs,
}

/// Filters on a connection's story. There are none with `--raw`, nor with `--in-kernel`.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = FILTERS)]
pub struct StoryFilterArgs {
    /// Processes that own the socket, by their pids on the host
    #[arg(short, long, value_name = "PID", value_delimiter = ',')]
    pub pid: Vec<Choice<NonZeroU32>>,
    /// Names of these processes; * and ? are wildcards
    #[arg(long, value_name = "GLOB", value_delimiter = ',')]
    pub comm: Vec<Choice<String>>,
    /// Users that the socket belongs to, by name or number
    #[arg(short, long, value_name = "USER", value_delimiter = ',')]
    pub uid: Vec<Choice<String>>,
    /// Cgroups of the socket, with those below them, in the v2 hierarchy: paths such as /system.slice, names at any
    /// depth such as nginx.service; * and ? are wildcards. Those that are made later count, too; where the hook on
    /// new cgroups is missing, once they are found: there is a look at most every two seconds
    #[arg(long, value_name = "CGROUP", value_delimiter = ',')]
    pub cgroup: Vec<Choice<Cgroup>>,
    /// Containers of these cgroups, by name or identifier; * and ? are wildcards. Those that begin later count, too
    #[arg(long, value_name = "GLOB", value_delimiter = ',')]
    pub container: Vec<Choice<Glob>>,
    /// Pods of Kubernetes, by name
    #[arg(long, value_name = "GLOB", value_delimiter = ',')]
    pub pod: Vec<Choice<Glob>>,
    /// Namespaces of Kubernetes
    #[arg(long, value_name = "GLOB", value_delimiter = ',')]
    pub k8s_namespace: Vec<Choice<Glob>>,
    /// Units of systemd, such as nginx.service: the innermost that the cgroup is in
    #[arg(long, value_name = "GLOB", value_delimiter = ',')]
    pub unit: Vec<Choice<Glob>>,
    /// Transitions into or out of a state, such as CLOSE_WAIT, in any tool's spelling, or of one of ss's
    /// groups: all, connected, synchronized, bucket, big
    #[arg(long, value_name = "STATE", value_delimiter = ',')]
    pub state: Vec<Choice<States>>,
    /// Transitions from one state to another, such as ESTABLISHED:CLOSE_WAIT
    #[arg(long, value_name = "OLD:NEW", value_delimiter = ',', value_parser = parse_transition)]
    pub transition: Vec<(States, States)>,
    /// Transitions that end a connection for a reason, such as reset-remote, or for one of a group: reset, fin,
    /// timeout; * and ? are wildcards; '!fin' chooses the ends for other reasons
    #[arg(long, value_name = "REASON", value_delimiter = ',')]
    pub reason: Vec<Choice<Reasons>>,
}

impl StoryFilterArgs {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { pid, comm, uid, cgroup, container, pod, k8s_namespace, unit, state, transition, reason } =
            self;
        let globs = [container, pod, k8s_namespace, unit];
        pid.is_empty()
            && comm.is_empty()
            && uid.is_empty()
            && cgroup.is_empty()
            && globs.into_iter().all(Vec::is_empty)
            && state.is_empty()
            && transition.is_empty()
            && reason.is_empty()
    }
}

/// What is shown, and how.
#[derive(Args, Clone, Debug)]
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
    /// Colours in text; `auto` means on terminals, unless NO_COLOR is set
    #[arg(long, value_enum, default_value_t = When::Auto, value_name = "WHEN")]
    pub color: When,
    /// Stop after this many lines
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
}

/// How events are captured.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Capture")]
pub struct CaptureArgs {
    /// Stop after this long, such as 30s, 5m or 1h 30m; a number alone is seconds, as in every TIME
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub duration: Option<Duration>,
    /// Size of the buffer between kernel and tracer, for all CPUs together; rounded up to a power of two
    /// [default: 64MiB]
    #[arg(long, value_name = "SIZE")]
    pub buffer: Option<buffer::Request>,
    /// Kernel hooks beside the one on state transitions: those that the kernel offers, or none
    #[arg(long, value_enum, default_value_t, value_name = "WHICH")]
    pub hooks: Hooks,
    /// Take no snapshot of the sockets that exist at the start: their owners stay unknown
    #[arg(long)]
    pub no_snapshot: bool,
    /// Do not follow TIME_WAIT, and FIN_WAIT2 of orphans, to the end: that takes polling
    #[arg(long)]
    pub no_timewait: bool,
    /// Exit with status 3 if events were lost, or the kernel's own counters disagree
    #[arg(long)]
    pub strict: bool,
    /// Write the receipt to this file too, as JSON
    #[arg(long, value_name = "FILE")]
    pub receipt: Option<PathBuf>,
    /// Read the kernel's types from this file instead of /sys/kernel/btf/vmlinux
    #[arg(long, value_name = "PATH")]
    pub btf: Option<PathBuf>,
    /// More messages on standard error; twice: also the kernel program's, for each event
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// Recordings.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Recordings")]
pub struct RecordingArgs {
    /// Show what is in a recording, in several parts of one, or in those of several hosts (log, life, summary), instead
    /// of what happens now; `-` is standard input. Needs no privileges
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["buffer", "hooks", "no_snapshot", "btf"])]
    pub from: Vec<PathBuf>,
    /// Which part of it.
    #[command(flatten)]
    pub span: SpanArgs,
    /// As fast as it happened (1x), or so many times as fast [default: as fast as possible; `top`: 1x of files]
    #[arg(long, value_name = "N", requires = "from", value_parser = speed)]
    pub speed: Option<f64>,
    /// At the end of the recording wait for more: it is still being written
    #[arg(long, requires = "from")]
    pub follow: bool,
    /// Also keep what happens in a recording, a new file, for `--from`
    #[arg(long, value_name = "FILE", conflicts_with = "from")]
    pub record: Option<PathBuf>,
}

/// The part of a recording.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Recordings")]
pub struct SpanArgs {
    /// From this moment of the recording on: 2026-01-31T14:05:00Z, "2026-01-31 14:05", 14:05:30, -5m before the end, +30s
    /// after the beginning. What was before is known, and not shown
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub since: Option<TimeSpec>,
    /// Up to this moment
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub until: Option<TimeSpec>,
}

/// Parses `2x`, or `0.5`.
fn speed(text: &str) -> Result<f64, String> {
    let number = text.trim().trim_end_matches(['x', 'X']).parse().ok();
    let is_possible = |speed: &f64| (0.001..=1e6).contains(speed);
    number.filter(is_possible).ok_or_else(|| "give a number such as 1x, 10x or 0.5x".to_owned())
}

/// When a connection counts as stuck.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Stuck connections")]
pub struct StuckArgs {
    /// Connections that stay in a state longer than this: STATE=TIME, STATE=off, or `default` for
    /// SYN_SENT=10s,LAST_ACK=30s,CLOSE_WAIT=60s,FIN_WAIT2=90s, which `top` begins with
    #[arg(long, value_name = "STATE=TIME", value_delimiter = ',')]
    pub stuck: Vec<Limit>,
}

/// When something is a finding.
#[derive(Args, Clone, Debug, Default)]
pub struct FindingArgs {
    /// From which value on something is a finding: NAME=VALUE, such as close-wait=10 or resets=100, or NAME=off
    #[arg(long, value_name = "NAME=VALUE", value_delimiter = ',', help_heading = "Findings")]
    pub finding: Vec<Threshold>,
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
