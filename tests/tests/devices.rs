//! Connections that are bound to a network device: two of them may have the same addresses and ports, and only
//! the device tells them apart.

use std::{net::TcpStream, time::Duration};

use serde_json::Value;
use socket2::{Domain, SockAddr, SockRef};
use tests::{
    links::{DEVICES, bound, index, ip, link, two_links},
    patience::until,
    place::Place,
    program::{Program, close, run},
    story::{Line, lines, text, whole},
    tracer,
    traffic::wait_for_end,
};

/// An address on a device, for IPv6 with its scope.
fn address(family: Domain, host: u8, port: u16, index: u32) -> SockAddr {
    if family == Domain::IPV4 {
        std::net::SocketAddrV4::new([10, 78, 0, host].into(), port).into()
    } else {
        let host = u16::from(host);
        std::net::SocketAddrV6::new([0xfe80, 0, 0, 0, 0, 0, 0, host].into(), port, 0, index).into()
    }
}

const CLIENT_PORT: u16 = 40_078;
const SERVER_PORT: u16 = 8078;

/// Connects over a device, from and to the same ports on each.
fn connect(left: &Place, right: &Place, family: Domain, device: &str) -> (TcpStream, TcpStream) {
    let (here, there) = (index(left, device), index(right, device));
    let listener = bound(right, device, &address(family, 2, SERVER_PORT, there));
    listener.listen(1).unwrap();
    let client = bound(left, device, &address(family, 1, CLIENT_PORT, here));
    client.connect(&address(family, 2, SERVER_PORT, here)).unwrap();
    (client.into(), listener.accept().unwrap().0.into())
}

/// A tracer that was started in this namespace.
fn tracer_in(place: &Place, arguments: &str) -> Program {
    tracer::started(Program::collect(place.command(tracer::binary()).args(arguments.split(' '))))
}

#[test]
fn the_device_tells_connections_apart() {
    for family in [Domain::IPV4, Domain::IPV6] {
        let (left, right) = two_links();
        let columns = "--columns role,ifindex,old_state,new_state,reuse";
        let tracer = tracer::start(&format!("-o json --netns {} {columns}", left.name()));
        let text_log = tracer_in(&left, "--color never --port 8078");
        // Two clients, of which the first one is in TIME_WAIT when the second one connects.
        for device in DEVICES {
            let (client, mut server) = connect(&left, &right, family, device);
            close(client);
            wait_for_end(&mut server);
            close(server);
            until("TIME_WAIT", || {
                let lines = lines(whole(&tracer.out()));
                let index = index(&left, device);
                lines.iter().any(|line| line["ifindex"] == index && is_time_wait(line)).then_some(())
            });
        }
        let table = run(left.command("ss").args(["-tanH", "state", "time-wait"]));
        assert_eq!(table.lines().count(), 2, "{table}");
        let ended = tracer.interrupt();
        assert_eq!((ended.code(), tracer::lost(&ended)), (0, 0), "{}", ended.err);
        let lines = lines(&ended.out);
        assert!(lines.iter().all(|line| line["reuse"] == false), "{}", ended.out);
        assert!(!lines.iter().any(|line| text(line, "old_state") == "TIME_WAIT"), "{}", ended.out);
        // As `ss` writes it.
        let shown = text_log.interrupt().out;
        for line in table.lines() {
            let local = line.split_whitespace().nth(2).unwrap();
            assert!(local.contains("%wire"), "{line}");
            assert!(shown.contains(local), "no {local}: {shown}");
        }
    }
}

fn is_time_wait(line: &Line) -> bool {
    text(line, "new_state") == "TIME_WAIT"
}

/// In the tracer's own namespace names are there from the first line on.
#[test]
fn devices_have_names_from_the_first_line_on() {
    let (left, right) = two_links();
    let tracer = tracer_in(&left, &format!("-o json --netns {}", left.inum()));
    let both = connect(&left, &right, Domain::IPV6, DEVICES[0]);
    until("a connection", || tracer.out().contains("ESTABLISHED").then_some(()));
    let ended = tracer.interrupt();
    drop(both);
    let lines = lines(&ended.out);
    let clients = lines.iter().filter(|line| text(line, "role") == "client");
    for line in clients {
        assert_eq!(text(line, "interface"), DEVICES[0], "{line}");
    }
}

/// Makes a connection over this device that leaves nothing behind.
fn visit(left: &Place, right: &Place, device: &str) {
    let (client, server) = connect(left, right, Domain::IPV4, device);
    for stream in [client, server] {
        SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    }
}

/// The names of devices in the lines of this namespace, in order.
fn names(tracer: &Program, netns_cookie: &Value) -> Vec<String> {
    let lines = lines(whole(&tracer.out())).into_iter().filter(|line| line["netns_cookie"] == *netns_cookie);
    lines.map(|line| text(&line, "interface").to_owned()).filter(|name| !name.is_empty()).collect()
}

/// Visits until the lines have this name. Returns the cookie of the namespace.
fn visit_until_named(tracer: &Program, left: &Place, right: &Place, device: &str) -> Value {
    let inum = left.inum();
    until("the name", || {
        visit(left, right, device);
        let lines = lines(whole(&tracer.out()));
        let last = lines.iter().rev().find(|line| line["netns"] == inum)?;
        (text(last, "interface") == device).then(|| last["netns_cookie"].clone())
    })
}

/// A device gets another name: in the tracer's own namespace and elsewhere the lines soon have it, and then keep it.
#[test]
fn a_renamed_device_has_its_new_name() {
    let (left, right) = two_links();
    let tracers =
        [tracer_in(&left, "-o json --port 8078"), tracer::start(&format!("-o json --netns {}", left.name()))];
    for tracer in &tracers {
        visit_until_named(tracer, &left, &right, DEVICES[0]);
    }
    for place in [&left, &right] {
        let name = place.name();
        for words in ["down", "name wire9", "up"] {
            let device = if words == "up" { "wire9" } else { DEVICES[0] };
            ip(&format!("-n {name} link set {device} {words}"));
        }
    }
    for tracer in &tracers {
        let netns_cookie = visit_until_named(tracer, &left, &right, "wire9");
        let known = names(tracer, &netns_cookie).len();
        (0..3).for_each(|_| visit(&left, &right, "wire9"));
        until("more lines", || (names(tracer, &netns_cookie).len() > known).then_some(()));
        assert!(names(tracer, &netns_cookie)[known..].iter().all(|name| name == "wire9"), "{}", tracer.out());
    }
}

/// A namespace gets the number of one before, and a device the index of one there, with another name.
#[test]
fn a_device_is_not_named_after_one_of_a_namespace_before() {
    let attempt = |_| {
        let (left, right) = Place::with_high_numbers(two_links);
        let tracer = tracer::start("-o json --port 8078");
        visit_until_named(&tracer, &left, &right, DEVICES[0]);
        let older = index(&left, DEVICES[0]);
        Some((tracer, older, Place::soon_with_number_of(left)?, right))
    };
    // Other programs make namespaces, too.
    let (tracer, older, left, right) = (0..8).find_map(attempt).expect("a number that was there before");
    link(&left, &right, &["cable0", "cable1"]);
    assert_eq!(index(&left, "cable0"), older);
    let netns_cookie = visit_until_named(&tracer, &left, &right, "cable0");
    let names = names(&tracer, &netns_cookie);
    // Until the name is found its index stands for it.
    assert!(names.iter().all(|name| *name == "cable0" || *name == older.to_string()), "{names:?}");
}
