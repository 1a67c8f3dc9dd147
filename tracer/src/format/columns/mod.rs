//! The table of columns. Text, JSON, CSV, `top`, `--columns help` and the documentation use it. A new column
//! is one row here.
//!
//! # Layout
//! - here: the table; `values`: how a row of it gets its value

mod values;

use std::fmt;

use tracer_common::{
    member::Member::{
        self, AckBacklog, BytesAcked, BytesReceived, Cgroup, CgroupNode, CopiedSeq, LastReceived, LastSent,
        MaxAckBacklog, Net, NetCookie, NetInum, NodeId, RcvNxt, Shutdown, SndUna, Srtt, TotalRetrans,
        WriteSeq,
    },
    state as number,
};

use crate::{
    format::{
        columns::values::{
            age, age_at_least, became, comm, connected, connection, container, duration, endpoint, error,
            event, family, found, holder_list, holders, idle, inet, known, lived, of_unix, port, queue, sent,
            shutdown, spent, state, stuck, time, transition, workload,
        },
        subject::{Getter, Story, Subject},
        value::{DataType, Value},
    },
    tcp::state::State,
};

/// The outputs in which a column is shown by default, as a bit set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DefaultIn(u32);

impl DefaultIn {
    /// Only on request.
    pub const NOWHERE: Self = Self(0);
    /// In the log's lines.
    pub const LOG_TEXT: Self = Self(1 << 0);
    /// In the log's JSON and CSV.
    pub const LOG_DATA: Self = Self(1 << 1);
    /// In the lines of `--raw`.
    pub const RAW_TEXT: Self = Self(1 << 2);
    /// In the JSON and CSV of `--raw`.
    pub const RAW_DATA: Self = Self(1 << 3);
    /// In the lines of `life`.
    pub const LIFE_TEXT: Self = Self(1 << 4);
    /// In the JSON and CSV of `life`.
    pub const LIFE_DATA: Self = Self(1 << 5);
    /// In the log's JSON and CSV, if not every line is a transition.
    pub const EVENT_DATA: Self = Self(1 << 6);
    /// In the lines of `--group`.
    pub const GROUP_TEXT: Self = Self(1 << 7);
    /// In the JSON and CSV of `--group`.
    pub const GROUP_DATA: Self = Self(1 << 8);
    /// In the JSON and CSV of `list`.
    pub const LIST_DATA: Self = Self(1 << 9);
    /// In those of `list --watch`, besides.
    pub const WATCH_DATA: Self = Self(1 << 10);
    /// In files of `export`, besides those of the log or of `life`.
    pub const EXPORT_DATA: Self = Self(1 << 11);
    /// In lines of several hosts.
    pub const HOSTS: Self = Self(1 << 12);

    /// In the lines of `list -i`.
    pub const LINKS_TEXT: Self = Self(1 << 16);
    /// In its JSON and CSV.
    pub const LINKS_DATA: Self = Self(1 << 17);
    /// In the lines of `list -r`.
    pub const ROUTES_TEXT: Self = Self(1 << 18);
    /// In those of `list -re`.
    pub const MORE_ROUTES_TEXT: Self = Self(1 << 19);
    /// In those of `list -r6`.
    pub const ROUTES6_TEXT: Self = Self(1 << 20);
    /// In the JSON and CSV of all these.
    pub const ROUTES_DATA: Self = Self(1 << 21);
    /// In lines of several network namespaces.
    pub const NAMESPACES_TEXT: Self = Self(1 << 22);

    const EVERYWHERE: Self = Self(0b11_1111);
    const TEXT: Self = Self(0b01_0101);
    const DATA: Self = Self(0b10_1010);

    /// The union of both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether this output is one of them.
    #[must_use]
    pub const fn includes(self, output: Self) -> bool {
        self.0 & output.0 != 0
    }
}

/// The views in whose lines a column may have a value, as a bit set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Views(u8);

impl Views {
    /// The log.
    pub const LOG: Self = Self(1 << 0);
    /// `life`.
    pub const LIFE: Self = Self(1 << 1);
    /// `--raw`.
    pub const RAW: Self = Self(1 << 2);
    /// `--group`. It also has the log's columns: those of the oldest connection.
    pub const GROUP: Self = Self(1 << 3);
    /// `list`.
    pub const LIST: Self = Self(1 << 4);

    /// Those of events.
    pub const EVENTS: Self = Self::LOG.and(Self::LIFE).and(Self::RAW).and(Self::GROUP);

    /// `list -i`.
    pub const LINKS: Self = Self(1 << 6);
    /// `list -r`.
    pub const ROUTES: Self = Self(1 << 7);

    const NAMES: [(Self, &str); 7] = [
        (Self::LOG, "log"),
        (Self::LIFE, "life"),
        (Self::RAW, "--raw"),
        (Self::GROUP, "--group"),
        (Self::LIST, "list"),
        (Self::LINKS, "list -i"),
        (Self::ROUTES, "list -r"),
    ];

    /// The union of both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether this view is one of them.
    #[must_use]
    pub const fn includes(self, view: Self) -> bool {
        self.0 & view.0 != 0
    }
}

impl fmt::Display for Views {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let included = Self::NAMES.iter().filter(|(view, _)| self.includes(*view));
        f.pad(&included.map(|(_, name)| *name).collect::<Vec<_>>().join(","))
    }
}

