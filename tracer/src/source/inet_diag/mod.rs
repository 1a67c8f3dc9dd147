//! Sockets of TCP and UDP, as `inet_diag` tells them (sock_diag(7), `net/ipv4/inet_diag.c`).
//!
//! # Layout
//! - here: asking for the sockets of a network namespace, and taking their messages apart
//! - [`info`]: what the kernel knows of a connection

pub(super) mod info;

use std::{io, net::Ipv4Addr};

use netlink_packet_core::{NLA_HEADER_SIZE, NlasIterator};
use netlink_packet_sock_diag::{
    SockDiagMessage,
    inet::{InetRequest, SocketId, StateFlags},
};
pub(super) use netlink_packet_sock_diag::{
    constants::{AF_INET as V4, AF_INET6 as V6, IPPROTO_TCP as TCP, IPPROTO_UDP as UDP},
    inet::ExtensionFlags,
};
use zerocopy::{FromBytes, Immutable, KnownLayout, byteorder::big_endian};

use crate::{
    source::{inet_diag::info::Info, netlink::Netlink},
    tcp::endpoint::Tuple,
};

/// Attributes (`include/uapi/linux/inet_diag.h`).
const INFO: u16 = 2;
const SKMEMINFO: u16 = 7;
const SHUTDOWN: u16 = 8;
const V6ONLY: u16 = 11;
/// What a protocol above TCP tells; older kernels tell it only to who may administer the network.
const ULP_INFO: u16 = 19;
/// Since 5.8.
const CGROUP: u16 = 21;
/// Since 5.10.
const SOCKOPT: u16 = 22;

/// In [`ULP_INFO`] what MPTCP tells of a subflow (`INET_ULP_INFO_MPTCP`), and there its connection's token
/// (`MPTCP_SUBFLOW_ATTR_TOKEN_LOC`, `include/uapi/linux/mptcp.h`).
const MPTCP: u16 = 3;
const TOKEN: u16 = 2;

/// Offset of the drops in what the kernel tells of a socket's memory: the ninth number (`SK_MEMINFO_DROPS`).
const DROPS: usize = 32;

/// `IP_TRANSPARENT` in the first byte of `struct inet_diag_sockopt`, whose bits begin with the lowest on little-endian machines.
const TRANSPARENT: u8 = 1 << 5;

/// The timers of [`InetMessage::timer`] (`inet_sk_diag_fill`, `inet_twsk_diag_fill`).
pub(super) mod timer {
    pub(in crate::source) const RETRANSMISSION: u8 = 1;
    pub(in crate::source) const TIMEWAIT: u8 = 3;
}

/// A message (`struct inet_diag_msg`). netlink-packet-sock-diag reads it, too, but leaves out how long TIME_WAIT goes on.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct InetMessage {
    pub(super) family: u8,
    /// A half-open connection is told as SYN_RECV, a timewait socket as the state that it waits in.
    pub(super) state: u8,
    /// One of [`timer`], or another one; 0 for none.
    pub(super) timer: u8,
    /// Of what that timer is for, how much has remained without an answer.
    pub(super) retransmits: u8,
    local_port: big_endian::U16,
    remote_port: big_endian::U16,
    local_addr: [u8; 16],
    remote_addr: [u8; 16],
    ifindex: u32,
    /// The lower half comes first on every machine.
    cookie: [u32; 2],
    /// Milliseconds until the timer ends.
    pub(super) expires_ms: u32,
    pub(super) recv_queue: u32,
    pub(super) send_queue: u32,
    uid: u32,
    /// 0 if no process can hold it.
    pub(super) inode: u32,
}

impl InetMessage {
    pub(super) fn cookie(&self) -> u64 {
        let [low, high] = self.cookie;
        u64::from(high) << 32 | u64::from(low)
    }

    /// Its user. Of what no process can hold older kernels tell none: they say root then.
    pub(super) fn uid(&self) -> Option<u32> {
        (self.inode != 0 || self.uid != 0).then_some(self.uid)
    }

    /// Its user, if a process can hold it.
    pub(super) fn uid_if_held(&self) -> Option<u32> {
        self.uid().filter(|_| self.inode != 0)
    }

    /// Addresses, ports and device. `place` is an empty tuple of the network namespace.
    pub(super) fn tuple(&self, place: Tuple) -> Tuple {
        let address = |bytes: [u8; 16]| {
            let [a, b, c, d, ..] = bytes;
            if self.family == V4 { Ipv4Addr::new(a, b, c, d).to_ipv6_mapped().octets() } else { bytes }
        };
        Tuple {
            local_addr: address(self.local_addr),
            remote_addr: address(self.remote_addr),
            ifindex: self.ifindex,
            local_port: self.local_port.get(),
            remote_port: self.remote_port.get(),
            ..place
        }
    }
}

