//! What `tracer list`, `ss` and netstat say of the same sockets, in the same words.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use crate::{
    place::Place,
    program::{Ended, Program, output},
    story::{Line, lines},
    tracer,
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

/// What `ss -tuxanpeOHoi` says. Names are in it as they are, so that they may end a line.
pub fn told_by_ss(out: &[u8]) -> BySocket {
    let mut sockets: Vec<Vec<u8>> = Vec::new();
    for line in out.split(|byte| *byte == b'\n') {
        let first = line.split(|byte| *byte == b' ').next().unwrap_or_default();
        match sockets.last_mut() {
            Some(last) if protocol(first).is_none() => last.extend([b"\n", line].concat()),
            _ => sockets.push(line.to_vec()),
        }
    }
    sockets.iter().filter(|line| !line.is_empty()).map(|line| of_ss(&latin(line))).collect()
}

/// One character for each byte, so that all bytes can be told apart.
pub fn latin(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

fn protocol(word: &[u8]) -> Option<&'static str> {
    const PROTOCOLS: [(&str, &str); 5] =
        [("tcp", "tcp"), ("udp", "udp"), ("u_str", "STREAM"), ("u_dgr", "DGRAM"), ("u_seq", "SEQPACKET")];
    PROTOCOLS.into_iter().find_map(|(ss, ours)| (ss.as_bytes() == word).then_some(ours))
}

fn of_ss(line: &str) -> (String, Fields) {
    let (kind, rest) = line.split_once(' ').unwrap();
    let is_unix = kind.starts_with("u_");
    let [state, recv, send, ends] = words(rest);
    let pids = line.split("pid=").skip(1).map(|rest| rest.split(',').next().unwrap().to_owned());
    let pids: BTreeSet<u32> = pids.map(|pid| pid.parse().unwrap()).collect();
    let pids = pids.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
    let mut fields = only_known([
        ("protocol", protocol(kind.as_bytes()).map(str::to_owned)),
        ("state", ss_state(state, is_unix)),
        ("recv", Some(recv.to_owned())),
        ("send", Some(send.to_owned())),
        ("holders", Some(pids).filter(|pids| !pids.is_empty())),
    ]);
    let (key, more) = if is_unix { unix_of_ss(ends) } else { inet_of_ss(ends, state == "FIN-WAIT-2") };
    fields.extend(more);
    (key, fields)
}

/// The first three words, and what follows them.
fn words(line: &str) -> [&str; 4] {
    let mut rest = line;
    let mut word = || {
        let (word, after) = rest.trim_start_matches(' ').split_once(' ').unwrap();
        rest = after;
        word
    };
    let words = [word(), word(), word()];
    [words[0], words[1], words[2], rest.trim_start_matches(' ')]
}

fn ss_state(state: &str, is_unix: bool) -> Option<String> {
    match (state, is_unix) {
        ("ESTAB", true) => Some("CONNECTED".to_owned()),
        ("LISTEN", true) => Some("LISTENING".to_owned()),
        ("ESTAB", false) => Some("ESTABLISHED".to_owned()),
        ("UNCONN", _) => None,
        (state, _) => Some(state.replace("WAIT-", "WAIT").replace('-', "_")),
    }
}

/// `PATH INODE * PEER`, and what follows.
fn unix_of_ss(ends: &str) -> (String, Fields) {
    let ends = ends.split(" users:((").next().unwrap();
    let (local, peer) = ends.rsplit_once(" * ").unwrap();
    let (path, inode) = local.trim_end_matches(' ').rsplit_once(' ').unwrap();
    let path: Vec<u8> = path.trim_matches(' ').chars().map(|c| u8::try_from(c).unwrap()).collect();
    let peer = peer.split_whitespace().next().unwrap().to_owned();
    let fields = only_known([
        ("local", Some(shown(&path)).filter(|path| path != "*")),
        ("remote", Some(peer).filter(|peer| peer != "0")),
        ("inode", Some(inode.to_owned())),
    ]);
    (format!("inode {inode}"), fields)
}

