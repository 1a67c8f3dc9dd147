//! Listing the sockets of a network namespace with sock_diag(7), where the kernel's own iterator has a fault
//! ([`faults`](crate::source::kernel::faults)). It gives the same records. It does not tell what a process has set on its
//! socket, and whether a connection comes out of a listener: the iterator over holders has that of all sockets that are held.

use std::{cmp::Reverse, collections::HashMap, io};

use netlink_sys::protocols::NETLINK_SOCK_DIAG;
use tracer_common::{
    Event,
    event::{REST_UNKNOWN, TimewaitSocket, UID_UNKNOWN, flag},
    found::HALF_OPEN_UNKNOWN,
    state,
};
use zerocopy::FromZeros;

use crate::{
    source::{
        inet_diag::{self, ExtensionFlags, InetDump, InetSocket, timer},
        kernel::clock::{monotonic_ns, tick_ns},
        netlink::Netlink,
    },
    tcp::{
        endpoint::{Tuple, canonical},
        netns::NetnsId,
    },
};

/// A socket of IPv6 may have mapped addresses.
const FAMILIES: [u8; 2] = [inet_diag::V4, inet_diag::V6];

/// All but CLOSE: those that are only bound are no connections.
const ALL: u32 = !(1 << state::CLOSE) & ((1 << state::NEW_SYN_RECV) - 1);
const LISTENERS: u32 = 1 << state::LISTEN;
const TIMEWAIT: u32 = 1 << state::TIME_WAIT | 1 << state::FIN_WAIT2;

/// What [`flag::DONE`] says, as the state shows it.
const HAVE_PEERS_FIN: [u8; 3] = [state::CLOSE_WAIT, state::LAST_ACK, state::CLOSING];

const MILLISECOND_NS: u64 = 1_000_000;

/// All TCP sockets of this thread's network namespace, but for half-open connections.
pub(super) fn sockets(netns: NetnsId) -> io::Result<Vec<Event>> {
    FoundHere::list(netns, ALL)
}

/// The full ones of them.
pub(super) fn live(netns: NetnsId) -> io::Result<Vec<Event>> {
    let mut sockets = FoundHere::list(netns, ALL & !(1 << state::TIME_WAIT))?;
    // Some wait in FIN_WAIT2.
    sockets.retain(|socket| socket.flags & flag::TIME_WAIT == 0);
    Ok(sockets)
}

/// Its listeners.
pub(super) fn listeners(netns: NetnsId) -> io::Result<Vec<Event>> {
    FoundHere::list(netns, LISTENERS)
}

/// Its timewait sockets.
pub(super) fn timewait() -> io::Result<Vec<TimewaitSocket>> {
    let (mut found, tick_ns) = (Vec::new(), tick_ns());
    dump(TIMEWAIT, ExtensionFlags::empty(), &mut |InetSocket { message, .. }| {
        if message.timer == timer::TIMEWAIT {
            found.push(TimewaitSocket {
                cookie: message.cookie(),
                state: message.state.into(),
                rest_jiffies: jiffies(u64::from(message.expires_ms) * MILLISECOND_NS, tick_ns)
                    .unwrap_or(REST_UNKNOWN),
            });
        }
    })?;
    Ok(found)
}

fn dump(states: u32, extensions: ExtensionFlags, each: &mut dyn FnMut(&InetSocket)) -> io::Result<()> {
    let dump = InetDump { protocol: inet_diag::TCP, families: &FAMILIES, states, extensions };
    dump.run(&mut Netlink::open(NETLINK_SOCK_DIAG)?, each)
}

/// `None` if the length of a tick is not known.
fn jiffies(ns: u64, tick_ns: u64) -> Option<u32> {
    u32::try_from(ns.checked_div(tick_ns)?).ok()
}

/// What was found in this thread's network namespace.
struct FoundHere {
    place: Tuple,
    /// When the search began. The kernel reads sockets ahead of what it has told, so each may have been read then: an event that
    /// came since tells more.
    from_ns: u64,
    tick_ns: u64,
    sockets: Vec<Event>,
    /// Half-open connections whose SYN-ACK was sent again, by local address, port and device; `None` if they were not asked for.
    half_open: Option<HashMap<Served, i32>>,
}

