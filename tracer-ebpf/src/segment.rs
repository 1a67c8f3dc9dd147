//! Received segments (`struct sk_buff`).

use tracer_common::event::{AF_INET, AF_INET6};

use crate::{
    endpoints::{Endpoints, mapped},
    kernel::{copy, load},
    netns::Netns,
};

/// Offsets of the source address in the IP header (RFC 791, 3.1; RFC 8200, 3). The destination follows it.
const ADDRESSES_V4: u64 = 12;
const ADDRESSES_V6: u64 = 8;

/// Offset of the flags in the TCP header, and two of them (RFC 9293, 3.1).
const FLAGS: u64 = 13;
const SYN: u8 = 1 << 1;
const ACK: u8 = 1 << 4;

/// An `sk_buff` whose IP and TCP header the kernel has located.
#[derive(Clone, Copy)]
pub struct Segment(pub *const u8);

impl Segment {
    /// The endpoints from this host's side: the segment's destination is local. `None` if a header cannot be
    /// read.
    #[inline(always)]
    pub fn endpoints(self) -> Option<Endpoints> {
        let head: u64 = load!(self.0, SegmentHead as u64);
        let network = head + u64::from(load!(self.0, SegmentNetwork as u16));
        let [remote_port, local_port]: [u16; 2] = copy(self.transport() as *const u8)?;
        let version: u8 = copy(network as *const u8)?;
        let (family, remote_addr, local_addr) = match version >> 4 {
            4 => {
                let [from, to]: [u32; 2] = copy((network + ADDRESSES_V4) as *const u8)?;
                (AF_INET, mapped(from), mapped(to))
            }
            6 => {
                let [from, to]: [[u32; 4]; 2] = copy((network + ADDRESSES_V6) as *const u8)?;
                (AF_INET6, from, to)
            }
            _ => return None,
        };
        let (local_port, remote_port) = (u16::from_be(local_port), u16::from_be(remote_port));
        Some(Endpoints { local_addr, remote_addr, local_port, remote_port, ifindex: 0, family })
    }

    /// Whether it is the first segment of a handshake: SYN without ACK. False if that cannot be read.
    #[inline(always)]
    pub fn opens(self) -> bool {
        let flags: Option<u8> = copy((self.transport() + FLAGS) as *const u8);
        flags.is_some_and(|flags| flags & (SYN | ACK) == SYN)
    }

    #[inline(always)]
    fn transport(self) -> u64 {
        let head: u64 = load!(self.0, SegmentHead as u64);
        head + u64::from(load!(self.0, SegmentTransport as u16))
    }

    /// The network namespace that it arrived in. Only for a segment without a socket: for
    /// others the kernel has already cleared the device.
    #[inline(always)]
    pub fn netns(self) -> Netns {
        let device = load!(self.0, SegmentDevice as *const u8);
        Netns::of(load!(device, DeviceNet as *const u8))
    }
}
