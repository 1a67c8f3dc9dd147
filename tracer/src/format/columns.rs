//! The table of columns: text, JSON, CSV, `--columns help` and the documentation all read it.

use std::net::IpAddr;

use tracer_common::{
    event::{COMM_LEN, flag, kind},
    member::Member::{
        self, AckBacklog, BytesAcked, BytesReceived, Cgroup, CgroupNode, CopiedSeq, MaxAckBacklog, Net,
        NetInum, NodeId, RcvNxt, Shutdown, SndUna, Srtt, TotalRetrans, WriteSeq,
    },
    state as number,
};

use crate::{
    format::row::{End, Row},
    tcp::state::State,
    track::{
        Tracked,
        connection::{Connection, Counters, LIVED_STATES},
        reason::Reason,
    },
};

/// What a column holds, for each format to write in its own way.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// Not known, or not applicable.
    Null,
    /// A number.
    Uint(u64),
    /// Yes or no.
    Bool(bool),
    /// A word: ours, or one that the kernel has for something.
    Word(&'a str),
    /// An RST: which way it went, and why it was sent. For text.
    Reset(&'static str, Option<&'a str>),
    /// A process's name, zero-padded: any bytes.
    Name([u8; COMM_LEN]),
    /// An error without a name of ours.
    Errno(u16),
    /// A time of day, in nanoseconds since 1970 and since the tracer's start.
    Time(i64, i64),
    /// A time that passed, in nanoseconds; data formats have microseconds.
    Lasted(u64),
    /// A time that passed, and how far it may be off.
    LastedAbout(u64, u64),
    /// A time that passed, or more.
    LastedAtLeast(u64),
    /// A state.
    State(State),
    /// A state, and why it is the last one. For text.
    Became(State, Option<Reason>),
    /// A state that has not been left for too long. For text.
    Stuck(State),
    /// An address.
    Addr(IpAddr),
    /// Address and port.
    End(End),
    /// The time spent in each state. For text.
    Lived(&'a Connection),
}

/// Where a column is shown when the user has not chosen columns: bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown(u8);

impl Shown {
    /// On request only.
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
    /// In the log's JSON and CSV, where not every line is a transition.
    pub const INCIDENT_DATA: Self = Self(1 << 6);

    const EVERYWHERE: Self = Self(0b11_1111);
    const TEXT: Self = Self(0b01_0101);
    const DATA: Self = Self(0b10_1010);

    /// There, and there too.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether it is shown there.
    #[must_use]
    pub const fn is_in(self, place: Self) -> bool {
        self.0 & place.0 != 0
    }
}

/// How text lays a column out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// To the left; grows to what does not fit.
    Left,
    /// To the right; grows too.
    Right,
    /// To the left; cut to its width.
    Cut,
    /// An end of a connection: to the left; grows in steps.
    Address,
    /// A time of day.
    Clock,
}

/// A column.
pub struct Field {
    /// Its name in JSON, CSV and `--columns`.
    pub key: &'static str,
    /// Its title in text.
    pub title: &'static str,
    /// Its width in text.
    pub width: usize,
    /// How text lays it out.
    pub layout: Layout,
    /// What it means.
    pub help: &'static str,
    /// Where it is shown by default.
    pub shown: Shown,
    /// What the kernel must tell for it.
    pub needs: &'static [Member],
    /// Its value.
    pub value: for<'a> fn(&Row<'a>) -> Value<'a>,
}

use Layout::{Address, Clock, Cut, Left, Right};
use Shown as S;

const LOG: S = S::LOG_TEXT.and(S::LOG_DATA);
const RAW: S = S::RAW_TEXT.and(S::RAW_DATA);
const LIFE: S = S::LIFE_TEXT.and(S::LIFE_DATA);
const STORY_DATA: S = S::LOG_DATA.and(S::LIFE_DATA);

macro_rules! lived {
    ($key:literal, $title:literal, $state:ident) => {
        Field {
            key: $key,
            title: $title,
            width: 8,
            layout: Right,
            shown: S::LIFE_DATA,
            needs: &[],
            help: concat!("microseconds spent in ", stringify!($state)),
            value: |row| spent(row, number::$state),
        }
    };
}

