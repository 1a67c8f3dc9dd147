//! Sockets of this host, as `unix_diag` gives them.

use std::{collections::HashMap, io};

use netlink_packet_core::NlasIterator;
use netlink_packet_core::Parseable as _;
use netlink_packet_sock_diag::{
    SockDiagMessage,
    constants::{AF_UNIX, UNIX_DIAG_NAME, UNIX_DIAG_PEER, UNIX_DIAG_RQLEN, UNIX_DIAG_SHUTDOWN},
    unix::{ShowFlags, StateFlags, UnixRequest, UnixResponseHeader},
};

use crate::{
    facts::listing::{ListedSocket, Protocol, UnixFacts},
    source::netlink::Netlink,
    tcp::{endpoint::Tuple, netns::NetnsId},
    text::escape::escaped,
};

/// Whose it is (`UDIAG_SHOW_UID`), since 5.3.
const SHOW_UID: u32 = 0x40;
/// The attribute that tells it.
const UID: u16 = 7;

/// Hands over each socket.
pub(super) fn list(
    diag: &mut Netlink,
    netns: NetnsId,
    states: u32,
    each: &mut dyn FnMut(ListedSocket),
) -> io::Result<()> {
    let request = UnixRequest {
        state_flags: StateFlags::from_bits_retain(states),
        inode: 0,
        show_flags: ShowFlags::NAME
            | ShowFlags::PEER
            | ShowFlags::RQLEN
            | ShowFlags::from_bits_retain(SHOW_UID),
        cookie: [0; 8],
    };
    let refcounts = refcounts();
    let place = Tuple { netns: netns.inum, netns_cookie: netns.cookie, ..Tuple::default() };
    diag.dump(SockDiagMessage::UnixRequest(request), &mut |payload| {
        if let Some(mut socket) = listed(payload, place) {
            let refcount = refcounts.get(&socket.inode).copied().flatten();
            socket.unix.iter_mut().for_each(|unix| unix.refcount = refcount);
            each(socket);
        }
        Ok(())
    })
    .map(|_| ())
}

fn listed(payload: &[u8], place: Tuple) -> Option<ListedSocket> {
    let header = UnixResponseHeader::parse(payload).ok()?;
    let mut socket = ListedSocket {
        state: header.state,
        cookie: u64::from_ne_bytes(header.cookie),
        inode: header.inode,
        ..ListedSocket::new(Protocol::Unix, AF_UNIX, place)
    };
    let mut facts = UnixFacts { kind: header.kind, ..UnixFacts::default() };
    let attributes = payload.get(HEADER..).unwrap_or_default();
    for attribute in NlasIterator::new(attributes).flatten() {
        let value = attribute.value();
        let number = |at: usize| value.get(at..)?.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes));
        match attribute.kind() {
            UNIX_DIAG_NAME => facts.path = path(value),
            UNIX_DIAG_PEER => facts.peer_inode = number(0).filter(|inode| *inode != 0),
            UNIX_DIAG_RQLEN => {
                socket.recv_queue = number(0).unwrap_or_default();
                socket.send_queue = number(4).unwrap_or_default();
            }
            UNIX_DIAG_SHUTDOWN => socket.shutdown = value.first().copied().unwrap_or_default(),
            UID => socket.uid = number(0),
            _ => {}
        }
    }
    socket.unix = Some(Box::new(facts));
    Some(socket)
}

/// `struct unix_diag_msg`.
const HEADER: usize = 16;

/// A path, up to its zero; or `@` and an abstract name, any bytes.
fn path(bytes: &[u8]) -> Option<String> {
    match bytes {
        [] => None,
        [0, name @ ..] => Some(format!("@{}", escaped(name))),
        path => {
            let end = path.iter().position(|byte| *byte == 0).unwrap_or(path.len());
            Some(escaped(&path[..end]))
        }
    }
}

/// References to sockets, by inode number. Netlink does not tell them. A path can hold line breaks, and so forge lines: a
/// number that is there twice tells nothing.
fn refcounts() -> HashMap<u32, Option<u32>> {
    let table = std::fs::read("/proc/thread-self/net/unix").unwrap_or_default();
    let mut refcounts = HashMap::new();
    for line in table.split(|byte| *byte == b'\n').skip(1) {
        if let Some((inode, refcount)) = refcount(line) {
            refcounts.entry(inode).and_modify(|known| *known = None).or_insert(Some(refcount));
        }
    }
    refcounts
}

/// `Num RefCount Protocol Flags Type St Inode Path`, of which `Inode` is decimal.
fn refcount(line: &[u8]) -> Option<(u32, u32)> {
    let fields = line.split(|byte| *byte == b' ').filter(|field| !field.is_empty());
    let mut fields = fields.map(|field| str::from_utf8(field).ok()).skip(1);
    let refcount = u32::from_str_radix(fields.next()??, 16).ok()?;
    let inode = fields.nth(4)??.parse().ok()?;
    Some((inode, refcount))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_paths_or_abstract() {
        assert_eq!(path(b"/run/a\0"), Some("/run/a".to_owned()));
        assert_eq!(path(b"/run/\x1b[2J\n\0"), Some("/run/\\x1b[2J\\n".to_owned()));
        assert_eq!(path(b"\0a\0b"), Some("@a\\x00b".to_owned()));
        assert_eq!(path(b"no end"), Some("no end".to_owned()));
        assert_eq!(path(b""), None);
    }

    #[test]
    fn references_stand_in_the_table() {
        let line = b"ffff888012345678: 00000003 00000000 00010000 0001 01 12345 /run/a b";
        assert_eq!(refcount(line), Some((12345, 3)));
        assert_eq!(refcount(b"0000000000000000: 0000000A 00000000 00000000 0002 01   7"), Some((7, 10)));
        assert_eq!(refcount(b"Num       RefCount Protocol Flags"), None);
        assert_eq!(refcount(b""), None);
    }
}