/// The alignment of a column in text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Aligned to the left; grows for values that do not fit.
    Left,
    /// Aligned to the right; grows as well.
    Right,
    /// Aligned to the left; values that do not fit are cut.
    Cut,
    /// An endpoint: aligned to the left; grows in steps.
    Address,
    /// A time of day.
    Clock,
}

/// A column.
pub struct Column<S: Subject = Story> {
    /// Its name in JSON, CSV and `--columns`.
    pub key: &'static str,
    /// The type of its values in data formats.
    pub data_type: DataType,
    /// Its title in text.
    pub title: &'static str,
    /// Its width in text.
    pub width: usize,
    /// How text lays it out.
    pub align: Align,
    /// Its help text.
    pub help: &'static str,
    /// The views in which it may have a value.
    pub views: Views,
    /// The outputs that show it by default.
    pub default_in: DefaultIn,
    /// The structure members that the kernel must have for it.
    pub needs: &'static [Member],
    /// How it gets its values out of rows.
    pub value: S::ValueOf,
}

use Align::{Address, Clock, Cut, Left, Right};
use DataType::{Boolean, Float64, List, Map, Timestamp, UInt64, Utf8};
use DefaultIn as S;

const ALL: Views = Views::LOG.and(Views::LIFE).and(Views::RAW);
const STORY: Views = Views::LOG.and(Views::LIFE);
const FOUND: Views = Views::LIST;

const LOG: S = S::LOG_TEXT.and(S::LOG_DATA);
const RAW: S = S::RAW_TEXT.and(S::RAW_DATA);
const LIFE: S = S::LIFE_TEXT.and(S::LIFE_DATA);
const GROUP: S = S::GROUP_TEXT.and(S::GROUP_DATA);
const STORY_DATA: S = S::LOG_DATA.and(S::LIFE_DATA);

// A column that files of `export` have by default is of `numbers!` or of `texts!`, by its type: it gets a loop of its own, which
// makes the binary 400 bytes larger. All others are of `Getter::row_by_row`.

/// A default column of numbers, durations, times or truths.
macro_rules! numbers {
    ($of_row:expr) => {
        Getter::at_once($of_row, |rows, gathered| gathered.gather_numbers(rows, $of_row))
    };
}

/// A default column of texts, maps or lists.
macro_rules! texts {
    ($of_row:expr) => {
        Getter::at_once($of_row, |rows, gathered| gathered.gather_texts(rows, $of_row))
    };
}

macro_rules! lived {
    ($key:literal, $title:literal, $state:ident) => {
        Column {
            key: $key,
            data_type: Float64,
            title: $title,
            width: 8,
            align: Right,
            views: STORY,
            default_in: S::LIFE_DATA,
            needs: &[],
            help: concat!("microseconds spent in ", stringify!($state)),
            value: numbers!(|row| spent(row, number::$state)),
        }
    };
}

