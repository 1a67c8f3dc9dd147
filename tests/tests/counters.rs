//! What the kernel counts in ActiveOpens, PassiveOpens, AttemptFails, EstabResets and EmbryonicRsts, and that
//! the receipt agrees with it. The table in `docs/counters.md` has these rows.

use std::{
    collections::HashMap,
    fs,
    io::Read as _,
    net::{Ipv4Addr, SocketAddr, TcpListener},
};

use socket2::{Domain, Socket, Type};
use tests::{
    option::set_tcp,
    patience::until_or,
    place::Place,
    program::close,
    receipt::{Unfiltered, dispute},
    remote::{ACK, FIN_ACK, RST_ACK, Remote, SYN, SYN_ACK},
    tracer,
    traffic::{connect, listen},
};

/// The counters of the table, in its order.
const COUNTERS: [&str; 5] = ["ActiveOpens", "PassiveOpens", "AttemptFails", "EstabResets", "EmbryonicRsts"];

/// An increase of each of them.
type Increase = [u64; 5];

/// What happens in a namespace, and what the kernel counts then. What `play` returns is kept until the end.
struct Case {
    name: &'static str,
    counted: Increase,
    play: fn(&Place) -> Kept,
}

/// Sockets that stay open.
type Kept = Vec<Box<dyn Send>>;

const CASES: [Case; 17] = [
    Case { name: "refused", counted: [1, 0, 1, 0, 0], play: refused },
    Case { name: "closed in SYN_SENT", counted: [1, 0, 0, 0, 0], play: closed_in_syn_sent },
    Case { name: "disconnected in SYN_SENT", counted: [1, 0, 0, 0, 0], play: disconnected_in_syn_sent },
    Case { name: "no free port", counted: [0, 0, 0, 0, 0], play: no_free_port },
    Case { name: "TCP_REPAIR, connect and close", counted: [0, 0, 0, 2, 0], play: repaired },
    Case { name: "TCP_FASTOPEN_CONNECT, not sent yet", counted: [0; 5], play: deferred },
    Case { name: "the same, closed", counted: [0; 5], play: deferred_and_closed },
    Case { name: "the same, sent", counted: [1, 1, 0, 0, 0], play: deferred_and_sent },
    Case { name: "simultaneous open, RST", counted: [1, 0, 1, 0, 0], play: crossed_and_reset },
    Case { name: "half open, RST", counted: [0, 0, 1, 0, 1], play: half_open_and_reset },
    Case { name: "half open, another SYN", counted: [0, 0, 1, 0, 1], play: half_open_and_syn },
    Case { name: "half open, listener closed", counted: [0; 5], play: half_open_and_listener_closed },
    Case {
        name: "Fast Open child, listener closed",
        counted: [0, 1, 0, 0, 0],
        play: child_and_listener_closed,
    },
    Case { name: "Fast Open child, RST", counted: [0, 1, 2, 0, 0], play: child_and_reset },
    Case { name: "Fast Open child, another SYN", counted: [0, 1, 1, 0, 0], play: child_and_syn },
    Case { name: "Fast Open child, closed, RST", counted: [0, 1, 1, 0, 0], play: child_closed_and_reset },
    Case { name: "4 refused, 4 overflows with RST", counted: [9, 5, 4, 0, 4], play: overflows },
];

const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 77, 50, 1);
/// Where nobody listens.
const DISCARD: u16 = 9;
/// Limit of the accept queue that overflows.
const BACKLOG: i32 = 4;
/// The simulated host's port.
const PORT: u16 = 7000;

fn counters(place: &Place) -> Increase {
    let text = place.run(|| {
        ["snmp", "netstat"].map(|file| fs::read_to_string(format!("/proc/thread-self/net/{file}")).unwrap())
    });
    let mut found = HashMap::new();
    for file in &text {
        let mut lines = file.lines();
        while let (Some(names), Some(numbers)) = (lines.next(), lines.next()) {
            let numbers = numbers.split_whitespace().map(|number| number.parse().unwrap_or(0));
            found.extend(names.split_whitespace().zip(numbers));
        }
    }
    COUNTERS.map(|name| found[name])
}

#[test]
fn what_the_kernel_counts_is_accounted_for() {
    let places: Vec<_> = CASES.iter().map(|case| (case, Place::new())).collect();
    let tracer = Unfiltered::start("");
    let mut kept = Vec::new();
    for (case, place) in &places {
        kept.push((case.play)(place));
        let seen = || format!("{}: {:?}", case.name, counters(place));
        until_or("what the kernel counts", || (counters(place) == case.counted).then_some(()), seen);
    }
    let receipt = tracer.finish();
    let disputes: Vec<_> = places
        .iter()
        .filter_map(|(case, place)| Some(format!("{}: {}", case.name, dispute(&receipt, place)?)))
        .collect();
    assert!(disputes.is_empty(), "{disputes:#?}");
}