/// Where a listener or its connections are reached: address, port, and the device that they are bound to.
type Served = ([u8; 16], u16, u32);

impl FoundHere {
    fn list(netns: NetnsId, states: u32) -> io::Result<Vec<Event>> {
        let mut found = Self {
            place: Tuple { netns: netns.inum, netns_cookie: netns.cookie, ..Tuple::default() },
            from_ns: monotonic_ns(),
            tick_ns: tick_ns(),
            sockets: Vec::new(),
            half_open: (states & 1 << state::SYN_RECV != 0).then(HashMap::new),
        };
        let extensions = ExtensionFlags::INFO | ExtensionFlags::SKMEMINFO | ExtensionFlags::SHUTDOWN;
        dump(states, extensions, &mut |socket| found.add(socket))?;
        found.give_half_open();
        Ok(found.sockets)
    }

    fn add(&mut self, socket: &InetSocket) {
        let (message, is_timewait) = (&socket.message, socket.message.timer == timer::TIMEWAIT);
        // Only full sockets have one.
        if !socket.info.is_empty() || is_timewait {
            let event = self.found(socket, is_timewait);
            self.sockets.push(event);
        } else if let Some(half_open) = &mut self.half_open
            && message.state == state::SYN_RECV
            && message.retransmits > 0
        {
            *half_open.entry(served(&message.tuple(self.place))).or_default() += 1;
        }
    }

    /// As the iterator's program fills it in (`write_full` and `sockets` in `tracer-ebpf/src/sockets/`).
    fn found(&self, socket: &InetSocket, is_timewait: bool) -> Event {
        let InetSocket { message, info, .. } = socket;
        let tuple = message.tuple(self.place);
        let state = message.state;
        // Stamps tell how old they were when the kernel read them.
        let late_ns = monotonic_ns().saturating_sub(self.from_ns).next_multiple_of(MILLISECOND_NS);
        let in_state_ns = info.in_state_ns(message).unwrap_or_default().saturating_sub(late_ns);
        let mut event = Event {
            time_ns: self.from_ns,
            cookie: message.cookie(),
            netns_cookie: tuple.netns_cookie.into(),
            local_addr: tuple.local_addr,
            remote_addr: tuple.remote_addr,
            netns: tuple.netns,
            ifindex: tuple.ifindex,
            idle_jiffies: u32::try_from(in_state_ns / MILLISECOND_NS).unwrap_or(u32::MAX),
            local_port: tuple.local_port,
            remote_port: tuple.remote_port,
            family: message.family,
            old_state: state,
            new_state: state,
            flags: flag::TIME_WAIT | flag::DEAD,
            ..Event::new_zeroed()
        };
        if !is_timewait {
            event.bytes_acked = info.bytes_acked();
            event.bytes_received = info.bytes_received();
            event.uid = message.uid().unwrap_or(UID_UNKNOWN);
            event.srtt_us = info.srtt_us();
            event.retransmits = info.retransmits();
            // The SYN counts as a byte.
            if state != state::SYN_SENT {
                event.recv_queue = message.recv_queue;
                event.send_queue = message.send_queue;
            }
            let since_data_ns = (u64::from(info.since_data_ms()) * MILLISECOND_NS).saturating_sub(late_ns);
            event.linger2 = jiffies(since_data_ns, self.tick_ns).unwrap_or_default().cast_signed();
            event.detail = info.backoff();
            event.flags = flags(socket);
            event.shutdown = socket.shutdown;
            event.cgroup = socket.cgroup;
            event.mptcp_token = socket.mptcp_token;
            if state == state::LISTEN {
                event.idle_jiffies = socket.drops;
                event.linger2 = if self.half_open.is_some() { 0 } else { HALF_OPEN_UNKNOWN };
            }
        }
        event
    }