/// All columns, in the order in which they are shown.
#[rustfmt::skip]
pub static FIELDS: &[Field] = &[
    Field { key: "time", title: "TIME", width: 12, layout: Clock, shown: LOG.and(RAW), needs: &[],
        help: "when it happened (not when it was printed); RFC 3339 UTC in JSON and CSV",
        value: |row| time(row, row.event.time_ns) },
    Field { key: "event", title: "EVENT", width: 17, layout: Left, shown: S::INCIDENT_DATA, needs: &[],
        help: "what the line tells of: transition, reset (--resets), retransmit, retransmit-synack (--retransmits), stuck (--stuck)",
        value: event },
    Field { key: "start", title: "START", width: 12, layout: Clock, shown: S::LIFE_DATA, needs: &[],
        help: "when the connection began; none if it is older than the tracer",
        value: |row| connection(row, |c| c.born_ns().map(|ns| time(row, ns))) },
    Field { key: "end", title: "END", width: 12, layout: Clock, shown: LIFE, needs: &[],
        help: "when the connection ended for its processes",
        value: |row| time(row, row.event.time_ns) },
    Field { key: "cookie", title: "COOKIE", width: 8, layout: Right, shown: STORY_DATA, needs: &[],
        help: "socket cookie: the socket's identity, which `ss -e` prints in hex as sk: (before Linux 5.12 a number of tracer's own, from 2^52 on)",
        value: |row| known(row.event.cookie) },
    Field { key: "netns", title: "NETNS", width: 10, layout: Right, shown: STORY_DATA, needs: &[Net, NetInum],
        help: "inode number of the socket's network namespace",
        value: |row| known(u64::from(row.event.netns)) },
    Field { key: "cpu", title: "CPU", width: 3, layout: Right, shown: RAW, needs: &[],
        help: "CPU that the event happened on",
        value: |row| unless_sampled(row, || Value::Uint(u64::from(row.event.cpu))) },
    Field { key: "pid", title: "PID", width: 7, layout: Right, shown: S::EVERYWHERE, needs: &[],
        help: "process that owns the socket, as far as known (with --raw: that was on the CPU)",
        value: |row| row.task.map_or(Value::Null, |task| Value::Uint(u64::from(task.pid))) },
    Field { key: "tid", title: "TID", width: 7, layout: Right, shown: S::RAW_DATA, needs: &[],
        help: "its thread that last worked on the socket (with --raw: that was on the CPU)",
        value: |row| row.task.map_or(Value::Null, |task| Value::Uint(u64::from(task.tid))) },
    Field { key: "comm", title: "COMM", width: 10, layout: Cut, shown: S::EVERYWHERE, needs: &[],
        help: "name of that process; text cuts it to 10 columns",
        value: |row| row.task.map_or(Value::Null, |task| Value::Name(task.comm)) },
    Field { key: "owner", title: "OWNER", width: 8, layout: Left, shown: STORY_DATA, needs: &[],
        help: "how the process is known: own (it was working on the socket), accept (it has accepted the connection), listener (the socket came out of its listener), snapshot (it was found holding it)",
        value: |row| connection(row, |c| c.owner.source.name().map(Value::Word)) },
    Field { key: "uid", title: "UID", width: 5, layout: Right, shown: STORY_DATA, needs: &[],
        help: "user id of the socket",
        value: |row| if row.event.flags & flag::BARE != 0 { Value::Null } else { Value::Uint(u64::from(row.event.uid)) } },
    Field { key: "cgroup", title: "CGROUP", width: 6, layout: Right, shown: STORY_DATA, needs: &[Cgroup, CgroupNode, NodeId],
        help: "id of the socket's cgroup: the inode number of its directory in the v2 hierarchy",
        value: |row| known(row.event.cgroup) },
    Field { key: "role", title: "ROLE", width: 8, layout: Left, shown: STORY_DATA.and(S::LIFE_TEXT), needs: &[],
        help: "client, server or listener; none if its birth was not seen and nothing tells",
        value: |row| connection(row, |c| c.role.name().map(Value::Word)) },
    Field { key: "family", title: "FAMILY", width: 6, layout: Left, shown: S::DATA, needs: &[],
        help: "ipv4 or ipv6; a v4-mapped connection is ipv4 (with --raw: the socket's family)",
        value: |row| Value::Word(row.family.name()) },
    Field { key: "local", title: "LOCAL", width: 21, layout: Address, shown: S::TEXT, needs: &[],
        help: "local address and port",
        value: |row| Value::End(row.local) },
    Field { key: "local_addr", title: "LADDR", width: 15, layout: Address, shown: S::DATA, needs: &[],
        help: "local address",
        value: |row| Value::Addr(row.local.addr) },
    Field { key: "local_port", title: "LPORT", width: 5, layout: Right, shown: S::DATA, needs: &[],
        help: "local port; none before a client's is chosen",
        value: |row| port(row.local.port) },
    Field { key: "remote", title: "REMOTE", width: 21, layout: Address, shown: S::TEXT, needs: &[],
        help: "remote address and port",
        value: |row| row.remote.map_or(Value::Null, Value::End) },
    Field { key: "remote_addr", title: "RADDR", width: 15, layout: Address, shown: S::DATA, needs: &[],
        help: "remote address; none for a listener",
        value: |row| row.remote.map_or(Value::Null, |end| Value::Addr(end.addr)) },
    Field { key: "remote_port", title: "RPORT", width: 5, layout: Right, shown: S::DATA, needs: &[],
        help: "remote port; none for a listener",
        value: |row| port(row.remote.and_then(|end| end.port)) },
    Field { key: "lasted", title: "LASTED", width: 7, layout: Right, shown: S::LOG_TEXT, needs: &[],
        help: "time spent in the old state; none if its start was not seen",
        value: lasted },
    Field { key: "old_state", title: "OLD", width: 11, layout: Left, shown: LOG.and(RAW), needs: &[],
        help: "state before",
        value: |row| Value::State(row.old) },
    Field { key: "became", title: "NEW", width: 11, layout: Left, shown: S::LOG_TEXT, needs: &[],
        help: "state after, and the reason if the connection ends with it",
        value: became },
    Field { key: "new_state", title: "NEW", width: 11, layout: Left, shown: S::LOG_DATA.and(RAW), needs: &[],
        help: "state after",
        value: |row| Value::State(row.new) },
    Field { key: "state_us", title: "STATE_US", width: 10, layout: Right, shown: S::LOG_DATA, needs: &[],
        help: "microseconds spent in the old state; none if its start was not seen",
        value: |row| story(row, |s| s.state_ns.map(Value::Lasted)) },
    Field { key: "state_error_us", title: "ERROR_US", width: 8, layout: Right, shown: S::LOG_DATA, needs: &[],
        help: "how far that may be off: 0 when measured, more when sampled",
        value: |row| story(row, |s| s.state_ns.map(|_| Value::Lasted(s.error_ns))) },
    Field { key: "stuck_us", title: "STUCK_US", width: 10, layout: Right, shown: S::LOG_DATA, needs: &[],
        help: "on the line of a connection that is stuck (--stuck), which is no transition: microseconds that it has been in its state, at least",
        value: |row| story(row, |s| s.stuck_ns.map(Value::Lasted)) },
    Field { key: "tx_bytes", title: "TX", width: 7, layout: Right, shown: STORY_DATA.and(S::LIFE_TEXT), needs: &[BytesAcked],
        help: "bytes of data that the peer has acknowledged; with a client older than the tracer its SYN may count as one",
        value: |row| connected(row, sent(row)) },
    Field { key: "rx_bytes", title: "RX", width: 7, layout: Right, shown: STORY_DATA.and(S::LIFE_TEXT), needs: &[BytesReceived],
        help: "bytes of data received in order",
        value: |row| connected(row, received(row)) },
    Field { key: "srtt_us", title: "SRTT_US", width: 7, layout: Right, shown: STORY_DATA.and(S::LIFE_TEXT), needs: &[Srtt],
        help: "smoothed round-trip time in microseconds; none before the first measurement",
        value: |row| known(u64::from(row.event.srtt_us)) },
    Field { key: "retransmits", title: "RETR", width: 4, layout: Right, shown: STORY_DATA.and(S::LIFE_TEXT), needs: &[TotalRetrans],
        help: "segments retransmitted so far",
        value: |row| connected(row, u64::from(row.event.retransmits)) },
    Field { key: "retransmitted", title: "RETRANS", width: 12, layout: Clock, shown: STORY_DATA, needs: &[],
        help: "when a segment was last retransmitted; none if the hook is not there",
        value: |row| connection(row, |c| (c.retransmitted_ns > 0).then(|| time(row, c.retransmitted_ns))) },
    Field { key: "handshake_us", title: "SHAKE_US", width: 8, layout: Right, shown: STORY_DATA.and(S::LIFE_TEXT), needs: &[],
        help: "length of the handshake in microseconds: a client's time in SYN_SENT, a server's from SYN-ACK to ACK",
        value: |row| connection(row, |c| (c.handshake_us > 0).then(|| Value::Uint(u64::from(c.handshake_us)))) },
    Field { key: "recv_queue", title: "RECVQ", width: 5, layout: Right, shown: S::LOG_DATA, needs: &[RcvNxt, CopiedSeq, AckBacklog],
        help: "bytes received and not read yet; for a listener its accept queue",
        value: |row| unless_sampled(row, || Value::Uint(u64::from(row.event.recv_queue))) },
    Field { key: "send_queue", title: "SENDQ", width: 5, layout: Right, shown: S::LOG_DATA, needs: &[WriteSeq, SndUna, MaxAckBacklog],
        help: "bytes written and not acknowledged yet; for a listener its accept queue's limit",
        value: |row| unless_sampled(row, || Value::Uint(u64::from(row.event.send_queue))) },
    Field { key: "error", title: "ERROR", width: 12, layout: Left, shown: STORY_DATA, needs: &[],
        help: "error pending on the socket, such as ECONNRESET",
        value: |row| error(row.event.error) },
    Field { key: "shutdown", title: "SHUT", width: 4, layout: Left, shown: S::NOWHERE, needs: &[Shutdown],
        help: "sides that are shut down: r, w or rw",
        value: |row| shutdown(row.event.shutdown) },
    Field { key: "duration_us", title: "DURATION", width: 8, layout: Right, shown: LIFE, needs: &[],
        help: "microseconds from beginning to end; none if the connection is older than the tracer",
        value: |row| connection(row, |c| c.born_ns().map(|ns| Value::Lasted(row.event.time_ns.saturating_sub(ns)))) },
    Field { key: "end_error_us", title: "END_ERR", width: 8, layout: Right, shown: S::LIFE_DATA, needs: &[],
        help: "how far the end, and with it the duration, may be off: 0 when measured, more when sampled",
        value: |row| story(row, |s| Some(Value::Lasted(s.error_ns))) },
    Field { key: "lived_at_least_us", title: "AT_LEAST", width: 8, layout: Right, shown: S::LIFE_DATA, needs: &[],
        help: "microseconds from when it was first seen to its end",
        value: |row| connection(row, |c| Some(Value::Lasted(row.event.time_ns.saturating_sub(c.seen_ns())))) },
    lived!("syn_sent_us", "SYN_SENT", SYN_SENT),
    lived!("syn_recv_us", "SYN_RECV", SYN_RECV),
    lived!("established_us", "ESTAB", ESTABLISHED),
    lived!("fin_wait1_us", "FIN_WAIT1", FIN_WAIT1),
    lived!("fin_wait2_us", "FIN_WAIT2", FIN_WAIT2),
    lived!("close_wait_us", "CLOSE_WAIT", CLOSE_WAIT),
    lived!("closing_us", "CLOSING", CLOSING),
    lived!("last_ack_us", "LAST_ACK", LAST_ACK),
    Field { key: "reason", title: "REASON", width: 18, layout: Left, shown: STORY_DATA.and(S::LIFE_TEXT), needs: &[],
        help: "why the connection ended for its processes; only on the transition that ends it",
        value: |row| story(row, |s| s.reason.map(|reason| Value::Word(reason.name()))) },
    Field { key: "reset", title: "RESET", width: 8, layout: Left, shown: STORY_DATA, needs: &[],
        help: "which way the connection's last RST went: sent or received; none if there was none before, or the hook is not there",
        value: |row| connection(row, |c| c.reset.name().map(Value::Word)) },
    Field { key: "reset_reason", title: "RESET REASON", width: 18, layout: Left, shown: STORY_DATA, needs: &[],
        help: "why the kernel sent it (enum sk_rst_reason, in Linux since 6.10)",
        value: |row| connection(row, |c| row.names.why(c.reset_reason).map(Value::Word)) },
    Field { key: "reuse", title: "REUSE", width: 5, layout: Left, shown: S::LOG_DATA, needs: &[],
        help: "whether these addresses and ports went from a connection in TIME_WAIT to a new one here",
        value: |row| story(row, |s| Some(Value::Bool(s.is_reuse))) },
    Field { key: "lived", title: "TIME IN STATES", width: 14, layout: Left, shown: S::LIFE_TEXT, needs: &[],
        help: "time spent in each state",
        value: lived },
];

