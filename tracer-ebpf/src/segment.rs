//! Reading the headers of a segment that has arrived.

use tracer_common::event::{AF_INET, AF_INET6};

use crate::{
    kernel::{copy, load},
    sock::{Ends, mapped},
};

/// Where the source address stands in an IP header; the destination follows.
const ADDRESSES_V4: u64 = 12;
const ADDRESSES_V6: u64 = 8;

/// An `sk_buff` whose TCP header the kernel has found.
#[derive(Clone, Copy)]
pub struct Segment(pub *const u8);

impl Segment {
    /// The ends as this host sees them: what the segment was sent to is local.
    #[inline(always)]
    pub fn ends(self) -> Option<Ends> {
        let head: u64 = load!(self.0, SegmentHead as u64);
        let network = head + u64::from(load!(self.0, SegmentNetwork as u16));
        let transport = head + u64::from(load!(self.0, SegmentTransport as u16));
        let [remote_port, local_port]: [u16; 2] = copy(transport as *const u8)?;
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
        Some(Ends { local_addr, remote_addr, local_port, remote_port, family })
    }

    /// The inode number of the network namespace that it came to. Only where no socket was found: the
    /// kernel has forgotten the device otherwise.
    #[inline(always)]
    pub fn netns(self) -> u32 {
        let device = load!(self.0, SegmentDevice as *const u8);
        let net = load!(device, DeviceNet as *const u8);
        load!(net, NetInum as u32)
    }
}
