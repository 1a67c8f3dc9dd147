//! Sockets of TCP and UDP, as `inet_diag` gives them.

use std::{io, net::Ipv4Addr};

use netlink_packet_core::NlasIterator;
use netlink_packet_sock_diag::{
    SockDiagMessage,
    constants::{AF_INET, AF_INET6, IPPROTO_TCP, IPPROTO_UDP},
    inet::{ExtensionFlags, InetRequest, SocketId, StateFlags},
};
use tracer_common::state;
use zerocopy::{FromBytes, Immutable, KnownLayout, byteorder::big_endian};

use crate::{
    facts::listing::{ListedSocket, Protocol, SocketTimer},
    source::{
        listing::info::{INFO, Info, at_least_ns, closing_ns},
        netlink::Netlink,
    },
    tcp::endpoint::Tuple,
};

pub(super) const V4: u8 = AF_INET;
pub(super) const V6: u8 = AF_INET6;

/// Attributes (`include/uapi/linux/inet_diag.h`).
const SHUTDOWN: u16 = 8;
const V6ONLY: u16 = 11;
/// Since 5.8.
const CGROUP: u16 = 21;

/// How long the kernel keeps TIME_WAIT (`TCP_TIMEWAIT_LEN`), in milliseconds.
const TIME_WAIT_MS: u32 = 60_000;

/// A message (`struct inet_diag_msg`). netlink-packet-sock-diag reads it, too, but leaves out how long TIME_WAIT goes on.
#[derive(FromBytes, Immutable, KnownLayout)]
#[repr(C)]
struct InetMessage {
    family: u8,
    state: u8,
    timer: u8,
    retransmits: u8,
    local_port: big_endian::U16,
    remote_port: big_endian::U16,
    local_addr: [u8; 16],
    remote_addr: [u8; 16],
    ifindex: u32,
    /// The lower half comes first on every machine.
    cookie: [u32; 2],
    expires_ms: u32,
    recv_queue: u32,
    send_queue: u32,
    uid: u32,
    inode: u32,
}

/// What to ask for.
pub(super) struct InetDump {
    pub(super) protocol: Protocol,
    pub(super) family: u8,
    pub(super) states: u32,
    pub(super) info: bool,
}

impl InetDump {
    /// Hands over each socket. `place` is an empty tuple of this thread's network namespace.
    pub(super) fn list(
        &self,
        diag: &mut Netlink,
        place: Tuple,
        each: &mut dyn FnMut(ListedSocket),
    ) -> io::Result<()> {
        // `inet_diag` never says that a list has changed meanwhile.
        diag.dump(self.request(), &mut |payload| {
            each_in(self.protocol, place, payload, each);
            Ok(())
        })
        .map(|_| ())
    }

    fn request(&self) -> SockDiagMessage {
        let is_tcp = self.protocol == Protocol::Tcp;
        SockDiagMessage::InetRequest(InetRequest {
            family: self.family,
            protocol: if is_tcp { IPPROTO_TCP } else { IPPROTO_UDP },
            extensions: if self.info && is_tcp { ExtensionFlags::INFO } else { ExtensionFlags::empty() },
            // Half-open connections are told as SYN_RECV.
            states: StateFlags::from_bits_retain(self.states),
            socket_id: SocketId::new_v4(),
        })
    }
}

fn each_in(protocol: Protocol, place: Tuple, payload: &[u8], each: &mut dyn FnMut(ListedSocket)) {
    // A message that is too short is none of a socket.
    if let Ok((message, attributes)) = InetMessage::read_from_prefix(payload) {
        let mut socket = listed(protocol, place, &message);
        for attribute in NlasIterator::new(attributes).flatten() {
            learn(&mut socket, attribute.kind(), attribute.value());
        }
        each(socket);
    }
}

fn listed(protocol: Protocol, place: Tuple, message: &InetMessage) -> ListedSocket {
    let address = |bytes: [u8; 16]| {
        let [a, b, c, d, ..] = bytes;
        if message.family == V4 { Ipv4Addr::new(a, b, c, d).to_ipv6_mapped().octets() } else { bytes }
    };
    let [low, high] = message.cookie;
    let tuple = Tuple {
        local_addr: address(message.local_addr),
        remote_addr: address(message.remote_addr),
        ifindex: message.ifindex,
        local_port: message.local_port.get(),
        remote_port: message.remote_port.get(),
        ..place
    };
    ListedSocket {
        state: message.state,
        cookie: u64::from(high) << 32 | u64::from(low),
        inode: message.inode,
        // What no process can hold has no user, for which the kernel says root.
        uid: (message.inode != 0).then_some(message.uid),
        recv_queue: message.recv_queue,
        send_queue: message.send_queue,
        timer: (message.timer != 0).then_some(SocketTimer {
            kind: message.timer,
            unanswered: message.retransmits,
            rest_ms: message.expires_ms,
        }),
        in_state_ns: since_time_wait(message),
        ..ListedSocket::new(protocol, message.family, tuple)
    }
}

/// How long it has been in TIME_WAIT: a late segment starts the timer again, so that is the least.
fn since_time_wait(message: &InetMessage) -> Option<u64> {
    let is_timewait = message.state == state::TIME_WAIT;
    let since_ms = TIME_WAIT_MS.checked_sub(message.expires_ms).filter(|_| is_timewait)?;
    Some(at_least_ns(since_ms))
}

fn learn(socket: &mut ListedSocket, attribute: u16, value: &[u8]) {
    match attribute {
        INFO => {
            let info = Info(value);
            socket.info = info.connection(socket.state);
            let in_state_ns = || info.in_state_ns(socket.state).or_else(|| closing_ns(socket, &info));
            socket.in_state_ns = socket.in_state_ns.or_else(in_state_ns);
        }
        SHUTDOWN => socket.shutdown = value.first().copied().unwrap_or_default(),
        V6ONLY => socket.is_v6_only = value.first() == Some(&1),
        CGROUP => socket.cgroup = value.first_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes)),
        _ => {}
    }
}
