//! The two ends of a connection: endpoints for users, tuples as keys of tables; and tasks.

use std::{
    fmt,
    hash::{Hash, Hasher},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use tracer_common::{Event, event::COMM_LEN};

use crate::{
    tcp::{device::Device, netns::NetnsId},
    text::escape::name,
};

/// An address family, as shown to users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

impl Family {
    /// The name in output and filters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
        }
    }
}

/// The address and port of one end of a connection.
///
/// ```
/// use tracer::tcp::endpoint::Endpoint;
///
/// let mapped = "::ffff:10.0.0.1".parse::<std::net::Ipv6Addr>()?.octets();
/// assert_eq!(Endpoint::of(mapped, 443).to_string(), "10.0.0.1:443");
/// assert_eq!(Endpoint::of([0; 16], 0).to_string(), "[::]:*");
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Address.
    pub addr: IpAddr,
    /// The device that the address belongs to, or that its socket is bound to.
    pub device: Option<Device>,
    /// Port; `None` if it is not known yet, or if there is no peer (of a listener).
    pub port: Option<u16>,
}

impl Endpoint {
    /// An endpoint from the form in events. A v4-mapped address becomes IPv4, and port 0 becomes `None`.
    #[must_use]
    pub fn of(addr: [u8; 16], port: u16) -> Self {
        Self::with(canonical, addr, port)
    }

    /// The same, but a v4-mapped address stays IPv6.
    #[must_use]
    pub fn raw(addr: [u8; 16], port: u16) -> Self {
        Self::with(IpAddr::V6, addr, port)
    }

    fn with(show: fn(Ipv6Addr) -> IpAddr, addr: [u8; 16], port: u16) -> Self {
        Self { addr: show(Ipv6Addr::from(addr)), device: None, port: (port != 0).then_some(port) }
    }
}

impl fmt::Display for Endpoint {
    /// As `ss` writes it: `10.0.0.1:443`, `[fe80::1]%eth0:443`, `*` for an unknown port.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.addr {
            IpAddr::V4(addr) => write!(f, "{addr}")?,
            IpAddr::V6(addr) => write!(f, "[{addr}]")?,
        }
        if let Some(device) = self.device {
            write!(f, "%{device}")?;
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => f.write_str(":*"),
        }
    }
}

/// Turns a v4-mapped address (RFC 4291, 2.5.5.2) into IPv4, and leaves any other as it is.
#[must_use]
pub fn canonical(addr: Ipv6Addr) -> IpAddr {
    let bits = addr.to_bits();
    if bits >> 32 == 0xffff {
        let octets = addr.octets();
        IpAddr::V4(Ipv4Addr::new(octets[12], octets[13], octets[14], octets[15]))
    } else {
        IpAddr::V6(addr)
    }
}

/// What distinguishes a connection from all others at a time: addresses, ports, network namespace, and the
/// device that it is bound to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Tuple {
    /// Local address in network byte order, v4-mapped for IPv4.
    pub local_addr: [u8; 16],
    /// Remote address, in the same form.
    pub remote_addr: [u8; 16],
    /// Inode number of the network namespace.
    pub netns: u32,
    /// Cookie of the network namespace, which no other gets. 0 if the kernel has none, or one above 2^32.
    pub netns_cookie: u32,
    /// Index of the device that the socket is bound to; 0 if it is not bound.
    pub ifindex: u32,
    /// Local port.
    pub local_port: u16,
    /// Remote port.
    pub remote_port: u16,
}

/// Hashes whole words: byte by byte, hashing takes as long as the look-up.
impl Hash for Tuple {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u128(u128::from_ne_bytes(self.local_addr));
        hasher.write_u128(u128::from_ne_bytes(self.remote_addr));
        let ports = u64::from(self.local_port) << 16 | u64::from(self.remote_port);
        hasher.write_u64(u64::from(self.netns) << 32 | ports);
        hasher.write_u64(u64::from(self.netns_cookie) << 32 | u64::from(self.ifindex));
    }
}

impl Tuple {
    /// Its network namespace.
    #[must_use]
    pub fn netns_id(&self) -> NetnsId {
        NetnsId { inum: self.netns, cookie: self.netns_cookie }
    }

    /// The tuple in an event.
    #[must_use]
    pub fn of(event: &Event) -> Self {
        Self {
            local_addr: event.local_addr,
            remote_addr: event.remote_addr,
            netns: event.netns,
            netns_cookie: NetnsId::new(event.netns, event.netns_cookie).cookie,
            ifindex: event.ifindex,
            local_port: event.local_port,
            remote_port: event.remote_port,
        }
    }
}

/// A task: a thread of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task {
    /// Process id.
    pub pid: u32,
    /// Thread id.
    pub tid: u32,
    /// Name (`comm`), any bytes, zero-padded.
    pub comm: [u8; COMM_LEN],
}

impl Task {
    /// The name without its padding.
    #[must_use]
    pub fn comm(&self) -> &[u8] {
        name(&self.comm)
    }
}
