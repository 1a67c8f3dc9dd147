//! The columns of netstat, and the same ones of `tracer list`.

use std::net::{IpAddr, SocketAddr};

use super::{shown, unescaped};
use crate::story::Line;

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