/// The connect is older than the tracer, and its SYN is not.
#[test]
fn a_syn_may_wait_from_before_the_tracer() {
    let (sent, closed) = (Place::new(), Place::new());
    let listener = sent.run(|| listen(ADDRESS.into(), 0));
    let client = waiting_client(&sent, listener.local_addr().unwrap().port());
    let other = waiting_client(&closed, DISCARD);
    let tracer = Unfiltered::start("");
    client.send(b"x").unwrap();
    drop(listener.accept().unwrap());
    drop(other);
    let receipt = tracer.finish();
    assert_eq!(counters(&sent)[..2], [1, 1]);
    assert_eq!((dispute(&receipt, &sent), dispute(&receipt, &closed)), (None, None), "{receipt:#}");
}

/// A SYN that waits may have been counted or not: the receipt says how far both may differ, and why.
#[test]
fn the_tolerance_is_said() {
    let place = Place::new();
    let file = tempfile::NamedTempFile::new().unwrap();
    let arguments = format!("--netns {} --receipt {}", place.name(), file.path().display());
    let tracer = tracer::start(&arguments);
    let _waits = waiting_client(&place, DISCARD);
    let ended = tracer.interrupt();
    let receipt: serde_json::Value = serde_json::from_slice(&fs::read(file.path()).unwrap()).unwrap();
    assert_eq!(receipt["kernel"]["tolerance"]["opened"], 1, "{receipt:#}");
    let said = ": agrees (a difference of opened 1 is allowed: what happens while counters are read";
    assert!(ended.err.contains(said), "{}", ended.err);
}

/// Counts of namespaces that are gone are in the total, and cannot be compared. The receipt says what was.
#[test]
fn the_receipt_says_what_was_compared() {
    let stays = Place::new();
    let tracer = Unfiltered::start("");
    {
        let gone = Place::new();
        refused(&gone);
    }
    refused(&stays);
    let receipt = tracer.finish();
    assert_eq!(dispute(&receipt, &stays), None, "{receipt:#}");
    let opened = |side: &str| receipt[side]["opened"].as_u64().unwrap();
    let compared = receipt["kernel"]["compared"]["opened"].as_u64().unwrap();
    assert!(opened("connections") > compared, "{receipt:#}");
    if receipt["kernel"]["agrees"] == true {
        assert_eq!(opened("kernel"), compared, "{receipt:#}");
    }
}

fn none() -> Kept {
    Vec::new()
}

fn stream_socket() -> Socket {
    Socket::new(Domain::IPV4, Type::STREAM, None).unwrap()
}

fn refused(place: &Place) -> Kept {
    place.run(|| connect((ADDRESS, DISCARD).into()).unwrap_err());
    none()
}

/// A socket in SYN_SENT, to the simulated host.
fn opening(place: &Place) -> (Remote, Socket) {
    let mut remote = Remote::new(place, PORT);
    let to = remote.address();
    let socket = place.run(|| {
        let socket = stream_socket();
        socket.set_nonblocking(true).unwrap();
        socket.connect(&to.into()).unwrap_err();
        socket
    });
    remote.expect(SYN);
    (remote, socket)
}

fn closed_in_syn_sent(place: &Place) -> Kept {
    opening(place);
    none()
}

fn disconnected_in_syn_sent(place: &Place) -> Kept {
    let (_remote, socket) = opening(place);
    rustix::net::connect_unspec(&socket).unwrap();
    none()
}

fn no_free_port(place: &Place) -> Kept {
    place.set("net.ipv4.ip_local_port_range=40000 40000");
    place.run(|| {
        let bound = stream_socket();
        bound.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, 40000)).into()).unwrap();
        bound.listen(1).unwrap();
        connect((ADDRESS, DISCARD).into()).unwrap_err();
    });
    none()
}

fn repaired(place: &Place) -> Kept {
    for _ in 0..2 {
        place.run(|| {
            let socket = stream_socket();
            set_tcp(&socket, libc::TCP_REPAIR, 1);
            socket.bind(&SocketAddr::from((ADDRESS, 0)).into()).unwrap();
            socket.connect(&SocketAddr::from((ADDRESS, DISCARD)).into()).unwrap();
        });
    }
    none()
}