/// The column of that name.
#[must_use]
pub fn field(key: &str) -> Option<&'static Field> {
    FIELDS.iter().find(|field| field.key == key)
}

fn time<'a>(row: &Row<'_>, monotonic_ns: u64) -> Value<'a> {
    Value::Time(row.clock.wall_ns(monotonic_ns), row.clock.since_start_ns(monotonic_ns))
}

fn story<'a>(row: &Row<'a>, value: impl FnOnce(&'a Tracked) -> Option<Value<'a>>) -> Value<'a> {
    row.story.and_then(value).unwrap_or(Value::Null)
}

fn connection<'a>(row: &Row<'a>, value: impl FnOnce(&'a Connection) -> Option<Value<'a>>) -> Value<'a> {
    story(row, |story| value(&story.connection))
}

/// A fact that 0 says nothing about.
fn known<'a>(number: u64) -> Value<'a> {
    if number == 0 { Value::Null } else { Value::Uint(number) }
}

fn port<'a>(port: Option<u16>) -> Value<'a> {
    port.map_or(Value::Null, |port| Value::Uint(u64::from(port)))
}

/// A counter that only a full socket with a peer has.
fn connected<'a>(row: &Row<'_>, count: u64) -> Value<'a> {
    if row.remote.is_none() || row.event.flags & flag::BARE != 0 { Value::Null } else { Value::Uint(count) }
}

