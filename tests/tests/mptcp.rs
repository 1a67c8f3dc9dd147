//! MPTCP: a process holds one socket, and the TCP connections below it are its subflows.

use std::net::{SocketAddr, TcpListener, TcpStream};

use socket2::{Domain, Protocol, Socket, Type};
use tests::{
    patience::until,
    place::Place,
    program::{Program, run},
    story::{Line, lines, text, whole},
    tracer,
};

/// `IPPROTO_MPTCP`
const IPPROTO_MPTCP: i32 = 262;

const ADDRESS: [u8; 4] = [127, 77, 71, 1];

fn socket(protocol: Option<i32>) -> Socket {
    Socket::new(Domain::IPV4, Type::STREAM, protocol.map(Protocol::from)).unwrap()
}

fn listen() -> TcpListener {
    let socket = socket(Some(IPPROTO_MPTCP));
    socket.bind(&SocketAddr::from((ADDRESS, 0)).into()).unwrap();
    socket.listen(4).unwrap();
    socket.into()
}

/// Both ends of a connection to that listener.
fn connect(listener: &TcpListener, protocol: Option<i32>) -> (TcpStream, TcpStream) {
    let client = socket(protocol);
    client.connect(&listener.local_addr().unwrap().into()).unwrap();
    (client.into(), listener.accept().unwrap().0)
}

/// The token that `ss` shows for the MPTCP connection at this end.
fn token_by_ss(place: &Place, end: &TcpStream) -> String {
    let port = end.local_addr().unwrap().port();
    let peer = end.peer_addr().unwrap().port();
    let filter = format!("sport = :{port} and dport = :{peer}");
    let out = run(place.command("ss").args(["-MniH", &filter]));
    let token = out.split("token:").nth(1).unwrap_or_else(|| panic!("no token: {out}"));
    token.split_whitespace().next().unwrap().to_owned()
}

#[test]
fn subflows_have_their_connections_holder_and_token() {
    follow(|_| {});
}

/// The first look gives the sockets their cookies, so another tracer finds them otherwise.
#[test]
fn another_tracer_has_looked_before() {
    follow(|place| {
        let looks = format!("--duration 1ms --netns {}", place.name());
        assert_eq!(Program::collect(&mut tracer::command(&looks)).wait().code(), 0);
    });
}

/// Follows MPTCP connections that are made, and that are there already, after `before` has been done.
fn follow(before: impl Fn(&Place)) {
    let place = Place::new();
    let (listener, old) = place.run(|| {
        let listener = listen();
        let old = connect(&listener, Some(IPPROTO_MPTCP));
        (listener, old)
    });
    before(&place);
    let tracer = tracer::start(&format!("-o json --netns {}", place.name()));
    let new = place.run(|| connect(&listener, Some(IPPROTO_MPTCP)));
    let plain = place.run(|| connect(&listener, None));
    let pairs = [("old", &old), ("new", &new)];
    let ends = pairs.map(|(what, (client, server))| [(what, client), (what, server)]).into_iter().flatten();
    let expected: Vec<_> =
        ends.map(|(what, end)| (what, end.try_clone().unwrap(), token_by_ss(&place, end))).collect();
    let fallen_back = plain.1.try_clone().unwrap();
    let ports = expected.iter().map(|(_, end, _)| (end.local_addr().unwrap(), end.peer_addr().unwrap()));
    assert_eq!(ports.collect::<std::collections::HashSet<_>>().len(), 4);
    // Closed by the kernel's worker where it still has something to do, so the owner cannot be learnt then.
    let of = |end: &TcpStream| (end.local_addr().unwrap().port(), end.peer_addr().unwrap().port());
    let expected: Vec<_> = expected.into_iter().map(|(what, end, token)| (what, of(&end), token)).collect();
    let plain_ports = of(&fallen_back);
    drop((old, new, plain, fallen_back, listener));
    until("all ends", || {
        let lines = lines(whole(&tracer.out()));
        let ends = lines.iter().filter(|line| !line["reason"].is_null());
        (ends.count() >= 6).then_some(())
    });
    let ended = tracer.interrupt();
    assert_eq!((ended.code(), tracer::lost(&ended)), (0, 0), "{}", ended.err);
    let lines = lines(&ended.out);
    let own = u64::from(std::process::id());
    for line in lines.iter().filter(|line| !line["remote_port"].is_null()) {
        assert_eq!(line["pid"], own, "{line}");
    }
    let listener =
        lines.iter().find(|line| text(line, "old_state") == "LISTEN" && line["remote_port"].is_null());
    assert_eq!(listener.expect("the listener's end")["pid"], own);
    for (what, ports, token) in expected {
        let of_end = lines.iter().filter(|line| (ports_of(line)) == Some(ports));
        let told: Vec<_> = of_end.filter(|line| text(line, "old_state") == "ESTABLISHED").collect();
        assert!(!told.is_empty(), "{what}: {}", ended.out);
        assert!(told.iter().all(|line| text(line, "mptcp") == token), "{what} {token}: {told:#?}");
    }
    let plain: Vec<_> = lines.iter().filter(|line| ports_of(line) == Some(plain_ports)).collect();
    assert!(!plain.is_empty() && plain.iter().all(|line| line["mptcp"].is_null()), "{plain:#?}");
}

fn ports_of(line: &Line) -> Option<(u16, u16)> {
    let port = |key: &str| u16::try_from(line[key].as_u64()?).ok();
    Some((port("local_port")?, port("remote_port")?))
}
