//! Connections with the same addresses and ports in two VRFs. Only the VRF's device tells them apart, also on the
//! children of a listener that serves all VRFs.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream},
    panic::{AssertUnwindSafe, catch_unwind},
};

use guest::Found;
use tests::{
    links::{DEVICES, bound, index, ip, two_links},
    patience::until,
    place::Place,
    program::{Program, run},
    story::{self, Line, text},
    tracer,
    traffic::{listen, wait_for_end},
};

use crate::scenario::{check::follows_time_wait, unless_lost};

/// A VRF for each of the links.
const VRFS: [&str; 2] = ["blue", "red"];
const CLIENT_PORT: u16 = 40_079;
/// Attempts to get a capture without lost events.
const TRIES: usize = 4;
/// A listener without a VRF accepts for all of them.
const ACCEPTS_FOR_ALL: &str = "/proc/sys/net/ipv4/tcp_l3mdev_accept";

/// Makes the connections, and checks how they are told.
pub(crate) fn play() -> Found {
    // Without socket cookies it is left to chance whether TIME_WAIT is told: an orphan may get its timewait socket before.
    if !follows_time_wait() {
        return Found::Vrf { connections: 0 };
    }
    (0..TRIES).find_map(|_| attempt()).expect("a capture without losses")
}

fn attempt() -> Option<Found> {
    let (left, right) = two_links();
    for (place, host) in [(&left, 1), (&right, 2)] {
        make_vrfs(place, host);
    }
    right.run(|| fs::write(ACCEPTS_FOR_ALL, "1").expect("a setting"));
    let tracer = tracer::started(Program::collect(left.command(tracer::binary()).args(["-o", "json"])));
    let scene = Scene { left, right, tracer };
    let played = catch_unwind(AssertUnwindSafe(|| scene.server_closes() + scene.client_closes()));
    let connections = unless_lost(played, &scene.tracer.interrupt())?;
    Some(Found::Vrf { connections })
}

/// Puts each link into a VRF of its own.
fn make_vrfs(place: &Place, host: u8) {
    let name = place.name();
    for ((vrf, device), table) in VRFS.iter().zip(DEVICES).zip(10..) {
        ip(&format!("-n {name} link add {vrf} type vrf table {table}"));
        ip(&format!("-n {name} link set {vrf} up"));
        // This removes its IPv6 addresses.
        ip(&format!("-n {name} link set {device} master {vrf}"));
        ip(&format!("-n {name} addr add fd78::{host}/64 dev {device} nodad"));
    }
}

fn port(listener: &TcpListener) -> u16 {
    listener.local_addr().expect("an address").port()
}

struct Scene {
    left: Place,
    right: Place,
    tracer: Program,
}

impl Scene {
    /// Connects in a VRF, from and to the same addresses and ports in each.
    fn connect(&self, vrf: &str, listener: &TcpListener, [from, to]: [&str; 2]) -> (TcpStream, TcpStream) {
        let end = |address: &str, port| SocketAddr::new(address.parse().expect("an address"), port);
        let client = bound(&self.left, vrf, &end(from, CLIENT_PORT).into());
        client.connect(&end(to, port(listener)).into()).expect("a listener");
        (client.into(), listener.accept().expect("a client").0)
    }

    /// A listener without an address: each address belongs to a VRF.
    fn listen(&self, any: impl Into<IpAddr> + Send) -> TcpListener {
        self.right.run(|| listen(any.into(), 0))
    }

    /// The lines of one side of all connections to a listener.
    fn lines(&self, role: &str, listener: &TcpListener) -> Vec<Line> {
        let mut lines = story::lines(story::whole(&self.tracer.out()));
        let port = port(listener);
        let end = if role == "server" { "local_port" } else { "remote_port" };
        lines.retain(|line| line[end] == port && text(line, "role") == role);
        lines
    }

    /// Waits until so many sockets of this side are in TIME_WAIT.
    fn wait_for(&self, count: usize, role: &str, listener: &TcpListener) {
        until("TIME_WAIT", || {
            let lines = self.lines(role, listener);
            let ends = lines.iter().filter(|line| text(line, "new_state") == "TIME_WAIT");
            (ends.count() == count).then_some(())
        });
    }

    /// The VRF that a line names, or shows as a number until its name is known.
    fn vrf_of(line: &Line, place: &Place) -> Option<&'static str> {
        let interface = text(line, "interface");
        VRFS.into_iter().find(|vrf| interface == *vrf || interface == index(place, vrf).to_string())
    }

    /// The listener's children are in TIME_WAIT when the next connection comes. In another VRF it is another one;
    /// in the same VRF it takes the socket's place.
    fn server_closes(&self) -> usize {
        let listener = self.listen(Ipv4Addr::UNSPECIFIED);
        let vrfs = ["blue", "red", "blue"];
        for (vrf, count) in vrfs.iter().zip(1..) {
            let (mut client, server) = self.connect(vrf, &listener, ["10.78.0.1", "10.78.0.2"]);
            drop(server);
            wait_for_end(&mut client);
            drop(client);
            self.wait_for(count, "server", &listener);
        }
        let lines = self.lines("server", &listener);
        let births: Vec<_> = lines.iter().filter(|line| text(line, "new_state") == "SYN_RECV").collect();
        let told = |line: &&Line| (Self::vrf_of(line, &self.right), line["reuse"].as_bool());
        let expected = [("blue", false), ("red", false), ("blue", true)];
        let expected = expected.map(|(vrf, reuse)| (Some(vrf), Some(reuse)));
        assert_eq!(births.iter().map(told).collect::<Vec<_>>(), expected, "{births:#?}");
        check_ss(&self.right, "10.78.0.2");
        vrfs.len()
    }

    /// The clients are in TIME_WAIT.
    fn client_closes(&self) -> usize {
        let listener = self.listen(Ipv6Addr::UNSPECIFIED);
        for (vrf, count) in VRFS.iter().zip(1..) {
            let (client, mut server) = self.connect(vrf, &listener, ["fd78::1", "fd78::2"]);
            drop(client);
            wait_for_end(&mut server);
            drop(server);
            self.wait_for(count, "client", &listener);
        }
        let lines = self.lines("client", &listener);
        // In tracer's own namespace names are known from the first line on.
        for line in &lines {
            assert_eq!(line["reuse"], false, "{line}");
            assert_ne!(text(line, "old_state"), "TIME_WAIT", "{line}");
            assert!(VRFS.contains(&text(line, "interface")), "{line}");
        }
        check_ss(&self.left, "[fd78::1]");
        VRFS.len()
    }
}

/// `ss` shows a socket in TIME_WAIT in each VRF, too.
fn check_ss(place: &Place, address: &str) {
    let table = run(place.command("ss").args(["-tanH", "state", "time-wait"]));
    for vrf in VRFS {
        assert!(table.contains(&format!(" {address}%{vrf}:")), "no {vrf}: {table}");
    }
}