/// What only a full socket has.
fn unless_sampled<'a>(row: &Row<'_>, value: impl FnOnce() -> Value<'a>) -> Value<'a> {
    if row.event.flags & (flag::TIME_WAIT | flag::BARE) != 0 { Value::Null } else { value() }
}

fn sent(row: &Row<'_>) -> u64 {
    let role = row.story.map(|story| story.connection.role).unwrap_or_default();
    Counters::of(row.event).sent(role, row.event.old_state)
}

fn received(row: &Row<'_>) -> u64 {
    Counters::of(row.event).received
}

fn lasted<'a>(row: &Row<'a>) -> Value<'a> {
    story(row, |story| {
        if let (None, Some(stuck_ns)) = (story.state_ns, story.stuck_ns) {
            return Some(Value::LastedAtLeast(stuck_ns));
        }
        let lasted_ns = story.state_ns?;
        Some(match story.error_ns {
            0 => Value::Lasted(lasted_ns),
            error_ns => Value::LastedAbout(lasted_ns, error_ns),
        })
    })
}

fn event<'a>(row: &Row<'_>) -> Value<'a> {
    let is_stuck = row.story.is_some_and(|story| story.stuck_ns.is_some());
    Value::Word(match row.event.kind {
        kind::TRANSITION if is_stuck => "stuck",
        kind::TRANSITION => "transition",
        kind::RETRANSMIT => "retransmit",
        kind::RETRANSMIT_SYNACK => "retransmit-synack",
        _ => "reset",
    })
}