fn inet_of_ss(ends: &str, is_fin_acked: bool) -> (String, Fields) {
    let words: Vec<&str> = ends.split_whitespace().collect();
    let after = |prefix: &str| words.iter().find_map(|word| word.strip_prefix(prefix)).map(str::to_owned);
    let counted = |prefix: &str| after(prefix).filter(|count| count != "0");
    let timer = after("timer:(").map(|timer| {
        let timer = timer.trim_end_matches(')');
        let (kind, unanswered) = (timer.split(',').next().unwrap(), timer.rsplit(',').next().unwrap());
        format!("{} {unanswered}", if kind == "persist" { "probe" } else { kind })
    });
    let inode = counted("ino:");
    let uid = inode.as_ref().map(|_| after("uid:").unwrap_or_else(|| "0".to_owned()));
    // Milliseconds, and their variance.
    let srtt_us = after("rtt:").map(|rtt| {
        let milliseconds: f64 = rtt.split('/').next().unwrap().parse().unwrap();
        format!("{:.0}", milliseconds * 1e3)
    });
    let all = |retransmits: String| retransmits.rsplit('/').next().map(str::to_owned);
    // Of a FIN that is acknowledged, `ss` says that it is a byte.
    let without_fin = |count: String| (count.parse::<u64>().unwrap() - u64::from(is_fin_acked)).to_string();
    let fields = only_known([
        ("local", Some(ss_end(words[0]))),
        ("remote", Some(words[1]).filter(|peer| !peer.ends_with(":*")).map(ss_end)),
        ("uid", uid),
        ("inode", inode),
        ("timer", timer),
        ("srtt_us", srtt_us),
        ("retransmits", after("retrans:").and_then(all).filter(|count| count != "0")),
        ("bytes_acked", after("bytes_acked:").map(without_fin).filter(|count| count != "0")),
        ("bytes_received", counted("bytes_received:")),
    ]);
    (after("sk:").unwrap(), fields)
}

/// `[::ffff:127.0.0.1]:80`, `*:81`: of both families, which is IPv6's.
fn ss_end(end: &str) -> String {
    let (address, port) = end.rsplit_once(':').unwrap();
    let address = if address == "*" { "::" } else { address.trim_matches(['[', ']']) };
    let address = address.parse::<IpAddr>().unwrap().to_canonical();
    format!("{address} {}", if port == "*" { "" } else { port })
}

/// The time that is left of timers, by cookie.
pub type Rests = BTreeMap<String, Rest>;

/// A timer, the answers that it lacks, and its rest in milliseconds: at least, and less than.
pub type Rest = (String, std::ops::Range<u64>);

/// What `ss -tuaneOHo` says of timers.
pub fn rests_by_ss(out: &[u8]) -> Rests {
    let rest = |line: &str| {
        let after = |prefix: &str| line.split_whitespace().find_map(|word| word.strip_prefix(prefix));
        let timer: Vec<_> = after("timer:(")?.trim_end_matches(')').split(',').collect();
        let [kind, rest, unanswered] = timer[..] else { panic!("{line}") };
        Some((after("sk:")?.to_owned(), (format!("{kind} {unanswered}"), milliseconds(rest))))
    };
    latin(out).lines().filter_map(rest).collect()
}

/// `119min`, `1min5sec`, `59sec`, `9.800ms`, `200ms`: cut, the longer the more.
fn milliseconds(text: &str) -> std::ops::Range<u64> {
    let number = |text: &str| text.parse::<u64>().unwrap_or_else(|_| panic!("{text}"));
    let (minutes, rest) = text.split_once("min").unwrap_or(("0", text));
    let (seconds, thousandths) = match (rest.strip_suffix("sec"), rest.strip_suffix("ms")) {
        (Some(seconds), _) => (number(seconds), 0),
        (_, Some(rest)) => rest
            .split_once('.')
            .map_or_else(|| (0, number(rest)), |(seconds, rest)| (number(seconds), number(rest))),
        _ => (0, 0),
    };
    let least = (number(minutes) * 60 + seconds) * 1_000 + thousandths;
    let unit = if number(minutes) > 9 { 60_000 } else { 1_000 };
    least..least + unit
}

/// What `tracer list -o` says of timers.
pub fn rests(lines: &[Line]) -> Rests {
    let rest = |line: &Line| {
        let kind = format!("{} {}", line["timer"].as_str()?, line["unanswered"]);
        // Without a fraction, but JSON has all times with a point.
        let least = Duration::from_secs_f64(line["timer_us"].as_f64()? / 1e6 + 1e-9).as_millis();
        let least = u64::try_from(least).unwrap();
        Some((key(line), (kind, least..least + 1)))
    };
    lines.iter().filter_map(rest).collect()
}