/// All columns, in display order.
#[rustfmt::skip]
pub static COLUMNS: &[Column] = &[
    Column { key: "time", data_type: Timestamp, title: "TIME", width: 12, align: Clock, views: ALL.and(FOUND), default_in: LOG.and(RAW).and(GROUP).and(S::WATCH_DATA), needs: &[],
        help: "when it happened, or was listed (not when it was printed); RFC 3339 UTC in JSON and CSV",
        value: numbers!(|row| time(row, row.time_ns)) },
    Column { key: "time_ns", data_type: UInt64, title: "TIME_NS", width: 19, align: Right, views: ALL, default_in: S::EXPORT_DATA, needs: &[],
        help: "the same, or a connection's end, in nanoseconds since 1970; Parquet has times in microseconds",
        value: numbers!(|row| Value::Uint(row.context.clock.wall_ns(row.time_ns).try_into().unwrap_or_default())) },
    Column { key: "host", data_type: Utf8, title: "HOST", width: 10, align: Left, views: ALL, default_in: S::EXPORT_DATA.and(S::HOSTS), needs: &[],
        help: "name of the host that it happened on: of the recording's, or of this one",
        value: texts!(|row| if row.context.host.is_empty() { Value::Null } else { Value::Text(&row.context.host) }) },
    Column { key: "event", data_type: Utf8, title: "EVENT", width: 17, align: Left, views: ALL, default_in: S::EVENT_DATA.and(S::GROUP_DATA), needs: &[],
        help: "what the line is about: transition, reset (--resets), retransmit, retransmit-synack (--retransmits), stuck (--stuck)",
        value: texts!(event) },
    Column { key: "start", data_type: Timestamp, title: "START", width: 12, align: Clock, views: STORY, default_in: S::LIFE_DATA, needs: &[],
        help: "when the connection began; none if it is older than the tracer",
        value: numbers!(|row| connection(row, |c| c.born_ns().map(|ns| time(row, ns)))) },
    Column { key: "end", data_type: Timestamp, title: "END", width: 12, align: Clock, views: ALL, default_in: LIFE, needs: &[],
        help: "when the connection ended for its processes",
        value: numbers!(|row| time(row, row.time_ns)) },
    Column { key: "cookie", data_type: UInt64, title: "COOKIE", width: 8, align: Right, views: ALL.and(FOUND), default_in: STORY_DATA.and(S::LIST_DATA), needs: &[],
        help: "socket cookie: the socket's identity, which `ss -e` prints in hex as sk: (before Linux 5.12 a number of tracer's own, from 2^52 on)",
        value: numbers!(|row| known(row.cookie())) },
    Column { key: "netns", data_type: UInt64, title: "NETNS", width: 10, align: Right, views: ALL.and(FOUND), default_in: STORY_DATA.and(S::GROUP_DATA).and(S::LIST_DATA), needs: &[Net, NetInum],
        help: "inode number of the socket's network namespace; its name is netns_name",
        value: numbers!(|row| known(u64::from(row.netns()))) },
    Column { key: "netns_name", data_type: Utf8, title: "NETNS_NAME", width: 12, align: Left, views: ALL.and(FOUND), default_in: S::NOWHERE, needs: &[Net, NetInum],
        help: "name of the file that keeps that namespace, as `ip netns` lists it; none if none does",
        value: Getter::row_by_row(|row| row.context.names.netns(row.netns_id()).map_or(Value::Null, Value::Text)) },
    Column { key: "netns_cookie", data_type: UInt64, title: "NETNS_CK", width: 8, align: Right, views: ALL.and(FOUND), default_in: S::LOG_DATA.and(S::LIFE_DATA), needs: &[Net, NetCookie],
        help: "cookie of that namespace, which no other gets until the host restarts (since Linux 5.12)",
        value: numbers!(|row| known(u64::from(row.netns_cookie()))) },
    Column { key: "change", data_type: Utf8, title: "CHANGE", width: 7, align: Left, views: FOUND, default_in: S::WATCH_DATA, needs: &[],
        help: "what became of the socket since the list before (--watch): new, changed (its state, queues or processes) or gone",
        value: Getter::row_by_row(|row| found(row, |s| s.change.name().map(Value::Word))) },
    Column { key: "protocol", data_type: Utf8, title: "PROTO", width: 5, align: Left, views: FOUND, default_in: S::LIST_DATA, needs: &[],
        help: "tcp, udp or unix",
        value: Getter::row_by_row(|row| found(row, |s| Some(Value::Word(s.protocol.name())))) },
    Column { key: "cpu", data_type: UInt64, title: "CPU", width: 3, align: Right, views: ALL, default_in: RAW, needs: &[],
        help: "CPU that the event happened on",
        value: Getter::row_by_row(|row| row.cpu.map_or(Value::Null, |cpu| Value::Uint(u64::from(cpu)))) },
    Column { key: "pid", data_type: UInt64, title: "PID", width: 7, align: Right, views: ALL.and(FOUND), default_in: S::EVERYWHERE.and(GROUP).and(S::LIST_DATA), needs: &[],
        help: "process that owns the socket, as far as known (with --raw: the one on the CPU)",
        value: numbers!(|row| row.task.map_or(Value::Null, |task| Value::Uint(u64::from(task.pid)))) },
    Column { key: "tid", data_type: UInt64, title: "TID", width: 7, align: Right, views: ALL, default_in: S::RAW_DATA, needs: &[],
        help: "its thread that last worked on the socket (with --raw: the one on the CPU)",
        value: Getter::row_by_row(|row| row.task.map_or(Value::Null, |task| Value::Uint(u64::from(task.tid)))) },
    Column { key: "comm", data_type: Utf8, title: "COMM", width: 10, align: Cut, views: ALL.and(FOUND), default_in: S::EVERYWHERE.and(GROUP).and(S::LIST_DATA), needs: &[],
        help: "name of that process; text cuts it to 10 columns, and puts a question mark behind one that is not sure",
        value: texts!(comm) },
    Column { key: "owner", data_type: Utf8, title: "OWNER", width: 8, align: Left, views: STORY, default_in: STORY_DATA.and(S::GROUP_DATA), needs: &[],
        help: "how the process is known: own (it was working on the socket), accept (it has accepted the connection), holder (it was found holding the socket), snapshot (the same, in a snapshot at the start or after a loss), listener (the socket came out of its listener). Text marks listener, and one that was not found holding the socket (holders is 0), by a question mark",
        value: texts!(|row| connection(row, |c| c.owner.evidence.name().map(Value::Word))) },
    Column { key: "holders", data_type: UInt64, title: "HOLDERS", width: 7, align: Right, views: STORY.and(FOUND), default_in: STORY_DATA.and(S::LIST_DATA), needs: &[],
        help: "how many processes held the socket at the last search; none if there was none",
        value: numbers!(holders) },
    Column { key: "holder_list", data_type: List, title: "PROCESSES", width: 20, align: Left, views: STORY.and(FOUND), default_in: S::NOWHERE.and(S::LIST_DATA), needs: &[],
        help: "those processes: process id and name; text and CSV have 32 of them and say how many there are beside those, as +8; JSON has 1024",
        value: Getter::row_by_row(holder_list) },
    Column { key: "inode", data_type: UInt64, title: "INODE", width: 7, align: Right, views: FOUND, default_in: S::LIST_DATA, needs: &[],
        help: "inode number of the socket, which `/proc/PID/fd` has; none if no process can hold it, such as in TIME_WAIT",
        value: Getter::row_by_row(|row| found(row, |s| Some(known(u64::from(s.inode))))) },
    Column { key: "uid", data_type: UInt64, title: "UID", width: 5, align: Right, views: ALL.and(FOUND), default_in: STORY_DATA.and(S::GROUP_DATA).and(S::LIST_DATA), needs: &[],
        help: "user id of the socket; none if the kernel does not tell it",
        value: numbers!(|row| row.uid().map_or(Value::Null, |uid| Value::Uint(uid.into()))) },
    Column { key: "user", data_type: Utf8, title: "USER", width: 5, align: Left, views: FOUND, default_in: S::NOWHERE, needs: &[],
        help: "name of that user in the system's database; text has the number of one that is not there",
        value: Getter::row_by_row(|row| found(row, |s| s.uid.map(|uid| Value::NameOf(uid, row.context.names.user(uid))))) },
    Column { key: "cgroup", data_type: UInt64, title: "CGROUP", width: 6, align: Right, views: ALL.and(FOUND), default_in: STORY_DATA.and(S::GROUP_DATA).and(S::LIST_DATA), needs: &[Cgroup, CgroupNode, NodeId],
        help: "id of the socket's cgroup: the inode number of its directory in the v2 hierarchy, in all formats; its path is cgroup_path",
        value: numbers!(|row| known(row.cgroup())) },
    Column { key: "cgroup_path", data_type: Utf8, title: "CGROUP_PATH", width: 20, align: Left, views: ALL.and(FOUND), default_in: S::NOWHERE, needs: &[Cgroup, CgroupNode, NodeId],
        help: "path of that cgroup below the root of the v2 hierarchy; none if it was gone or not visible when it was looked up",
        value: Getter::row_by_row(|row| row.context.names.cgroup(row.cgroup()).map_or(Value::Null, Value::Text)) },
    Column { key: "container", data_type: Utf8, title: "CONTAINER", width: 12, align: Left, views: ALL.and(FOUND), default_in: S::NOWHERE, needs: &[Cgroup, CgroupNode, NodeId],
        help: "name of the container that the socket belongs to, as its runtime or Kubernetes calls it; if that is not found, its container_id; … where a name was cut",
        value: Getter::row_by_row(container) },
    Column { key: "container_id", data_type: Utf8, title: "CONTAINER_ID", width: 12, align: Left, views: ALL.and(FOUND), default_in: S::NOWHERE, needs: &[Cgroup, CgroupNode, NodeId],
        help: "identifier of that container, from the path of its cgroup; text has its first 12 digits; none if the path names none",
        value: Getter::row_by_row(|row| workload(row, |known| known.container_id().map(Value::Id))) },
    Column { key: "pod", data_type: Utf8, title: "POD", width: 20, align: Left, views: ALL.and(FOUND), default_in: S::NOWHERE, needs: &[Cgroup, CgroupNode, NodeId],
        help: "name of the Kubernetes pod that the socket belongs to; none if it was not found in what the kubelet and the runtime leave in files",
        value: Getter::row_by_row(|row| workload(row, |known| known.names().pod.as_deref().map(Value::Text))) },
    Column { key: "k8s_namespace", data_type: Utf8, title: "K8S_NS", width: 12, align: Left, views: ALL.and(FOUND), default_in: S::NOWHERE, needs: &[Cgroup, CgroupNode, NodeId],
        help: "the pod's namespace in Kubernetes",
        value: Getter::row_by_row(|row| workload(row, |known| known.names().k8s_namespace.as_deref().map(Value::Text))) },
    Column { key: "unit", data_type: Utf8, title: "UNIT", width: 20, align: Left, views: ALL.and(FOUND), default_in: S::NOWHERE, needs: &[Cgroup, CgroupNode, NodeId],
        help: "the innermost systemd unit that the socket belongs to, such as nginx.service; in a container or of a user's session it may be one of theirs",
        value: Getter::row_by_row(|row| workload(row, |known| known.unit().map(Value::Text))) },
    Column { key: "role", data_type: Utf8, title: "ROLE", width: 8, align: Left, views: STORY, default_in: STORY_DATA.and(S::LIFE_TEXT), needs: &[],
        help: "client, server or listener; none if its beginning was not seen and nothing else tells",
        value: texts!(|row| connection(row, |c| c.role.name().map(Value::Word))) },
    Column { key: "family", data_type: Utf8, title: "FAMILY", width: 6, align: Left, views: ALL.and(FOUND), default_in: S::DATA.and(S::LIST_DATA), needs: &[],
        help: "ipv4 or ipv6; a v4-mapped connection is ipv4 (with --raw: the socket's family)",
        value: texts!(family) },
    Column { key: "local", data_type: Utf8, title: "LOCAL", width: 21, align: Address, views: ALL.and(FOUND), default_in: S::TEXT, needs: &[],
        help: "local address and port",
        value: Getter::row_by_row(|row| inet(row, endpoint(row, row.local))) },
    Column { key: "local_addr", data_type: Utf8, title: "LADDR", width: 15, align: Address, views: ALL.and(FOUND), default_in: S::DATA.and(S::LIST_DATA), needs: &[],
        help: "local address",
        value: texts!(|row| inet(row, Value::Addr(row.local.addr))) },
    Column { key: "local_port", data_type: UInt64, title: "LPORT", width: 5, align: Right, views: ALL.and(FOUND), default_in: S::DATA.and(S::LIST_DATA), needs: &[],
        help: "local port; none before a client's is chosen",
        value: numbers!(|row| port(row.local.port)) },
    Column { key: "remote", data_type: Utf8, title: "REMOTE", width: 21, align: Address, views: ALL.and(FOUND), default_in: S::TEXT, needs: &[],
        help: "remote address and port",
        value: Getter::row_by_row(|row| row.remote.map_or(Value::Null, |end| endpoint(row, end))) },
    Column { key: "remote_addr", data_type: Utf8, title: "RADDR", width: 15, align: Address, views: ALL.and(FOUND), default_in: S::DATA.and(S::LIST_DATA), needs: &[],
        help: "remote address; none for a listener",
        value: texts!(|row| row.remote.map_or(Value::Null, |end| Value::Addr(end.addr))) },
    Column { key: "remote_port", data_type: UInt64, title: "RPORT", width: 5, align: Right, views: ALL.and(FOUND), default_in: S::DATA.and(S::LIST_DATA), needs: &[],
        help: "remote port; none for a listener",
        value: numbers!(|row| port(row.remote.and_then(|end| end.port))) },
    Column { key: "ifindex", data_type: UInt64, title: "IFINDEX", width: 7, align: Right, views: ALL.and(FOUND), default_in: S::NOWHERE, needs: &[],
        help: "index of the network device that the socket is bound to",
        value: Getter::row_by_row(|row| known(u64::from(row.ifindex()))) },
    Column { key: "interface", data_type: Utf8, title: "INTERFACE", width: 9, align: Left, views: ALL.and(FOUND), default_in: STORY_DATA.and(S::LIST_DATA), needs: &[],
        help: "name of the network device that the socket is bound to: by SO_BINDTODEVICE, by its VRF, or for its link-local address; the index if the name is not known",
        value: texts!(|row| row.local.device.map_or(Value::Null, Value::Device)) },
    Column { key: "mptcp", data_type: Utf8, title: "MPTCP", width: 8, align: Left, views: ALL, default_in: STORY_DATA, needs: &[],
        help: "token of the MPTCP connection that it is a subflow of, in hex as `ss -M` and `ss -ti` print it (since Linux 5.6)",
        value: texts!(|row| match row.mptcp_token() { 0 => Value::Null, token => Value::Hex(token) }) },
    Column { key: "lasted", data_type: Float64, title: "LASTED", width: 7, align: Right, views: STORY, default_in: S::LOG_TEXT, needs: &[],
        help: "time spent in the old state; none if its start was not seen",
        value: Getter::row_by_row(duration) },
    Column { key: "old_state", data_type: Utf8, title: "OLD", width: 11, align: Left, views: ALL, default_in: LOG.and(RAW), needs: &[],
        help: "state before",
        value: texts!(|row| Value::State(row.old)) },
    Column { key: "became", data_type: Utf8, title: "NEW", width: 11, align: Left, views: ALL, default_in: S::LOG_TEXT, needs: &[],
        help: "state after, and the reason if the connection ends with it",
        value: Getter::row_by_row(became) },
    Column { key: "new_state", data_type: Utf8, title: "NEW", width: 11, align: Left, views: ALL, default_in: S::LOG_DATA.and(RAW), needs: &[],
        help: "state after",
        value: texts!(|row| Value::State(row.new)) },
    Column { key: "state", data_type: Utf8, title: "STATE", width: 11, align: Left, views: ALL.and(FOUND), default_in: GROUP.and(S::LIST_DATA), needs: &[],
        help: "state that the socket is in; in `list` netstat's words, none for a UDP socket without a peer",
        value: Getter::row_by_row(state) },
    Column { key: "age_us", data_type: Float64, title: "AGE", width: 7, align: Right, views: STORY.and(FOUND), default_in: S::NOWHERE.and(S::LIST_DATA), needs: &[],
        help: "time since it entered that state; if that was not seen, none, and in text > with how long at least",
        value: Getter::row_by_row(age) },
    Column { key: "age_at_least_us", data_type: Float64, title: "AGE>=", width: 7, align: Right, views: STORY.and(FOUND), default_in: S::NOWHERE.and(S::LIST_DATA), needs: &[],
        help: "the same, or how long at least if it was not seen to enter that state",
        value: Getter::row_by_row(age_at_least) },
    Column { key: "count", data_type: UInt64, title: "COUNT", width: 5, align: Right, views: Views::GROUP, default_in: GROUP, needs: &[],
        help: "how many connections of the process are stuck in that state",
        value: Getter::row_by_row(|row| row.group.map_or(Value::Null, Value::Uint)) },
    Column { key: "oldest_us", data_type: Float64, title: "OLDEST", width: 7, align: Right, views: Views::GROUP, default_in: GROUP, needs: &[],
        help: "microseconds that the oldest of these is in that state, at least",
        value: Getter::row_by_row(|row| if row.group.is_some() { stuck(row) } else { Value::Null }) },
    Column { key: "state_us", data_type: Float64, title: "STATE_US", width: 10, align: Right, views: STORY, default_in: S::LOG_DATA, needs: &[],
        help: "microseconds spent in the old state; none if its start was not seen",
        value: numbers!(|row| transition(row, |s| s.state_ns.map(Value::Duration))) },
    Column { key: "state_error_us", data_type: Float64, title: "ERROR_US", width: 8, align: Right, views: STORY, default_in: S::LOG_DATA, needs: &[],
        help: "how far that may be off: 0 when measured, more when sampled",
        value: numbers!(|row| transition(row, |s| s.state_ns.map(|_| Value::Duration(s.error_ns)))) },
    Column { key: "stuck_us", data_type: Float64, title: "STUCK_US", width: 10, align: Right, views: Views::LOG, default_in: S::LOG_DATA, needs: &[],
        help: "on the line of a stuck connection (--stuck), which is no transition: microseconds that it has been in its state, at least",
        value: numbers!(stuck) },
    Column { key: "tx_bytes", data_type: UInt64, title: "TX", width: 7, align: Right, views: ALL.and(FOUND), default_in: STORY_DATA.and(S::LIFE_TEXT).and(S::LIST_DATA), needs: &[BytesAcked],
        help: "bytes of data that the peer has acknowledged; with a client older than the tracer its SYN may count as one",
        value: numbers!(|row| connected(row, sent(row))) },
    Column { key: "rx_bytes", data_type: UInt64, title: "RX", width: 7, align: Right, views: ALL.and(FOUND), default_in: STORY_DATA.and(S::LIFE_TEXT).and(S::LIST_DATA), needs: &[BytesReceived],
        help: "bytes of data received in order",
        value: numbers!(|row| connected(row, row.counters().received)) },
    Column { key: "srtt_us", data_type: UInt64, title: "SRTT_US", width: 7, align: Right, views: ALL.and(FOUND), default_in: STORY_DATA.and(S::LIFE_TEXT).and(S::LIST_DATA), needs: &[Srtt],
        help: "smoothed round-trip time in microseconds; none before the first measurement",
        value: numbers!(|row| known(u64::from(row.counters().srtt_us))) },
    Column { key: "retransmits", data_type: UInt64, title: "RETR", width: 4, align: Right, views: ALL.and(FOUND), default_in: STORY_DATA.and(S::LIFE_TEXT).and(S::LIST_DATA), needs: &[TotalRetrans],
        help: "segments retransmitted so far",
        value: numbers!(|row| connected(row, u64::from(row.counters().retransmits))) },
    Column { key: "retransmitted", data_type: Timestamp, title: "RETRANS", width: 12, align: Clock, views: STORY, default_in: STORY_DATA, needs: &[],
        help: "when a segment was last retransmitted; none if that was not seen, or the hook is missing",
        value: numbers!(|row| connection(row, |c| (c.retransmitted_ns > 0).then(|| time(row, c.retransmitted_ns)))) },
    Column { key: "handshake_us", data_type: UInt64, title: "SHAKE_US", width: 8, align: Right, views: STORY, default_in: STORY_DATA.and(S::LIFE_TEXT), needs: &[],
        help: "length of the handshake in microseconds: a client's time in SYN_SENT, a server's from SYN-ACK to ACK; none where the kernel measured something else",
        value: numbers!(|row| connection(row, |c| (c.handshake_us() > 0).then(|| Value::Uint(u64::from(c.handshake_us()))))) },
    Column { key: "recv_queue", data_type: UInt64, title: "RECVQ", width: 5, align: Right, views: ALL.and(FOUND), default_in: S::LOG_DATA.and(S::LIST_DATA), needs: &[RcvNxt, CopiedSeq, AckBacklog],
        help: "bytes received and not read yet; for a listener its accept queue",
        value: numbers!(|row| queue(row, row.counters().recv_queue)) },
    Column { key: "send_queue", data_type: UInt64, title: "SENDQ", width: 5, align: Right, views: ALL.and(FOUND), default_in: S::LOG_DATA.and(S::LIST_DATA), needs: &[WriteSeq, SndUna, MaxAckBacklog],
        help: "bytes written and not acknowledged yet; for a listener its accept queue's limit",
        value: numbers!(|row| queue(row, row.counters().send_queue)) },
    Column { key: "timer", data_type: Utf8, title: "TIMER", width: 5, align: Left, views: FOUND, default_in: S::LIST_DATA, needs: &[],
        help: "timer that runs: on (for retransmissions), keepalive, timewait or probe (of a closed window)",
        value: Getter::row_by_row(|row| found(row, |s| s.timer.map(|timer| Value::Word(timer.name())))) },
    Column { key: "timer_us", data_type: Float64, title: "EXPIRES", width: 7, align: Right, views: FOUND, default_in: S::LIST_DATA, needs: &[],
        help: "microseconds until it expires; the kernel counts it in jiffies, 1 to 10 ms",
        value: Getter::row_by_row(|row| found(row, |s| s.timer.map(|timer| Value::Duration(u64::from(timer.rest_ms) * 1_000_000)))) },
    Column { key: "unanswered", data_type: UInt64, title: "UNANSW", width: 6, align: Right, views: FOUND, default_in: S::LIST_DATA, needs: &[],
        help: "unanswered retransmissions or probes by that timer so far",
        value: Getter::row_by_row(|row| found(row, |s| s.timer.map(|timer| Value::Uint(u64::from(timer.unanswered))))) },
    Column { key: "type", data_type: Utf8, title: "TYPE", width: 4, align: Left, views: FOUND, default_in: S::LIST_DATA, needs: &[],
        help: "type of a unix socket: STREAM, DGRAM or SEQPACKET",
        value: Getter::row_by_row(|row| of_unix(row, |unix| Some(Value::Word(unix.type_name())))) },
    Column { key: "refcount", data_type: UInt64, title: "REFCNT", width: 6, align: Right, views: FOUND, default_in: S::LIST_DATA, needs: &[],
        help: "references to a unix socket, as the kernel counts them",
        value: Getter::row_by_row(|row| of_unix(row, |unix| unix.refcount.map(|count| Value::Uint(u64::from(count))))) },
    Column { key: "flags", data_type: Utf8, title: "FLAGS", width: 5, align: Left, views: FOUND, default_in: S::LIST_DATA, needs: &[],
        help: "flags of a unix socket: ACC if it accepts connections",
        value: Getter::row_by_row(|row| of_unix(row, |_| (row.new == State::LISTEN).then_some(Value::Word("ACC")))) },
    Column { key: "peer_inode", data_type: UInt64, title: "PEER", width: 7, align: Right, views: FOUND, default_in: S::LIST_DATA, needs: &[],
        help: "inode number of the unix socket at the other end",
        value: Getter::row_by_row(|row| of_unix(row, |unix| unix.peer_inode.map(|inode| Value::Uint(u64::from(inode))))) },
    Column { key: "path", data_type: Utf8, title: "PATH", width: 4, align: Left, views: FOUND, default_in: S::LIST_DATA, needs: &[],
        help: "path of a unix socket, or @ and its abstract name; what a terminal would obey is escaped in all formats",
        value: Getter::row_by_row(|row| of_unix(row, |unix| unix.path.as_deref().map(Value::Text))) },
    Column { key: "error", data_type: Utf8, title: "ERROR", width: 12, align: Left, views: ALL, default_in: STORY_DATA, needs: &[],
        help: "error pending on the socket, such as ECONNRESET",
        value: texts!(|row| error(row.error)) },
    Column { key: "shutdown", data_type: Utf8, title: "SHUT", width: 4, align: Left, views: ALL.and(FOUND), default_in: S::NOWHERE, needs: &[Shutdown],
        help: "sides that are shut down: r, w or rw",
        value: Getter::row_by_row(|row| shutdown(row.shutdown)) },
    Column { key: "duration_us", data_type: Float64, title: "DURATION", width: 8, align: Right, views: STORY, default_in: LIFE, needs: &[],
        help: "microseconds from beginning to end; none if the connection is older than the tracer",
        value: numbers!(|row| connection(row, |c| c.born_ns().map(|ns| Value::Duration(row.time_ns.saturating_sub(ns))))) },
    Column { key: "end_error_us", data_type: Float64, title: "END_ERR", width: 8, align: Right, views: STORY, default_in: S::LIFE_DATA, needs: &[],
        help: "how far the end, and with it the duration, may be off: 0 when measured, more when sampled",
        value: numbers!(|row| transition(row, |s| Some(Value::Duration(s.error_ns)))) },
    Column { key: "lived_at_least_us", data_type: Float64, title: "AT_LEAST", width: 8, align: Right, views: STORY, default_in: S::LIFE_DATA, needs: &[],
        help: "microseconds from when it was first seen to its end",
        value: numbers!(|row| connection(row, |c| Some(Value::Duration(row.time_ns.saturating_sub(c.seen_ns()))))) },
    lived!("syn_sent_us", "SYN_SENT", SYN_SENT),
    lived!("syn_recv_us", "SYN_RECV", SYN_RECV),
    lived!("established_us", "ESTAB", ESTABLISHED),
    lived!("fin_wait1_us", "FIN_WAIT1", FIN_WAIT1),
    lived!("fin_wait2_us", "FIN_WAIT2", FIN_WAIT2),
    lived!("close_wait_us", "CLOSE_WAIT", CLOSE_WAIT),
    lived!("closing_us", "CLOSING", CLOSING),
    lived!("last_ack_us", "LAST_ACK", LAST_ACK),
    Column { key: "reason", data_type: Utf8, title: "REASON", width: 18, align: Left, views: STORY, default_in: STORY_DATA.and(S::LIFE_TEXT), needs: &[],
        help: "why the connection ended for its processes; only on the transition that ends it",
        value: texts!(|row| transition(row, |s| s.reason.map(|reason| Value::Word(reason.name())))) },
    Column { key: "closed_by", data_type: Utf8, title: "CLOSED", width: 6, align: Left, views: STORY, default_in: STORY_DATA, needs: &[],
        help: "whose FIN or RST came first: local, remote or both; on the transition that ends the connection; none if there was neither",
        value: texts!(|row| transition(row, |s| s.closed_by()?.name().map(Value::Word))) },
    Column { key: "idle_us", data_type: Float64, title: "IDLE_US", width: 10, align: Right, views: STORY, default_in: STORY_DATA, needs: &[LastSent, LastReceived],
        help: "microseconds from the last data of either side to the end; on the transition that ends the connection; none if there was no data",
        value: numbers!(|row| idle(row, |(idle_ns, _)| idle_ns)) },
    Column { key: "idle_error_us", data_type: Float64, title: "IDLE_ERR", width: 8, align: Right, views: STORY, default_in: STORY_DATA, needs: &[LastSent, LastReceived],
        help: "how far that may be off: the kernel's stamps are jiffies, 1 to 10 ms",
        value: numbers!(|row| idle(row, |(_, error_ns)| error_ns)) },
    Column { key: "reset", data_type: Utf8, title: "RESET", width: 8, align: Left, views: STORY, default_in: STORY_DATA, needs: &[],
        help: "direction of the connection's last RST: sent or received; none if there was none so far, or the hook is missing",
        value: texts!(|row| connection(row, |c| c.reset.name().map(Value::Word))) },
    Column { key: "reset_reason", data_type: Utf8, title: "RESET REASON", width: 18, align: Left, views: STORY, default_in: STORY_DATA, needs: &[],
        help: "why the kernel sent that RST (enum sk_rst_reason, since Linux 6.10)",
        value: texts!(|row| connection(row, |c| row.reset_reasons.why(c.reset_reason).map(Value::Word))) },
    Column { key: "reuse", data_type: Boolean, title: "REUSE", width: 5, align: Left, views: STORY, default_in: S::LOG_DATA, needs: &[],
        help: "whether a new connection took addresses and ports over: from one in TIME_WAIT here",
        value: numbers!(|row| transition(row, |s| Some(Value::Bool(s.is_reuse)))) },
    Column { key: "lived", data_type: Map, title: "TIME IN STATES", width: 14, align: Left, views: STORY, default_in: S::LIFE_TEXT, needs: &[],
        help: "time spent in each state",
        value: Getter::row_by_row(lived) },
];

