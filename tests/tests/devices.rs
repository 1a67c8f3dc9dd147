//! Connections that are bound to a network device: two of them may have the same addresses and ports, and only
//! the device tells them apart.

use std::{net::TcpStream, process::Command};

use socket2::{Domain, SockAddr, Socket, Type};
use tests::{
    patience::until,
    place::Place,
    program::{Program, run},
    story::{Line, lines, text, whole},
    tracer,
    traffic::wait_for_end,
};

const DEVICES: [&str; 2] = ["wire0", "wire1"];

/// Two namespaces with two links between them. On both links they have the same addresses.
fn two_links() -> (Place, Place) {
    let (left, right) = (Place::new(), Place::new());
    for device in DEVICES {
        let (left_name, right_name) = (left.name(), right.name());
        ip(&format!("link add {device} netns {left_name} type veth peer name {device} netns {right_name}"));
        for (place, host) in [(&left, 1), (&right, 2)] {
            let name = place.name();
            ip(&format!("-n {name} link set {device} addrgenmode none"));
            ip(&format!("-n {name} link set {device} up"));
            ip(&format!("-n {name} addr add fe80::{host}/64 dev {device} nodad"));
            ip(&format!("-n {name} addr add 10.78.0.{host}/24 dev {device}"));
        }
    }
    (left, right)
}

fn ip(arguments: &str) {
    run(Command::new("ip").args(arguments.split(' ')));
}

fn index(place: &Place, device: &str) -> u32 {
    let out = run(place.command("cat").arg(format!("/sys/class/net/{device}/ifindex")));
    out.trim().parse().unwrap()
}

/// An address on a device, for IPv6 with its scope.
fn address(family: Domain, host: u8, port: u16, index: u32) -> SockAddr {
    if family == Domain::IPV4 {
        std::net::SocketAddrV4::new([10, 78, 0, host].into(), port).into()
    } else {
        let host = u16::from(host);
        std::net::SocketAddrV6::new([0xfe80, 0, 0, 0, 0, 0, 0, host].into(), port, 0, index).into()
    }
}

fn socket(place: &Place, family: Domain, device: &str, host: u8, port: u16) -> Socket {
    let index = index(place, device);
    place.run(|| {
        let socket = Socket::new(family, Type::STREAM, None).unwrap();
        socket.bind_device(Some(device.as_bytes())).unwrap();
        socket.set_reuse_address(true).unwrap();
        socket.bind(&address(family, host, port, index)).unwrap();
        socket
    })
}

const CLIENT_PORT: u16 = 40_078;
const SERVER_PORT: u16 = 8078;

/// Connects over a device, from and to the same ports on each.
fn connect(left: &Place, right: &Place, family: Domain, device: &str) -> (TcpStream, TcpStream) {
    let listener = socket(right, family, device, 2, SERVER_PORT);
    listener.listen(1).unwrap();
    let client = socket(left, family, device, 1, CLIENT_PORT);
    client.connect(&address(family, 2, SERVER_PORT, index(left, device))).unwrap();
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
            drop(client);
            wait_for_end(&mut server);
            drop(server);
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
    let tracer = tracer_in(&left, "-o json --port 8078");
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
