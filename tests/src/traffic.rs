//! Makes connections that end in all the usual ways.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use fastrand::Rng;
use rustix::event::{PollFd, PollFlags, poll};
use socket2::{Domain, SockRef, Socket, Type};

use crate::{
    place::Place,
    program::{Program, close, run},
};

/// How a connection ends.
#[derive(Clone, Copy, Debug)]
pub enum Scenario {
    /// The client closes first.
    ClientCloses,
    /// The server closes first.
    ServerCloses,
    /// Nobody listens.
    Refused,
    /// The client aborts (`SO_LINGER` 0).
    Reset,
    /// The client shuts down its sending side and still reads.
    HalfClosed,
    /// The server closes with unread data.
    Unread,
    /// The listener closes before the connection is accepted.
    NeverAccepted,
    /// The server's process is killed.
    Killed,
}

/// All scenarios.
pub const SCENARIOS: [Scenario; 8] = [
    Scenario::ClientCloses,
    Scenario::ServerCloses,
    Scenario::Refused,
    Scenario::Reset,
    Scenario::HalfClosed,
    Scenario::Unread,
    Scenario::NeverAccepted,
    Scenario::Killed,
];

/// Addresses that only this namespace has: IPv4, IPv6, and IPv4 through an IPv6 socket.
fn addresses(place: &Place, rng: &mut Rng) -> [IpAddr; 3] {
    let v4 = place.own_v4(rng.u8(1..));
    [v4.into(), place.own_v6().into(), v4.to_ipv6_mapped().into()]
}

/// Listens at `port`; with 0 the kernel chooses a port.
pub fn listen(address: IpAddr, port: u16) -> TcpListener {
    let socket = Socket::new(domain(address), Type::STREAM, None).unwrap();
    if address.is_ipv6() {
        socket.set_only_v6(false).unwrap();
    }
    socket.set_reuse_address(true).unwrap();
    socket.bind(&SocketAddr::new(address, port).into()).unwrap();
    socket.listen(16).unwrap();
    socket.into()
}

/// Connects. For a v4-mapped address the socket is an IPv6 one.
pub fn connect(to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = Socket::new(domain(to.ip()), Type::STREAM, None)?;
    socket.connect(&to.into())?;
    Ok(socket.into())
}

fn domain(address: IpAddr) -> Domain {
    if address.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 }
}

/// A port where nobody listens.
const DISCARD: u16 = 9;

/// Plays a scenario in the namespace that this thread is in.
pub fn play(scenario: Scenario, address: IpAddr) {
    let listener = listen(address, 0);
    let to = listener.local_addr().unwrap();
    match scenario {
        Scenario::Refused => {
            // Not the listener's port, which another thread may get once it is closed.
            connect(SocketAddr::new(address, DISCARD)).expect_err("nobody listens there");
        }
        Scenario::NeverAccepted => {
            let mut client = connect(to).unwrap();
            // A slow host may not have taken the ACK of the handshake yet.
            poll(&mut [PollFd::new(&listener, PollFlags::IN)], None).unwrap();
            drop(listener);
            wait_for_end(&mut client);
        }
        Scenario::Killed => {
            drop(listener);
            killed(address);
        }
        scenario => {
            let client = connect(to).unwrap();
            let (server, _) = listener.accept().unwrap();
            finish(scenario, client, server);
        }
    }
}

fn finish(scenario: Scenario, mut client: TcpStream, mut server: TcpStream) {
    client.write_all(b"request").unwrap();
    if !matches!(scenario, Scenario::Unread) {
        server.read_exact(&mut [0; 7]).unwrap();
        server.write_all(b"answer").unwrap();
        client.read_exact(&mut [0; 6]).unwrap();
    }
    match scenario {
        Scenario::ServerCloses => {
            close(server);
            wait_for_end(&mut client);
        }
        Scenario::Reset => {
            SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
            close(client);
            wait_for_end(&mut server);
        }
        Scenario::HalfClosed => {
            client.shutdown(Shutdown::Write).unwrap();
            wait_for_end(&mut server);
            server.write_all(b"more").unwrap();
            client.read_exact(&mut [0; 4]).unwrap();
        }
        Scenario::Unread => {
            server.peek(&mut [0]).unwrap();
            close(server);
            wait_for_end(&mut client);
        }
        _ => {
            close(client);
            wait_for_end(&mut server);
        }
    }
}

/// Connects a socket to itself: a simultaneous open, and a simultaneous close.
pub fn with_itself(address: IpAddr) {
    let socket = Socket::new(domain(address), Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(address, 0).into()).unwrap();
    socket.connect(&socket.local_addr().unwrap()).unwrap();
}

