//! Segments that neither end of a connection has sent.

use std::net::{SocketAddr, SocketAddrV4};

use etherparse::PacketBuilder;
use socket2::{Domain, Protocol, Socket, Type};

/// Sends an ACK with a sequence number of long ago, as if it came `from` this end of a connection. In
/// TIME_WAIT, `to` answers with an ACK of its own.
pub fn old_ack(from: SocketAddrV4, to: SocketAddrV4) {
    let builder = PacketBuilder::ipv4(from.ip().octets(), to.ip().octets(), 64);
    let mut packet = Vec::new();
    builder.tcp(from.port(), to.port(), 0, 0).ack(0).write(&mut packet, &[]).expect("memory");
    // With this protocol the kernel takes the header that is given (raw(7)).
    let raw = Protocol::from(libc::IPPROTO_RAW);
    let socket = Socket::new(Domain::IPV4, Type::RAW, Some(raw)).expect("CAP_NET_RAW");
    socket.send_to(&packet, &SocketAddr::from(to).into()).expect("a route");
}
