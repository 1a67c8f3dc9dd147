//! Peers that do not answer, so that SYNs and data are retransmitted.

use std::{
    io::Write as _,
    net::{Ipv4Addr, SocketAddr, TcpListener},
};

use socket2::{Domain, Socket, Type};
use tests::{place::Place, program::run, traffic::listen};

use crate::{
    activity::Activity,
    ordinary::{abort, pair},
    pause,
};

const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 3);
/// Data to this port is dropped, but connections are accepted.
const DEAF: u16 = 9001;
/// Everything to this port is dropped.
const DARK: u16 = 9002;
const AT_ONCE: usize = 8;

pub(crate) fn write_and_wait(activity: &Activity<'_>, place: &Place) {
    let rules = format!(
        "table ip silence {{ chain input {{ type filter hook input priority 0; \
         tcp dport {DEAF} tcp flags & psh == psh drop; tcp dport {DARK} drop; }}; }}"
    );
    run(place.command("nft").arg(rules));
    place.run(|| {
        let listener = listen(ADDRESS.into(), DEAF);
        while !activity.is_over() {
            unanswered(activity, &listener);
        }
    });
}

fn unanswered(activity: &Activity<'_>, listener: &TcpListener) {
    let written: Vec<_> = (0..AT_ONCE).map(|_| pair(listener)).collect();
    for (client, server) in &written {
        (&*client).write_all(b"unheard").unwrap();
        abort(client);
        abort(server);
    }
    let begun: Vec<_> = (0..AT_ONCE).map(|_| begin()).collect();
    // A SYN is retransmitted after a second, data earlier.
    pause(activity, 1200);
    drop((begun, written));
    activity.done();
}

fn begin() -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket.connect(&SocketAddr::from((ADDRESS, DARK)).into()).expect_err("not at once");
    socket
}
