//! `handshake_us` is the time of a handshake, or null: where there was none, where the kernel's measurement is
//! of something else, and where it has none.

use std::{
    io::Write as _,
    net::{Ipv4Addr, SocketAddr},
    thread,
    time::Duration,
};

use socket2::{Domain, Socket, Type};
use tests::{
    option::set_tcp,
    patience::until_or,
    place::Place,
    program::Program,
    remote::{ACK, HERE, Remote, SYN_ACK},
    story::{self, Line, number, text},
    tracer,
    traffic::{connect, listen},
};

const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 77, 51, 1);
/// What an application waits before it sends its data.
const PAUSE: Duration = Duration::from_millis(300);

struct Scene {
    place: Place,
    tracer: Program,
}

impl Scene {
    fn new() -> Self {
        let place = Place::new();
        let tracer = tracer::start(&format!("-o json --netns {}", place.name()));
        Self { place, tracer }
    }

    /// The handshakes of `count` connections of this role, in microseconds. Ends the tracer.
    fn handshakes(self, role: &str, count: usize) -> Vec<Option<f64>> {
        let established = || {
            let out = self.tracer.out();
            let lines = story::lines(story::whole(&out)).into_iter();
            let is_one = |line: &Line| text(line, "new_state") == "ESTABLISHED" && text(line, "role") == role;
            lines.filter(is_one).collect::<Vec<_>>()
        };
        until_or("ESTABLISHED", || (established().len() >= count).then_some(()), || self.tracer.out());
        let handshakes = established().iter().map(|line| number(line, "handshake_us")).collect();
        assert_eq!(self.tracer.interrupt().code(), 0);
        handshakes
    }
}

/// Makes connections, one after the other.
fn connections(place: &Place, count: usize) {
    place.run(|| {
        let listener = listen(ADDRESS.into(), 0);
        for _ in 0..count {
            let client = connect(listener.local_addr().unwrap()).unwrap();
            drop((client, listener.accept().unwrap()));
        }
    });
}

#[test]
fn ordinary_handshakes_are_measured() {
    for role in ["client", "server"] {
        let scene = Scene::new();
        connections(&scene.place, 20);
        let handshakes = scene.handshakes(role, 20);
        // The server's is not known if it is a whole number of milliseconds.
        let known: Vec<_> = handshakes.iter().flatten().collect();
        assert!(known.len() >= 18 && known.iter().all(|us| **us > 0.0), "{role}: {handshakes:?}");
    }
}

/// The ACK that ends the handshake has come long ago: the first data counts.
#[test]
fn a_deferred_accept_has_none() {
    let scene = Scene::new();
    scene.place.run(|| {
        let listener = listen(ADDRESS.into(), 0);
        set_tcp(&listener, libc::TCP_DEFER_ACCEPT, 10);
        let mut client = connect(listener.local_addr().unwrap()).unwrap();
        thread::sleep(PAUSE);
        client.write_all(b"request").unwrap();
        drop(listener.accept().unwrap());
    });
    assert_eq!(scene.handshakes("server", 1), [None]);
}

#[test]
fn syn_cookies_have_none() {
    let scene = Scene::new();
    // For every connection, not only in a flood.
    scene.place.set("net.ipv4.tcp_syncookies=2");
    connections(&scene.place, 20);
    assert_eq!(scene.handshakes("server", 20), [None; 20]);
}

#[test]
fn a_repaired_socket_has_none() {
    let scene = Scene::new();
    scene.place.run(|| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        set_tcp(&socket, libc::TCP_REPAIR, 1);
        socket.bind(&SocketAddr::from((ADDRESS, 0)).into()).unwrap();
        thread::sleep(Duration::from_millis(1));
        socket.connect(&SocketAddr::from((ADDRESS, 9)).into()).unwrap();
    });
    assert_eq!(scene.handshakes("client", 1), [None]);
}

/// The SYN waits for the first data, and the handshake begins with it.
#[test]
fn a_deferred_connect_begins_with_its_syn() {
    let scene = Scene::new();
    // Client, server, no cookies, and every listener.
    scene.place.set("net.ipv4.tcp_fastopen=0x607");
    scene.place.run(|| {
        let listener = listen(ADDRESS.into(), 0);
        let client = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        set_tcp(&client, libc::TCP_FASTOPEN_CONNECT, 1);
        client.connect(&SocketAddr::from((ADDRESS, listener.local_addr().unwrap().port())).into()).unwrap();
        thread::sleep(PAUSE);
        client.send(b"request").unwrap();
        drop(listener.accept().unwrap());
    });
    let handshakes = scene.handshakes("client", 1);
    let pause_us = 1e6 * PAUSE.as_secs_f64();
    assert!(matches!(handshakes[..], [Some(us)] if us > 0.0 && us < pause_us), "{handshakes:?}");
}

/// A child of Fast Open has data from the beginning; its handshake ends with the peer's ACK as any other.
#[test]
fn a_child_of_fast_open_has_one() {
    let scene = Scene::new();
    scene.place.set("net.ipv4.tcp_fastopen=0x602");
    let mut remote = Remote::new(&scene.place, 7000);
    let listener = scene.place.run(|| listen(HERE.into(), 0));
    remote.peer = listener.local_addr().unwrap().port();
    let servers: Vec<_> = (7000..7003)
        .map(|port| {
            (remote.port, remote.seq) = (port, 1000);
            remote.send_syn_data(b"request");
            remote.expect(SYN_ACK);
            thread::sleep(Duration::from_millis(50));
            remote.send(ACK);
            listener.accept().unwrap()
        })
        .collect();
    let handshakes = scene.handshakes("server", servers.len());
    // One is not known if it is a whole number of milliseconds.
    let known: Vec<_> = handshakes.iter().flatten().collect();
    assert!(!known.is_empty() && known.iter().all(|us| **us >= 50_000.0), "{handshakes:?}");
}
