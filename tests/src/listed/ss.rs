//! What `ss` says of sockets.

use std::{collections::BTreeSet, net::IpAddr};

use super::{BySocket, Fields, only_known, shown};

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
