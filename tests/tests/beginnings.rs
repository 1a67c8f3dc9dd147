//! Filters on a port that a client has only later hide no beginning, and lines are in order: whatever tells of a
//! connection comes after its beginning.

use std::net::{Ipv4Addr, SocketAddr};

use socket2::{Domain, Socket, Type};
use tests::{
    incidents::{Scene, of, what},
    option::set_tcp,
    place::Place,
    program::close,
    story::{Line, number, text},
    traffic::connect,
};

const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 77, 21, 1);
/// Where nobody listens.
const DISCARD: u16 = 9;
/// The ports that the kernel gives to clients, and others.
const PORTS: &str = "-L 1024-65535";

/// A client whose SYN is dropped.
fn opening(place: &Place) -> Socket {
    place.run(|| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_nonblocking(true).unwrap();
        socket.connect(&SocketAddr::from((ADDRESS, DISCARD)).into()).unwrap_err();
        socket
    })
}

fn port(socket: &Socket) -> Option<u64> {
    socket.local_addr().unwrap().as_socket().map(|address| address.port().into())
}

/// The lines of the connection of the first one, as what they tell.
fn told(lines: &[Line]) -> Vec<String> {
    let of_first = lines.iter().filter(|line| line["cookie"] == lines[0]["cookie"]);
    let states = |line: &Line| format!("{}>{}", text(line, "old_state"), text(line, "new_state"));
    of_first.map(|line| if what(line) == "transition" { states(line) } else { what(line) }).collect()
}

#[test]
fn a_retransmission_comes_after_the_beginning() {
    let scene = Scene::new(&format!("--retransmits {PORTS}"));
    scene.cut();
    let socket = opening(&scene.place);
    let lines = scene.wait_for("retransmit", 1);
    assert_eq!(told(&lines), ["CLOSE>SYN_SENT", "retransmit"]);
    close(socket);
}

#[test]
fn a_reset_comes_after_the_beginning() {
    let scene = Scene::new(&format!("--resets {PORTS}"));
    scene.place.run(|| connect((ADDRESS, DISCARD).into()).unwrap_err());
    let lines = scene.wait_for("transition", 2);
    assert_eq!(told(&lines), ["CLOSE>SYN_SENT", "reset received", "SYN_SENT>CLOSE"]);
}

/// Whether other hooks report the port or not.
#[test]
fn what_is_stuck_comes_in_time_after_the_beginning_with_its_port() {
    for (options, before) in [
        (format!("{PORTS} --hooks minimal"), &["CLOSE>SYN_SENT"][..]),
        (PORTS.to_owned(), &["CLOSE>SYN_SENT"]),
        (String::new(), &["CLOSE>SYN_SENT"]),
        (format!("{PORTS} --only-stuck"), &[]),
    ] {
        let scene = Scene::new(&format!("--stuck SYN_SENT=500ms {options}"));
        scene.cut();
        let socket = opening(&scene.place);
        let lines = scene.wait_for("stuck", 1);
        assert_eq!(told(&lines), [before, &["stuck"]].concat(), "{options}");
        let stuck = of(&lines, "stuck")[0];
        assert_eq!(stuck["local_port"].as_u64(), port(&socket), "{options}");
        assert_eq!(number(stuck, "stuck_us"), number(stuck, "state_us"), "{options}");
    }
}

/// A port that is not selected is not told, and neither is the connection.
#[test]
fn what_is_stuck_at_another_port_is_not_told() {
    let scene = Scene::new("--stuck SYN_SENT=500ms --retransmits -L 1-1023,65535");
    scene.place.set("net.ipv4.ip_local_port_range=40000 60000");
    scene.cut();
    let other = opening(&scene.place);
    let bound = scene.place.run(|| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_nonblocking(true).unwrap();
        socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, 1000)).into()).unwrap();
        socket.connect(&SocketAddr::from((ADDRESS, DISCARD)).into()).unwrap_err();
        socket
    });
    // The other is older, so it would have been told first.
    let lines = scene.wait_for("stuck", 1);
    assert!(lines.iter().all(|line| line["local_port"] == 1000), "{lines:#?}");
    drop((other, bound));
}

/// With TCP Fast Open the SYN waits for data. Nobody has been asked, so nobody has not answered.
#[test]
fn a_connect_whose_syn_waits_is_not_stuck_before_it_is_sent() {
    let place = Place::new();
    // Client, and no cookie is needed.
    place.set("net.ipv4.tcp_fastopen=5");
    let scene = Scene::at(place, "--stuck SYN_SENT=500ms");
    scene.cut();
    let waiting = scene.place.run(|| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        set_tcp(&socket, libc::TCP_FASTOPEN_CONNECT, 1);
        socket.connect(&SocketAddr::from((ADDRESS, DISCARD)).into()).unwrap();
        socket
    });
    let first = opening(&scene.place);
    let lines = scene.wait_for("stuck", 1);
    assert_eq!(of(&lines, "stuck")[0]["local_port"].as_u64(), port(&first), "{lines:#?}");
    waiting.set_nonblocking(true).unwrap();
    waiting.send(b"x").unwrap();
    let lines = scene.wait_for("stuck", 2);
    let stuck = of(&lines, "stuck")[1];
    assert_eq!(stuck["local_port"].as_u64(), port(&waiting), "{lines:#?}");
    let us = |key| number(stuck, key).unwrap();
    assert!(us("stuck_us") >= 500_000.0 && us("stuck_us") < us("state_us"), "{stuck}");
}
