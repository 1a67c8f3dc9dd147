//! What `/proc` tells of this thread's network namespace: its counters, as numbers with names, and its settings.

use std::{fs::File, io, os::unix::fs::FileExt as _};

/// Room for most files. On Linux 6.18 `netstat` has 5,100 bytes.
const ROOM: usize = 8 << 10;

/// No file is longer: 32,768 reserved ports, none next to another, take 192 KiB.
const MOST: usize = 1 << 20;

/// Reads a file of `/proc/net`.
pub(super) fn net(file: &str) -> io::Result<String> {
    text(&format!("/proc/thread-self/net/{file}"))
}

/// Reads a setting such as `ipv4/tcp_fin_timeout`.
pub(super) fn sysctl(name: &str) -> io::Result<String> {
    text(&format!("/proc/sys/net/{name}"))
}

/// A setting that is a number; `None` if it cannot be read.
pub(super) fn sysctl_number(name: &str) -> Option<u64> {
    sysctl(name).ok()?.trim().parse().ok()
}

/// A setting gives what has room in the first read, and nothing more to another one (`proc_do_large_bitmap`). So a
/// text that fills its room is read again, with more.
fn text(path: &str) -> io::Result<String> {
    let file = File::open(path)?;
    let mut bytes = vec![0; ROOM];
    let mut len = file.read_at(&mut bytes, 0)?;
    while len == bytes.len() && len < MOST {
        bytes.resize(2 * len, 0);
        len = file.read_at(&mut bytes, 0)?;
    }
    bytes.truncate(len);
    // The last number of a text that was cut is another one.
    let is_whole = bytes.last() == Some(&b'\n');
    String::from_utf8(bytes).ok().filter(|_| is_whole).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// A counter from `snmp` or `netstat`. There a line with names and a line with numbers begin with the same group.
pub(super) fn count(text: &str, group: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(group));
    let (names, numbers) = (lines.next()?, lines.next()?);
    let index = names.split_whitespace().position(|other| other == name)?;
    numbers.split_whitespace().nth(index)?.parse().ok()
}

/// A counter from `sockstat`, where a line begins with a group and has a number behind each name, or, without a
/// group, from `snmp6`, where each counter has a line.
pub(super) fn pair(text: &str, group: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(group));
    lines.find_map(|line| {
        let mut words = line.split_whitespace();
        while let (Some(other), Some(number)) = (words.next(), words.next()) {
            if other == name {
                return number.parse().ok();
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_found_by_name() {
        let text = "Ip: A B\nIp: 1 2\nTcp: X A Y\nTcp: -1 18446744073709551615 y\nTcpExt: A\nTcpExt: 5\n";
        assert_eq!(count(text, "Tcp:", "A"), Some(u64::MAX));
        assert_eq!(count(text, "TcpExt:", "A"), Some(5));
        for (group, name) in [("Tcp:", "X"), ("Tcp:", "Y"), ("Tcp:", "Z"), ("Udp:", "A")] {
            assert_eq!(count(text, group, name), None, "{group} {name}");
        }
        for cut in ["", "Tcp:", "Tcp: X A", "Tcp: X A\n", "Tcp: X A\nTcp:", "Tcp: X A\nTcp: 1"] {
            assert_eq!(count(cut, "Tcp:", "A"), None, "{cut}");
        }
    }

    #[test]
    fn pairs_are_found_by_name() {
        let text = "sockets: used 7\nTCP: inuse 1 orphan tw 3 tw 4\nTCP6: inuse 5\n";
        assert_eq!(pair(text, "TCP:", "inuse"), Some(1));
        assert_eq!(pair(text, "TCP6:", "inuse"), Some(5));
        assert_eq!(pair(text, "TCP:", "orphan"), None);
        assert_eq!(pair("TCP: inuse", "TCP:", "inuse"), None);
        assert_eq!(pair("Ip6OutNoRoutes  \t9\nIp6Out 3\n", "", "Ip6Out"), Some(3));
    }

    #[test]
    fn files_are_read_as_they_are() {
        assert!(net("netstat").unwrap().starts_with("TcpExt: "));
        assert!(sysctl_number("ipv4/tcp_fin_timeout").is_some_and(|seconds| seconds > 0));
        assert_eq!(net("none").unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(text("/proc/self/cmdline").unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