fn became<'a>(row: &Row<'a>) -> Value<'a> {
    match row.event.kind {
        kind::TRANSITION => {}
        kind::RETRANSMIT => return Value::Word("retransmit"),
        kind::RETRANSMIT_SYNACK => return Value::Word("retransmit SYN-ACK"),
        kind::RESET_RECEIVED => return Value::Reset("reset received", None),
        _ => return Value::Reset("reset sent", row.names.why(row.event.detail)),
    }
    match row.story {
        Some(story) if story.stuck_ns.is_some() => Value::Stuck(row.new),
        story => Value::Became(row.new, story.and_then(|story| story.reason)),
    }
}

fn spent<'a>(row: &Row<'a>, state: u8) -> Value<'a> {
    connection(row, |connection| {
        let index = LIVED_STATES.iter().position(|lived| *lived == state)?;
        connection.spent_ns(index).map(Value::Lasted)
    })
}

fn lived<'a>(row: &Row<'a>) -> Value<'a> {
    connection(row, |connection| Some(Value::Lived(connection)))
}

fn shutdown<'a>(bits: u8) -> Value<'a> {
    match bits {
        0 => Value::Null,
        1 => Value::Word("r"),
        2 => Value::Word("w"),
        _ => Value::Word("rw"),
    }
}

