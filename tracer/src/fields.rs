//! The table of columns: text, JSON, CSV, `--columns help` and the documentation all read it.

use std::{borrow::Cow, net::IpAddr};

use jiff::Timestamp;
use tracer_common::event::flag;

use crate::{
    state::State,
    transition::{End, Transition},
};

/// What a column holds, for each format to write in its own way.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// Not known, or not applicable.
    Null,
    /// A number.
    Uint(u64),
    /// One of our own words.
    Word(&'static str),
    /// Text from outside: any bytes.
    Text(Cow<'a, [u8]>),
    /// A time of day, and how long after the tracer's start in nanoseconds.
    Time(Timestamp, i64),
    /// A state.
    State(State),
    /// An address.
    Addr(IpAddr),
    /// Address and port.
    End(End),
}

/// Where a column is shown when the user has not chosen columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// In the log's lines.
    pub log_text: bool,
    /// In the log's JSON and CSV.
    pub log_data: bool,
    /// In the lines of `--raw`.
    pub raw_text: bool,
    /// In the JSON and CSV of `--raw`.
    pub raw_data: bool,
}

/// A column.
pub struct Field {
    /// Its name in JSON, CSV and `--columns`.
    pub key: &'static str,
    /// Its title in text.
    pub title: &'static str,
    /// Its width in text, unless something longer comes.
    pub width: usize,
    /// Whether text puts it to the right.
    pub right: bool,
    /// What it means.
    pub help: &'static str,
    /// Where it is shown by default.
    pub shown: Shown,
    /// Its value.
    pub value: for<'a> fn(&Transition<'a>) -> Value<'a>,
}

const fn shown(log_text: bool, log_data: bool, raw_text: bool, raw_data: bool) -> Shown {
    Shown { log_text, log_data, raw_text, raw_data }
}

const EVERYWHERE: Shown = shown(true, true, true, true);
const TEXT: Shown = shown(true, false, true, false);
const DATA: Shown = shown(false, true, false, true);
const LOG: Shown = shown(true, true, false, false);
const LOG_DATA: Shown = shown(false, true, false, false);
const RAW: Shown = shown(false, false, true, true);
const ON_REQUEST: Shown = shown(false, false, false, false);

/// All columns, in the order in which they are shown.
#[rustfmt::skip]
pub static FIELDS: &[Field] = &[
    Field { key: "time", title: "TIME", width: 15, right: false, shown: EVERYWHERE,
        help: "when it happened (not when it was printed); RFC 3339 UTC in JSON and CSV",
        value: |t| Value::Time(t.time, t.since_start_ns) },
    Field { key: "cookie", title: "COOKIE", width: 8, right: true, shown: LOG_DATA,
        help: "socket cookie: the socket's identity, which `ss -e` prints in hex as sk:",
        value: |t| Value::Uint(t.event.cookie) },
    Field { key: "netns", title: "NETNS", width: 10, right: true, shown: LOG_DATA,
        help: "inode number of the socket's network namespace",
        value: |t| known(u64::from(t.event.netns)) },
    Field { key: "cpu", title: "CPU", width: 3, right: true, shown: RAW,
        help: "CPU that the event happened on",
        value: |t| Value::Uint(u64::from(t.event.cpu)) },
    Field { key: "pid", title: "PID", width: 7, right: true, shown: RAW,
        help: "with --raw: process that was on the CPU, which need not be the socket's owner",
        value: |t| t.on_cpu.map_or(Value::Null, |task| Value::Uint(u64::from(task.pid))) },
    Field { key: "tid", title: "TID", width: 7, right: true, shown: shown(false, false, false, true),
        help: "with --raw: thread that was on the CPU",
        value: |t| t.on_cpu.map_or(Value::Null, |task| Value::Uint(u64::from(task.tid))) },
    Field { key: "comm", title: "COMM", width: 15, right: false, shown: RAW,
        help: "with --raw: name of the task that was on the CPU",
        value: |t| t.on_cpu.map_or(Value::Null, |task| Value::Text(task.comm().to_vec().into())) },
    Field { key: "uid", title: "UID", width: 5, right: true, shown: LOG,
        help: "user id of the socket",
        value: |t| Value::Uint(u64::from(t.event.uid)) },
    Field { key: "cgroup", title: "CGROUP", width: 6, right: true, shown: LOG_DATA,
        help: "id of the socket's cgroup: the inode number of its directory in the v2 hierarchy",
        value: |t| known(t.event.cgroup) },
    Field { key: "family", title: "FAMILY", width: 6, right: false, shown: DATA,
        help: "ipv4 or ipv6; a v4-mapped connection is ipv4 (with --raw: the socket's family)",
        value: |t| Value::Word(t.family.name()) },
    Field { key: "local", title: "LOCAL", width: 21, right: false, shown: TEXT,
        help: "local address and port",
        value: |t| Value::End(t.local) },
    Field { key: "local_addr", title: "LADDR", width: 15, right: false, shown: DATA,
        help: "local address",
        value: |t| Value::Addr(t.local.addr) },
    Field { key: "local_port", title: "LPORT", width: 5, right: true, shown: DATA,
        help: "local port; none before a client's is chosen",
        value: |t| port(t.local.port) },
    Field { key: "remote", title: "REMOTE", width: 21, right: false, shown: TEXT,
        help: "remote address and port",
        value: |t| t.remote.map_or(Value::Null, Value::End) },
    Field { key: "remote_addr", title: "RADDR", width: 15, right: false, shown: DATA,
        help: "remote address; none for a listener",
        value: |t| t.remote.map_or(Value::Null, |end| Value::Addr(end.addr)) },
    Field { key: "remote_port", title: "RPORT", width: 5, right: true, shown: DATA,
        help: "remote port; none for a listener",
        value: |t| port(t.remote.and_then(|end| end.port)) },
    Field { key: "old_state", title: "OLD", width: 11, right: false, shown: EVERYWHERE,
        help: "state before",
        value: |t| Value::State(t.old) },
    Field { key: "new_state", title: "NEW", width: 11, right: false, shown: EVERYWHERE,
        help: "state after",
        value: |t| Value::State(t.new) },
    Field { key: "tx_bytes", title: "TX", width: 7, right: true, shown: LOG,
        help: "bytes that the peer has acknowledged, as the kernel counts them: a FIN, and a client's SYN, as one each",
        value: |t| connected(t, t.event.bytes_acked) },
    Field { key: "rx_bytes", title: "RX", width: 7, right: true, shown: LOG,
        help: "payload bytes received in order",
        value: |t| connected(t, received(t)) },
    Field { key: "srtt_us", title: "SRTT_US", width: 7, right: true, shown: LOG,
        help: "smoothed round-trip time in microseconds; none before the first measurement",
        value: |t| known(u64::from(t.event.srtt_us)) },
    Field { key: "retransmits", title: "RETR", width: 4, right: true, shown: LOG_DATA,
        help: "segments retransmitted so far",
        value: |t| connected(t, u64::from(t.event.retransmits)) },
    Field { key: "recv_queue", title: "RECVQ", width: 5, right: true, shown: LOG_DATA,
        help: "bytes received and not read yet; for a listener its accept queue",
        value: |t| Value::Uint(u64::from(t.event.recv_queue)) },
    Field { key: "send_queue", title: "SENDQ", width: 5, right: true, shown: LOG_DATA,
        help: "bytes written and not acknowledged yet; for a listener its accept queue's limit",
        value: |t| Value::Uint(u64::from(t.event.send_queue)) },
    Field { key: "error", title: "ERROR", width: 12, right: false, shown: LOG_DATA,
        help: "error pending on the socket, such as ECONNRESET",
        value: |t| error(t.event.error) },
    Field { key: "shutdown", title: "SHUT", width: 4, right: false, shown: ON_REQUEST,
        help: "sides that are shut down: r, w or rw",
        value: |t| shutdown(t.event.shutdown) },
];