/// Waits for the peer's FIN or RST.
pub fn wait_for_end(stream: &mut TcpStream) {
    while let Ok(1..) = stream.read(&mut [0; 64]) {}
}

fn killed(address: IpAddr) {
    let mut command = std::process::Command::new(actor());
    let mut server = Program::collect(command.args(["serve", &address.to_string()]));
    server.wait_for_out("the server's port", |out| out.ends_with('\n'));
    let port = server.out().trim().parse().unwrap();
    let mut client = connect(SocketAddr::new(address, port)).unwrap();
    client.read_exact(&mut [0; 5]).unwrap();
    server.signal(rustix::process::Signal::KILL);
    wait_for_end(&mut client);
    drop(server);
}

/// Path of the program that acts as other processes: the environment variable `ACTOR`, or else a debug build.
pub fn actor() -> std::path::PathBuf {
    static BUILT: std::sync::Once = std::sync::Once::new();
    if let Some(actor) = std::env::var_os("ACTOR") {
        return actor.into();
    }
    let folder = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    BUILT.call_once(|| {
        run(std::process::Command::new(env!("CARGO"))
            .current_dir(&folder)
            .args(["build", "--quiet", "--bin", "actor"]));
    });
    folder.join("../target/debug/actor")
}

/// Starts a server that never closes its connections. Returns it and its port.
pub fn leaky(place: &Place, address: &str) -> (Program, u16) {
    let mut server = Program::collect(place.command(actor()).args(["serve", address]));
    server.wait_for_out("the server's port", |out| out.ends_with('\n'));
    let port = server.out().trim().parse().unwrap();
    (server, port)
}

/// Makes connections to that server and closes the clients. The server's sockets stay in CLOSE_WAIT.
pub fn leak(place: &Place, address: &str, port: u16, count: usize) {
    let address: IpAddr = address.parse().unwrap();
    for _ in 0..count {
        let mut client = place.run(|| connect(SocketAddr::new(address, port)).unwrap());
        client.read_exact(&mut [0; 5]).unwrap();
    }
}

/// Plays `count` random scenarios in random namespaces, several at a time. If there are at least two
/// namespaces, the first two have to be a [`Place::pair`], and there are connections between them, too.
pub fn storm(places: &[&Place], count: usize, seed: u64) {
    let plan: Vec<_> = {
        let mut rng = Rng::with_seed(seed);
        (0..count)
            .map(|_| {
                let place = rng.usize(..places.len());
                let address = addresses(places[place], &mut rng)[rng.usize(..3)];
                (place, SCENARIOS[rng.usize(..SCENARIOS.len())], address)
            })
            .collect()
    };
    for group in plan.chunks(8) {
        thread::scope(|scope| {
            for (place, scenario, address) in group {
                scope.spawn(move || places[*place].run(|| play(*scenario, *address)));
            }
        });
    }
    if let [left, right, ..] = places {
        for address in ["10.77.0.2", "fd77:1::2"] {
            across(left, right, address.parse().unwrap());
        }
    }
}

/// A listener whose accept queue takes one connection more than its backlog.
pub fn listen_with_backlog(place: &Place, address: Ipv4Addr, backlog: i32) -> (TcpListener, SocketAddr) {
    place.run(|| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((address, 0)).into()).unwrap();
        socket.listen(backlog).unwrap();
        let listener = TcpListener::from(socket);
        let address = listener.local_addr().unwrap();
        (listener, address)
    })
}

/// Connects that do not wait for an answer.
pub fn knock(place: &Place, to: SocketAddr, count: usize) -> Vec<Socket> {
    let knock = |_| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_nonblocking(true).unwrap();
        let _ = socket.connect(&to.into());
        socket
    };
    place.run(|| (0..count).map(knock).collect())
}

/// Makes connections in a namespace, one after the other. The server closes first.
pub fn churn(place: &Place, connections: usize) {
    place.run(|| {
        let listener = listen(Ipv4Addr::LOCALHOST.into(), 0);
        let to = listener.local_addr().unwrap();
        for _ in 0..connections {
            let mut client = connect(to).unwrap();
            drop(listener.accept().unwrap());
            wait_for_end(&mut client);
        }
    });
}

/// Makes a connection from one namespace to another one.
fn across(from: &Place, to: &Place, address: IpAddr) {
    let listener = to.run(|| listen(address, 0));
    let to = listener.local_addr().unwrap();
    let client = from.run(|| connect(to)).unwrap();
    let (server, _) = listener.accept().unwrap();
    finish(Scenario::ClientCloses, client, server);
}