/// Compares timers that ran from one list to the other: meanwhile they had as much left as `list` says.
/// Returns how many.
pub fn compare_rests(before: &Rests, list: &Rests, after: &Rests) -> usize {
    let ran = before.iter().filter_map(|(key, (kind, first))| {
        let (_, last) = after.get(key).filter(|(other, last)| other == kind && last.start <= first.start)?;
        Some((list.get(key).unwrap_or_else(|| panic!("{kind} of {key}")), first, last))
    });
    ran.map(|((kind, rest), first, last)| {
        assert!(rest.start < first.end && rest.start >= last.start, "{kind}: {first:?} {rest:?} {last:?}");
    })
    .count()
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

/// A socket of TCP or UDP as netstat has it: protocol, queues, ends, state and first holder. netstat says 0
/// of a listener's limit.
pub fn inet_of_netstat(line: &str) -> Vec<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let state = if words.len() == 7 { words[5] } else { "-" };
    let send = if state == "LISTEN" { "*" } else { words[2] };
    let end = |end: &str| {
        let (address, port) = end.rsplit_once(':').unwrap();
        format!("{} {port}", address.parse::<IpAddr>().unwrap().to_canonical())
    };
    let peer = if words[4].ends_with(":*") { "-".to_owned() } else { end(words[4]) };
    let pid = words[words.len() - 1].split('/').next().unwrap();
    [words[0].trim_end_matches('6'), words[1], send, &end(words[3]), &peer, state, pid]
        .map(str::to_owned)
        .to_vec()
}

/// The same of a line of `tracer list -tuanp`.
pub fn inet_of_list(line: &str) -> Vec<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [protocol, recv, send, local, remote, state, _, holders] = words[..] else { panic!("{line}") };
    let send = if state == "LISTEN" { "*" } else { send };
    let end = |end: &str| match end.parse::<SocketAddr>() {
        Ok(end) => format!("{} {}", end.ip(), end.port()),
        Err(_) => end.to_owned(),
    };
    let pid = holders.split('/').next().unwrap();
    [protocol, recv, send, &end(local), &end(remote), state, pid].map(str::to_owned).to_vec()
}

/// A unix socket as `netstat -xanpW` has it: references, flags, type, state, inode, first holder and path,
/// which netstat ends at the first blank. The line has a character for each byte. `None` if it is none of a
/// socket.
pub fn unix_of_netstat(line: &str) -> Option<Vec<String>> {
    let (refcount, rest) = line.strip_prefix("unix")?.split_once('[')?;
    let (flags, rest) = rest.split_once(']')?;
    let words: Vec<_> = rest.split_ascii_whitespace().collect();
    let (state, after) = match words[1].parse::<u64>() {
        Ok(_) => ("-", &words[1..]),
        Err(_) => (words[1], &words[2..]),
    };
    let pid = after[1].split('/').next()?;
    let bytes = |path: &&str| path.chars().filter_map(|c| u8::try_from(c).ok()).collect::<Vec<_>>();
    let path = after.get(2).map_or_else(|| "-".to_owned(), |path| shown(&bytes(path)));
    let flags = if flags.contains("ACC") { "ACC" } else { "-" };
    Some([refcount.trim(), flags, words[0], state, after[0], pid, &path].map(str::to_owned).to_vec())
}

/// The same of a line of JSON.
pub fn unix_of_list(line: &Line) -> Vec<String> {
    let word = |key: &str| line[key].as_str().unwrap_or("-").to_owned();
    let integer = |key: &str| line[key].as_u64().map_or_else(|| "-".to_owned(), |number| number.to_string());
    let path = unescaped(line["path"].as_str().unwrap_or("-"));
    let until_blank =
        path.split(|byte| byte.is_ascii_whitespace() || *byte == 0x0b).next().unwrap_or_default();
    vec![
        integer("refcount"),
        word("flags"),
        word("type"),
        word("state"),
        integer("inode"),
        integer("pid"),
        shown(until_blank),
    ]
}