    /// Gives listeners their half-open connections. Of several that share an address and port the first one gets them all.
    fn give_half_open(&mut self) {
        let is_listener = |socket: &&mut Event| socket.new_state == state::LISTEN;
        let mut listeners: Vec<_> = self.sockets.iter_mut().filter(is_listener).collect();
        for (place, count) in self.half_open.iter_mut().flat_map(HashMap::drain) {
            let taking = listeners.iter_mut().filter_map(|listener| {
                Some(((fit(served(&Tuple::of(listener)), place)?, Reverse(listener.cookie)), listener))
            });
            if let Some((_, listener)) = taking.max_by_key(|(fit, _)| *fit) {
                listener.linger2 = listener.linger2.saturating_add(count);
            }
        }
    }
}

fn served(tuple: &Tuple) -> Served {
    (tuple.local_addr, tuple.local_port, tuple.ifindex)
}

/// How well a listener fits a connection, as `compute_score` in `inet_hashtables.c` has it; `None` if not at all.
fn fit(listener: Served, connection: Served) -> Option<(u8, bool)> {
    let ((own_addr, own_port, device), (addr, port, bound)) = (listener, connection);
    let [own, addr] = [own_addr, addr].map(|address| canonical(address.into()));
    let closeness = match own {
        same if same == addr => 2,
        any if any.is_unspecified() => u8::from(any.is_ipv4() == addr.is_ipv4()),
        _ => return None,
    };
    (own_port == port && (device == 0 || device == bound)).then_some((closeness, device != 0))
}