/// The column of that name.
#[must_use]
pub fn field(key: &str) -> Option<&'static Field> {
    FIELDS.iter().find(|field| field.key == key)
}

/// A fact that 0 says nothing about.
fn known<'a>(number: u64) -> Value<'a> {
    if number == 0 { Value::Null } else { Value::Uint(number) }
}

fn port<'a>(port: Option<u16>) -> Value<'a> {
    port.map_or(Value::Null, |port| Value::Uint(u64::from(port)))
}

/// A counter that only a socket with a peer has.
fn connected<'a>(transition: &Transition<'a>, count: u64) -> Value<'a> {
    transition.remote.map_or(Value::Null, |_| Value::Uint(count))
}

/// The kernel counts the peer's FIN as a byte.
fn received(transition: &Transition<'_>) -> u64 {
    let has_fin = transition.event.flags & flag::DONE != 0;
    transition.event.bytes_received.saturating_sub(u64::from(has_fin))
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
        32 => "EPIPE",
        71 => "EPROTO",
        92 => "ENOPROTOOPT",
        95 => "EOPNOTSUPP",
        101 => "ENETUNREACH",
        103 => "ECONNABORTED",
        104 => "ECONNRESET",
        110 => "ETIMEDOUT",
        111 => "ECONNREFUSED",
        112 => "EHOSTDOWN",
        113 => "EHOSTUNREACH",
        other => return Value::Text(format!("E{other}").into_bytes().into()),
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
        assert!(keys.iter().all(|key| key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')));
    }

    fn markdown() -> String {
        let mut out = String::from(
            "# Columns\n\nNames are those of JSON, CSV and `--columns`. What is not known is `null` in JSON, empty in CSV and \
             `-` in text.\nDefaults: **t** text, **d** JSON and CSV; **T** and **D** the same with `--raw`. This page is made \
             from `tracer/src/fields.rs`\nby `UPDATE_DOCS=1 cargo test`.\n\n| column | title | default | meaning |\n|---|---|---|---|\n",
        );
        for field in FIELDS {
            let Shown { log_text, log_data, raw_text, raw_data } = field.shown;
            let marks = [(log_text, 't'), (log_data, 'd'), (raw_text, 'T'), (raw_data, 'D')];
            let marks: String =
                marks.into_iter().filter_map(|(is_shown, mark)| is_shown.then_some(mark)).collect();
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
        for pick in [|s: Shown| s.log_text, |s: Shown| s.raw_text] {
            let columns: Vec<_> = FIELDS.iter().filter(|field| pick(field.shown)).collect();
            let width: usize = columns.iter().map(|field| field.width + 1).sum::<usize>() - 1;
            assert!(width <= 120, "{width}");
        }
    }
}