/// A message, and what the attributes behind it tell. What is not told is 0.
pub(super) struct InetSocket<'a> {
    pub(super) message: InetMessage,
    /// What the kernel knows of its connection; empty for half-open connections and timewait sockets, or if it was not asked for.
    pub(super) info: Info<'a>,
    /// Directions that are shut down.
    pub(super) shutdown: u8,
    pub(super) is_v6_only: bool,
    pub(super) is_transparent: bool,
    pub(super) cgroup: u64,
    /// What a listener has dropped.
    pub(super) drops: u32,
    pub(super) mptcp_token: u32,
}

impl<'a> InetSocket<'a> {
    /// `None` for a message that is too short: it is none of a socket.
    fn of(payload: &'a [u8]) -> Option<Self> {
        let (message, behind) = InetMessage::read_from_prefix(payload).ok()?;
        let mut socket = Self {
            message,
            info: Info(&[]),
            shutdown: 0,
            is_v6_only: false,
            is_transparent: false,
            cgroup: 0,
            drops: 0,
            mptcp_token: 0,
        };
        for (kind, value) in attributes(behind) {
            socket.learn(kind, value);
        }
        Some(socket)
    }

    fn learn(&mut self, attribute: u16, value: &'a [u8]) {
        let first = value.first().copied().unwrap_or_default();
        match attribute {
            INFO => self.info = Info(value),
            SHUTDOWN => self.shutdown = first,
            V6ONLY => self.is_v6_only = first == 1,
            SOCKOPT => self.is_transparent = first & TRANSPARENT != 0,
            CGROUP => self.cgroup = value.first_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes)),
            SKMEMINFO => self.drops = u32_at(value, DROPS).unwrap_or_default(),
            ULP_INFO => {
                let token = u32_at(attribute_in(attribute_in(value, MPTCP), TOKEN), 0);
                self.mptcp_token = token.unwrap_or_default();
            }
            _ => {}
        }
    }
}

fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    NlasIterator::new(bytes).flatten().map(|attribute| {
        let (kind, length) = (attribute.kind(), attribute.value_length());
        let value = attribute.into_inner().get(NLA_HEADER_SIZE..).and_then(|value| value.get(..length));
        (kind, value.unwrap_or_default())
    })
}

/// The value of the first attribute of a kind; empty if there is none.
fn attribute_in(bytes: &[u8], wanted: u16) -> &[u8] {
    attributes(bytes).find(|(kind, _)| *kind == wanted).map_or(&[], |(_, value)| value)
}

/// A number at an offset; `None` if there are too few bytes.
fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes.get(offset..).and_then(<[u8]>::first_chunk).map(|bytes| u32::from_ne_bytes(*bytes))
}

/// What to ask for.
pub(super) struct InetDump<'a> {
    /// [`TCP`] or [`UDP`].
    pub(super) protocol: u8,
    /// [`V4`] and [`V6`], of which one or both.
    pub(super) families: &'a [u8],
    /// A bit for each state of TCP, by the kernel's number.
    pub(super) states: u32,
    pub(super) extensions: ExtensionFlags,
}

impl InetDump<'_> {
    /// Hands over each socket of the network namespace that `diag` was opened in. One may be told twice.
    ///
    /// # Errors
    /// ENOENT: the kernel cannot list sockets of this protocol.
    pub(super) fn run(&self, diag: &mut Netlink, each: &mut dyn FnMut(&InetSocket)) -> io::Result<()> {
        for family in self.families {
            // `inet_diag` never says that a list has changed meanwhile.
            let listed = diag.dump(self.request(*family), &mut |payload| {
                InetSocket::of(payload).iter().for_each(&mut *each);
                Ok(())
            });
            match listed {
                // Without IPv6 there are no sockets of it.
                Err(error) if *family == V6 && error.raw_os_error() == Some(libc::ENOENT) => {}
                listed => _ = listed?,
            }
        }
        Ok(())
    }

    fn request(&self, family: u8) -> SockDiagMessage {
        SockDiagMessage::InetRequest(InetRequest {
            family,
            protocol: self.protocol,
            extensions: self.extensions.clone(),
            states: StateFlags::from_bits_retain(self.states),
            socket_id: SocketId::new_v4(),
        })
    }
}