/// The bits of [`flag`], as far as they can be told.
fn flags(socket: &InetSocket) -> u16 {
    let InetSocket { message, info, .. } = socket;
    let (state, is_held) = (message.state, message.inode != 0);
    let has_window = !matches!(state, state::LISTEN | state::SYN_SENT | state::CLOSE);
    let is_closed = matches!(state, state::FIN_WAIT1 | state::FIN_WAIT2 | state::CLOSING | state::LAST_ACK);
    let waits_for_accept = matches!(state, state::SYN_RECV | state::ESTABLISHED | state::CLOSE_WAIT);
    [
        (flag::DONE, HAVE_PEERS_FIN.contains(&state)),
        (flag::DEAD, !is_held && is_closed),
        (flag::ACCEPTED, !is_held && waits_for_accept),
        (flag::TRANSPARENT, socket.is_transparent),
        (flag::V6ONLY, state == state::LISTEN && socket.is_v6_only),
        (flag::UNSENT, state != state::LISTEN && info.is_unsent()),
        (flag::WINDOW_ZERO, has_window && message.send_queue > 0 && info.is_window_zero()),
    ]
    .into_iter()
    .filter_map(|(flag, is_set)| is_set.then_some(flag))
    .sum()
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::{Shutdown, TcpListener, TcpStream},
    };

    use rustix::process::geteuid;

    use super::*;
    use crate::source::kernel::namespaces;

    #[test]
    fn half_open_connections_go_to_the_listener_that_fits_best() {
        let v4 = |last| std::net::Ipv4Addr::new(10, 0, 0, last).to_ipv6_mapped().octets();
        let any_v4 = std::net::Ipv4Addr::UNSPECIFIED.to_ipv6_mapped().octets();
        let any = [0; 16];
        let listener = |local_addr, local_port| Event {
            local_addr,
            local_port,
            new_state: state::LISTEN,
            ..Event::new_zeroed()
        };
        let given = |addresses: &[[u8; 16]], to| {
            let mut found = FoundHere {
                place: Tuple::default(),
                from_ns: 0,
                tick_ns: 0,
                sockets: addresses.iter().map(|address| listener(*address, 80)).collect(),
                half_open: Some(HashMap::from([((to, 80, 0), 3), ((to, 81, 0), 5)])),
            };
            found.give_half_open();
            found.sockets.iter().map(|listener| listener.half_open().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(given(&[any, any_v4, v4(1), v4(2)], v4(1)), [0, 0, 3, 0]);
        assert_eq!(given(&[any, any_v4, v4(2)], v4(1)), [0, 3, 0]);
        assert_eq!(given(&[any, v4(2)], v4(1)), [3, 0]);
        assert_eq!(given(&[v4(2)], v4(1)), [0]);
        let fits = |device, bound| fit((any, 80, device), (v4(1), 80, bound)).is_some();
        assert!(fits(0, 0) && fits(0, 2) && fits(2, 2) && !fits(2, 0) && !fits(2, 3));
    }

    /// Sockets of this process at a port, asked for as tracer does.
    fn at(port: u16, list: fn(NetnsId) -> io::Result<Vec<Event>>) -> Vec<Event> {
        let netns = namespaces::here(namespaces::current().unwrap());
        let is_there = |socket: &Event| socket.local_port == port || socket.remote_port == port;
        let mut found: Vec<_> = list(netns).unwrap().into_iter().filter(is_there).collect();
        assert!(found.iter().all(|socket| Tuple::of(socket).netns_id() == netns && socket.cookie != 0));
        found.sort_unstable_by_key(|socket| {
            (socket.new_state != state::LISTEN, socket.local_port != port, socket.cookie)
        });
        // One may be told twice.
        found.dedup_by_key(|socket| socket.cookie);
        found
    }

    /// This asks the kernel, which takes no privileges.
    #[test]
    fn full_sockets_are_told_with_their_facts() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        client.write_all(b"hello").unwrap();
        let [listening, accepted, connected] = at(port, sockets)[..] else { panic!("not three sockets") };
        assert_eq!(listening.recv_queue, 1, "one waits for accept");
        assert_eq!(accepted.flags & flag::ACCEPTED, flag::ACCEPTED);
        assert_eq!((accepted.bytes_received, accepted.recv_queue), (5, 5));
        assert_eq!(connected.flags & (flag::ACCEPTED | flag::DONE | flag::UNSENT), 0);
        assert_eq!(
            (connected.local_port, connected.uid),
            (client.local_addr().unwrap().port(), geteuid().as_raw())
        );
        assert!(connected.srtt_us > 0 && connected.is_found());
        // It counts a client's SYN. The ACK of the data may be delayed.
        assert!(matches!(connected.bytes_acked, 1 | 6));

        let (mut server, _) = listener.accept().unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        server.read_to_end(&mut Vec::new()).unwrap();
        let [listening, accepted, connected] = at(port, live)[..] else { panic!("not three sockets") };
        assert_eq!((listening.recv_queue, accepted.recv_queue), (0, 0));
        assert_eq!(accepted.new_state, state::CLOSE_WAIT);
        assert!(matches!(connected.new_state, state::FIN_WAIT1 | state::FIN_WAIT2));
        assert_eq!(accepted.flags & (flag::DONE | flag::ACCEPTED | flag::DEAD), flag::DONE);
        let [only] = at(port, listeners)[..] else { panic!("not one listener") };
        assert_eq!(only.cookie, listening.cookie);
    }

    #[test]
    fn time_wait_has_the_cookie_of_its_socket() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let (server, _) = listener.accept().unwrap();
        let cookie = at(port, sockets)[2].cookie;
        drop(client);
        drop(server);
        let waiting = |socket: &TimewaitSocket| socket.cookie == cookie;
        let socket = timewait().unwrap().into_iter().find(waiting).unwrap();
        let rest_ns = u64::from(socket.rest_jiffies) * tick_ns();
        assert_eq!(socket.state, u32::from(state::TIME_WAIT));
        assert!((50_000_000_000..=61_000_000_000).contains(&rest_ns), "{rest_ns}");
        let [_, found] = at(port, sockets)[..] else { panic!("not two sockets") };
        assert_eq!((found.cookie, found.flags), (cookie, flag::TIME_WAIT | flag::DEAD));
        assert_eq!(at(port, live).len(), 1, "it is no full socket");
    }

    #[test]
    fn ticks_of_no_length_tell_nothing() {
        assert_eq!(jiffies(60_000_000_000, 4_000_000), Some(15_000));
        assert_eq!(jiffies(60_000_000_000, 0), None);
    }
}
