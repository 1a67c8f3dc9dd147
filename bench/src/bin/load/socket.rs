//! Sockets of the load.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context as _, Result};
use socket2::{Domain, SockAddr, Socket, Type};

/// Addresses that a thread connects to in turn. With a single address, so many ports are in TIME_WAIT that
/// the search for a free one halves the rate.
const ADDRESSES: u8 = 64;

/// Length of the accept queue: more than enough, because each thread has one connection at a time.
const BACKLOG: i32 = 128;

/// Makes an IPv4 socket.
pub(crate) fn socket() -> Result<Socket> {
    Socket::new(Domain::IPV4, Type::STREAM, None).context("making a socket")
}

/// Makes a listener on all addresses, on a free port.
pub(crate) fn listen() -> Result<Socket> {
    let listener = socket()?;
    listener.set_reuse_address(true)?;
    listener.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)).into()).context("binding")?;
    listener.listen(BACKLOG).context("listening")?;
    Ok(listener)
}

/// Addresses of a listener, in 127.1.`net`.0/24.
pub(crate) fn addresses(listener: &Socket, net: u8) -> Result<Vec<SockAddr>> {
    let port = listener.local_addr()?.as_socket().context("a listener has an address")?.port();
    Ok((1..=ADDRESSES)
        .map(|host| SocketAddr::from((Ipv4Addr::new(127, 1, net, host), port)).into())
        .collect())
}
