//! What programs do all day.

use std::{
    io::Write as _,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    process::Command,
    time::Duration,
};

use socket2::{Domain, SockRef, Socket, Type};
use tests::{
    program::run,
    traffic::{connect, listen, wait_for_end},
};

use crate::{deed::Deed, pause};

const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 1);
/// Of connections that are killed: nobody else's may be.
const VICTIMS: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 2);

/// A connection every few milliseconds, ended in all the ways. Only one in twenty leaves a TIME_WAIT,
/// so that there are hundreds of these and not thousands.
pub(crate) fn connect_and_close(deed: &Deed<'_>) {
    let listener = listen(ADDRESS.into(), 0);
    // Bound, so that nobody else gets the port, and not listening.
    let closed = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    closed.bind(&SocketAddr::from((ADDRESS, 0)).into()).unwrap();
    let closed_at = closed.local_addr().unwrap().as_socket().unwrap();
    while !deed.is_over() {
        match deed.count() % 20 {
            0 => drop(pair(&listener)),
            1..=4 => drop(connect(closed_at).expect_err("nobody listens there")),
            5..=8 => unread(pair(&listener)),
            _ => abort(&pair(&listener).0),
        }
        deed.done();
        pause(deed, 5);
    }
}

pub(crate) fn pair(listener: &TcpListener) -> (TcpStream, TcpStream) {
    let client = connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

/// Lets its end be an RST.
pub(crate) fn abort(stream: &TcpStream) {
    SockRef::from(stream).set_linger(Some(Duration::ZERO)).unwrap();
}

/// Closed with data that was not read, which is answered with an RST too.
fn unread((mut client, server): (TcpStream, TcpStream)) {
    client.write_all(b"unread").unwrap();
    server.peek(&mut [0]).unwrap();
    drop(server);
    wait_for_end(&mut client);
}

/// `ss -K`, once a second.
pub(crate) fn kill(deed: &Deed<'_>) {
    let listener = listen(VICTIMS.into(), 0);
    while !deed.is_over() {
        let (mut client, server) = pair(&listener);
        run(Command::new("ss").args(["-K", "state", "established", "dst", &VICTIMS.to_string()]));
        wait_for_end(&mut client);
        abort(&server);
        deed.done();
        pause(deed, 1000);
    }
}
