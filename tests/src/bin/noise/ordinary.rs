//! Ordinary connections of ordinary programs.

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

use crate::{activity::Activity, pause};

const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 1);
/// The address of connections that `ss -K` kills. No others may have it.
const VICTIMS: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 2);

/// Makes a connection every few milliseconds. They end in all the usual ways, but only one in twenty leaves a
/// TIME_WAIT, so that there are hundreds of timewait sockets and not thousands.
pub(crate) fn connect_and_close(activity: &Activity<'_>) {
    let listener = listen(ADDRESS.into(), 0);
    // A port that refuses connections: bound, so that nobody else gets it, but not listening.
    let closed = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    closed.bind(&SocketAddr::from((ADDRESS, 0)).into()).unwrap();
    let closed_at = closed.local_addr().unwrap().as_socket().unwrap();
    while !activity.is_over() {
        match activity.count() % 20 {
            0 => drop(pair(&listener)),
            1..=4 => drop(connect(closed_at).expect_err("nobody listens there")),
            5..=8 => unread(pair(&listener)),
            _ => abort(&pair(&listener).0),
        }
        activity.done();
        pause(activity, 5);
    }
}

/// Makes a connection. Returns the client and the server.
pub(crate) fn pair(listener: &TcpListener) -> (TcpStream, TcpStream) {
    let client = connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

/// Makes the next close send an RST.
pub(crate) fn abort(stream: &TcpStream) {
    SockRef::from(stream).set_linger(Some(Duration::ZERO)).unwrap();
}

/// Closes a connection with unread data, which sends an RST, too.
fn unread((mut client, server): (TcpStream, TcpStream)) {
    client.write_all(b"unread").unwrap();
    server.peek(&mut [0]).unwrap();
    drop(server);
    wait_for_end(&mut client);
}

/// Kills a connection with `ss -K`, once a second.
pub(crate) fn kill(activity: &Activity<'_>) {
    let listener = listen(VICTIMS.into(), 0);
    while !activity.is_over() {
        let (mut client, server) = pair(&listener);
        run(Command::new("ss").args(["-K", "state", "established", "dst", &VICTIMS.to_string()]));
        wait_for_end(&mut client);
        abort(&server);
        activity.done();
        pause(activity, 1000);
    }
}