/// The columns whose values are names that have to be looked up.
pub const NAMES: [&str; 7] =
    ["cgroup_path", "container", "container_id", "pod", "k8s_namespace", "unit", "netns_name"];

/// Finds a column by its key.
#[must_use]
pub fn column(key: &str) -> Option<&'static Column> {
    COLUMNS.iter().find(|column| column.key == key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{links::Links, routes::Routes};
    use std::{collections::HashSet, fmt::Write as _};

    #[test]
    fn keys_are_unique_and_can_be_listed() {
        let keys: HashSet<_> = COLUMNS.iter().map(|column| column.key).collect();
        assert_eq!(keys.len(), COLUMNS.len());
        assert!(!keys.contains("help"));
        assert!(
            keys.iter()
                .all(|key| key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'))
        );
    }

    fn markdown() -> String {
        let mut out = String::from(
            "# Columns\n\nNames are those of JSON, CSV and `--columns`. What is not known is `null` in JSON, empty in CSV and \
             `-` in text.\nDefaults: **t** text and **d** JSON and CSV of the log, **T** and **D** with `--raw`, **l** and **j** \
             of `life`, **g** and **h** with\n`--group`, whose lines also have the log's columns: those of the oldest connection, **n** JSON and CSV of `list`, **x** files of `export`\n(beside **d**, or **j** with `--life`). This page is made from\n`tracer/src/format/columns/mod.rs` by `UPDATE_DOCS=1 cargo test`.\n\n\
             Names of tasks are any bytes. In text and CSV what a terminal would obey and what cannot be seen is \
             escaped, as\n`\\x1b` or `\\u{202e}`. JSON has these characters themselves, in JSON's own escapes (but that \
             of `summary` as text). In all\nformats a byte that is no UTF-8 is `\\xff`, and a backslash is `\\\\` (in the \
             value that a JSON reader gives), so different\nnames stay different.\n\n\
             | column | title | views | default | meaning |\n|---|---|---|---|---|\n",
        );
        let outputs = [
            (S::LOG_TEXT, 't'),
            (S::LOG_DATA, 'd'),
            (S::RAW_TEXT, 'T'),
            (S::RAW_DATA, 'D'),
            (S::LIFE_TEXT, 'l'),
            (S::LIFE_DATA, 'j'),
            (S::GROUP_TEXT, 'g'),
            (S::GROUP_DATA, 'h'),
            (S::LIST_DATA, 'n'),
            (S::EXPORT_DATA, 'x'),
        ];
        for column in COLUMNS {
            let shown = outputs.into_iter().filter(|(output, _)| column.default_in.includes(*output));
            let marks: String = shown.map(|(_, mark)| mark).collect();
            let Column { key, title, views, help, .. } = column;
            writeln!(out, "| `{key}` | {title} | {views} | {marks} | {help} |").unwrap();
        }
        out.push_str(&of_network::<Links>(
            "Interfaces (`list -i`)",
            &[(S::LINKS_TEXT, 't'), (S::LINKS_DATA, 'd')],
        ));
        let outputs = [
            (S::ROUTES_TEXT, 't'),
            (S::MORE_ROUTES_TEXT, 'e'),
            (S::ROUTES6_TEXT, '6'),
            (S::ROUTES_DATA, 'd'),
        ];
        out.push_str(&of_network::<Routes>("Routes (`list -r`)", &outputs));
        out
    }

    fn of_network<T: Subject>(title: &str, outputs: &[(DefaultIn, char)]) -> String {
        let mut out = format!("\n## {title}\n\n");
        out.push_str("Defaults: **t** text, **d** JSON and CSV, **e** with `-e`, **6** with `-6`.\n\n");
        out.push_str("| column | title | default | meaning |\n|---|---|---|---|\n");
        for Column { key, title, help, default_in, .. } in T::columns() {
            let shown = outputs.iter().filter(|(output, _)| default_in.includes(*output));
            let marks: String = shown.map(|(_, mark)| *mark).collect();
            writeln!(out, "| `{key}` | {title} | {marks} | {help} |").unwrap();
        }
        out
    }

    #[test]
    fn keys_of_other_subjects_are_unique() {
        fn keys<T: Subject>() -> Vec<&'static str> {
            T::columns().iter().map(|column| column.key).collect()
        }
        for keys in [keys::<Links>(), keys::<Routes>()] {
            assert_eq!(keys.iter().collect::<HashSet<_>>().len(), keys.len());
            assert!(
                keys.iter().flat_map(|key| key.bytes()).all(|b| b.is_ascii_lowercase() || b"_".contains(&b))
            );
        }
    }

    #[test]
    fn the_documentation_has_the_same_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/columns.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, markdown()).unwrap();
        }
        assert!(std::fs::read_to_string(path).unwrap() == markdown(), "run UPDATE_DOCS=1 cargo test");
    }

    #[test]
    fn lines_fit_120_columns() {
        for output in [S::LOG_TEXT, S::RAW_TEXT] {
            let columns: Vec<_> =
                COLUMNS.iter().filter(|column| column.default_in.includes(output)).collect();
            // The longest final state with its reason. Two longer reasons are rare, and may wrap.
            let width_of = |column: &Column| {
                if column.key == "became" { "CLOSE reset-local-linger".len() } else { column.width }
            };
            let width: usize = columns.iter().map(|column| width_of(column) + 1).sum::<usize>() - 1;
            assert!(width <= 120, "{width}");
        }
    }
}
