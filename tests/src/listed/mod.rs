//! What `tracer list`, `ss` and netstat say of the same sockets, in the same words.
//!
//! # Layout
//! - here: what `tracer list` says, and how lists are compared
//! - `ss`, `netstat`: what these say; `timers`: what is left of timers

mod netstat;
mod ss;
mod timers;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use crate::{
    place::Place,
    program::{Ended, Program, output},
    story::{Line, lines},
    tracer,
};

pub use self::{
    netstat::{inet_of_list, inet_of_netstat, unix_of_list, unix_of_netstat},
    ss::{latin, told_by_ss},
    timers::{Rest, Rests, compare_rests, rests, rests_by_ss},
};

/// What is compared of a socket: what it does not have is not there.
pub type Fields = BTreeMap<&'static str, String>;

/// By cookie, or, of unix sockets, by inode number.
pub type BySocket = BTreeMap<String, Fields>;

/// How often lists are compared until each socket has stood still once. Timers go off ever more seldom.
const TRIES: usize = 20;

/// The states of TCP and of unix sockets, as `tracer list` names them.
pub const STATES: [&str; 12] = [
    "ESTABLISHED",
    "SYN_SENT",
    "SYN_RECV",
    "FIN_WAIT1",
    "FIN_WAIT2",
    "TIME_WAIT",
    "CLOSE_WAIT",
    "LAST_ACK",
    "LISTEN",
    "CLOSING",
    "CONNECTED",
    "LISTENING",
];

/// Runs `tracer list` inside the namespace.
pub fn list(place: &Place, arguments: &str) -> Ended {
    let mut command = place.command(tracer::binary());
    command.arg("list").args(arguments.split_whitespace());
    let ended = Program::collect(&mut command).wait();
    assert_eq!(ended.code(), 0, "{arguments}: {}", ended.err);
    ended
}

/// The same, as JSON.
pub fn json(place: &Place, arguments: &str) -> Vec<Line> {
    lines(&list(place, &format!("{arguments} -o json")).out)
}

/// What another program writes, inside the namespace: names in it are any bytes.
pub fn bytes(place: &Place, program: &str, arguments: &str) -> Vec<u8> {
    let output = output(place.command(program).args(arguments.split_whitespace()));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn only_known(fields: impl IntoIterator<Item = (&'static str, Option<String>)>) -> Fields {
    fields.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
}

/// What `tracer list` says.
pub fn told(lines: &[Line]) -> BySocket {
    lines.iter().map(|line| (key(line), fields(line))).collect()
}

fn key(line: &Line) -> String {
    match &line["protocol"] {
        protocol if protocol == "unix" => format!("inode {}", line["inode"]),
        _ => format!("{:x}", line["cookie"].as_u64().unwrap()),
    }
}

/// What a line of `tracer list` or of the log says.
pub fn fields(line: &Line) -> Fields {
    let word = |key: &str| line[key].as_str().map(str::to_owned);
    let integer = |key: &str| line[key].as_u64().map(|number| number.to_string());
    let counted = |key: &str| integer(key).filter(|count| count != "0");
    let end = |end: &str| {
        let address = word(&format!("{end}_addr"))?.parse::<IpAddr>().unwrap();
        Some(format!("{address} {}", integer(&format!("{end}_port")).unwrap_or_default()))
    };
    let holders = || {
        let pids = line["holder_list"].as_array()?.iter().map(|holder| holder["pid"].to_string());
        Some(pids.collect::<Vec<_>>().join(" "))
    };
    let is_unix = line["protocol"] == "unix";
    only_known([
        ("protocol", word(if is_unix { "type" } else { "protocol" })),
        ("state", word("state")),
        ("recv", integer("recv_queue")),
        ("send", integer("send_queue")),
        ("local", if is_unix { word("path").map(|path| shown(&unescaped(&path))) } else { end("local") }),
        ("remote", if is_unix { integer("peer_inode") } else { end("remote") }),
        ("uid", integer("uid").filter(|_| !is_unix)),
        ("inode", integer("inode")),
        ("holders", holders()),
        ("timer", word("timer").map(|timer| format!("{timer} {}", line["unanswered"]))),
        ("srtt_us", counted("srtt_us")),
        ("retransmits", counted("retransmits")),
        ("bytes_acked", counted("tx_bytes")),
        ("bytes_received", counted("rx_bytes")),
    ])
}

/// The bytes that tracer has escaped.
fn unescaped(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), text);
    while let Some((plain, escape)) = rest.split_once('\\') {
        bytes.extend_from_slice(plain.as_bytes());
        let (kind, after) = escape.split_at(1);
        rest = match kind {
            "n" | "r" | "t" | "\\" => {
                bytes.push(BTreeMap::from([("n", b'\n'), ("r", b'\r'), ("t", b'\t'), ("\\", b'\\')])[kind]);
                after
            }
            "x" => {
                bytes.push(u8::from_str_radix(&after[..2], 16).unwrap());
                &after[2..]
            }
            "u" => {
                let (digits, after) = after[1..].split_once('}').unwrap();
                let c = char::from_u32(u32::from_str_radix(digits, 16).unwrap()).unwrap();
                bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                after
            }
            _ => panic!("{text}"),
        };
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

/// A name's bytes in ASCII. Other programs write `@` for zeros.
fn shown(name: &[u8]) -> String {
    let at = |byte: &u8| if *byte == 0 { b'@' } else { *byte };
    name.iter().map(at).collect::<Vec<_>>().escape_ascii().to_string()
}

/// Compares lists until each socket was the same right before and right after one of tracer's, which said so.
pub fn compare(other: impl Fn() -> BySocket, list: impl Fn() -> BySocket) {
    let mut compared = BTreeSet::new();
    let mut left = Vec::new();
    let mut before = other();
    for _ in 0..TRIES {
        let (list, after) = (list(), other());
        let all: BTreeSet<_> = before.keys().chain(list.keys()).chain(after.keys()).collect();
        let (same, moved): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|key| before.get(*key) == after.get(*key));
        let differing: Vec<_> = same
            .iter()
            .filter(|key| before.get(**key) != list.get(**key))
            .map(|key| (key, list.get(*key), before.get(*key)))
            .collect();
        let shown = &differing[..differing.len().min(3)];
        assert!(differing.is_empty(), "{} of {} differ: {shown:#?}", differing.len(), same.len());
        compared.extend(same.into_iter().cloned());
        left = moved.into_iter().filter(|key| !compared.contains(*key)).cloned().collect();
        if left.is_empty() {
            return;
        }
        before = after;
    }
    panic!("these never stand still: {left:?}");
}