/// A client whose SYN waits for the first data: with Fast Open, no cookie is asked for.
fn waiting_client(place: &Place, port: u16) -> Socket {
    place.set("net.ipv4.tcp_fastopen=0x607");
    place.run(|| {
        let client = stream_socket();
        set_tcp(&client, libc::TCP_FASTOPEN_CONNECT, 1);
        client.connect(&SocketAddr::from((ADDRESS, port)).into()).unwrap();
        client
    })
}

fn deferred(place: &Place) -> Kept {
    vec![Box::new(waiting_client(place, DISCARD))]
}

fn deferred_and_closed(place: &Place) -> Kept {
    waiting_client(place, DISCARD);
    none()
}

fn deferred_and_sent(place: &Place) -> Kept {
    let listener = place.run(|| listen(ADDRESS.into(), 0));
    let client = waiting_client(place, listener.local_addr().unwrap().port());
    client.send(b"x").unwrap();
    let (server, _) = listener.accept().unwrap();
    vec![Box::new(client), Box::new(server)]
}

fn crossed_and_reset(place: &Place) -> Kept {
    let (mut remote, socket) = opening(place);
    remote.send(SYN);
    remote.expect(SYN_ACK);
    remote.send(RST_ACK);
    vec![Box::new(socket)]
}

/// A listener that takes connections from the simulated host.
fn listening(place: &Place, backlog: i32) -> (Remote, TcpListener) {
    place.set("net.ipv4.tcp_fastopen=0x602");
    let mut remote = Remote::new(place, PORT);
    let listener = place.run(|| {
        let socket = stream_socket();
        socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)).into()).unwrap();
        socket.listen(backlog).unwrap();
        TcpListener::from(socket)
    });
    remote.peer = listener.local_addr().unwrap().port();
    (remote, listener)
}

/// A connection that the simulated host has begun.
fn half_open(place: &Place) -> (Remote, TcpListener) {
    let (mut remote, listener) = listening(place, 16);
    remote.send(SYN);
    remote.expect(SYN_ACK);
    (remote, listener)
}

fn half_open_and_reset(place: &Place) -> Kept {
    let (mut remote, listener) = half_open(place);
    remote.send(RST_ACK);
    vec![Box::new(listener)]
}

fn half_open_and_syn(place: &Place) -> Kept {
    let (mut remote, listener) = half_open(place);
    remote.send(SYN);
    vec![Box::new(listener)]
}

fn half_open_and_listener_closed(place: &Place) -> Kept {
    half_open(place);
    none()
}

/// A child that Fast Open has made of the simulated host's first segment. It is in SYN_RECV.
fn child(place: &Place) -> (Remote, TcpListener) {
    let (mut remote, listener) = listening(place, 16);
    remote.send_syn_data(b"hello");
    remote.expect(SYN_ACK);
    (remote, listener)
}

fn child_and_listener_closed(place: &Place) -> Kept {
    child(place);
    none()
}

fn child_and_reset(place: &Place) -> Kept {
    let (mut remote, listener) = child(place);
    remote.send(RST_ACK);
    vec![Box::new(listener)]
}

fn child_and_syn(place: &Place) -> Kept {
    let (mut remote, listener) = child(place);
    remote.send(SYN);
    vec![Box::new(listener)]
}

fn child_closed_and_reset(place: &Place) -> Kept {
    let (mut remote, listener) = child(place);
    let (mut server, _) = listener.accept().unwrap();
    server.read_exact(&mut [0; 5]).unwrap();
    // FIN_WAIT1
    close(server);
    remote.expect(FIN_ACK);
    remote.send(RST_ACK);
    vec![Box::new(listener)]
}

fn overflows(place: &Place) -> Kept {
    place.set("net.ipv4.tcp_abort_on_overflow=1");
    for _ in 0..4 {
        refused(place);
    }
    let (mut remote, listener) = listening(place, BACKLOG);
    let halves: Vec<_> = (0..4)
        .map(|index| {
            (remote.port, remote.seq) = (PORT + index, 1000);
            remote.send(SYN);
            remote.expect(SYN_ACK);
            (remote.port, remote.seq, remote.ack)
        })
        .collect();
    // The queue takes one more than its limit.
    let to = (ADDRESS, remote.peer).into();
    let queued = place.run(|| (0..=BACKLOG).map(|_| connect(to).unwrap()).collect::<Vec<_>>());
    for (port, seq, ack) in halves {
        (remote.port, remote.seq) = (port, seq);
        remote.send_acking(ACK, ack);
    }
    vec![Box::new(listener), Box::new(queued)]
}