/// The names of the errors that TCP leaves on a socket; others keep their number.
fn error<'a>(errno: u16) -> Value<'a> {
    Value::Word(match errno {
        0 => return Value::Null,
        1 => "EPERM",
        13 => "EACCES",
        32 => "EPIPE",
        71 => "EPROTO",
        92 => "ENOPROTOOPT",
        95 => "EOPNOTSUPP",
        100 => "ENETDOWN",
        101 => "ENETUNREACH",
        103 => "ECONNABORTED",
        104 => "ECONNRESET",
        110 => "ETIMEDOUT",
        111 => "ECONNREFUSED",
        112 => "EHOSTDOWN",
        113 => "EHOSTUNREACH",
        other => return Value::Errno(other),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::HashSet, fmt::Write as _};

    #[test]
    fn keys_are_unique_and_can_be_listed() {
        let keys: HashSet<_> = FIELDS.iter().map(|field| field.key).collect();
        assert_eq!(keys.len(), FIELDS.len());
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
             of `life`. This page\nis made from `tracer/src/format/columns.rs` by `UPDATE_DOCS=1 cargo test`.\n\n\
             | column | title | default | meaning |\n|---|---|---|---|\n",
        );
        let places = [
            (S::LOG_TEXT, 't'),
            (S::LOG_DATA, 'd'),
            (S::RAW_TEXT, 'T'),
            (S::RAW_DATA, 'D'),
            (S::LIFE_TEXT, 'l'),
            (S::LIFE_DATA, 'j'),
        ];
        for field in FIELDS {
            let shown = places.into_iter().filter(|(place, _)| field.shown.is_in(*place));
            let marks: String = shown.map(|(_, mark)| mark).collect();
            writeln!(out, "| `{}` | {} | {marks} | {} |", field.key, field.title, field.help).unwrap();
        }
        out
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
        for place in [S::LOG_TEXT, S::RAW_TEXT] {
            let columns: Vec<_> = FIELDS.iter().filter(|field| field.shown.is_in(place)).collect();
            // The longest last state with its reason.
            let width_of = |field: &Field| {
                if field.key == "became" { "CLOSE reset-local-linger".len() } else { field.width }
            };
            let width: usize = columns.iter().map(|field| width_of(field) + 1).sum::<usize>() - 1;
            assert!(width <= 120, "{width}");
        }
    }
}
