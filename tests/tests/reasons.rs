//! Every reason of an end, caused by a real connection.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    process::Command,
    time::Duration,
};

use serde_json::Value;
use socket2::{Domain, SockRef, Socket, TcpKeepalive, Type};
use tests::{
    option::set_tcp,
    patience::{until, until_or},
    place::Place,
    program::{Program, close, run},
    story::{self, Line, text},
    tracer,
    traffic::{connect, listen, wait_for_end},
};

/// A network namespace, and a tracer that sees only this namespace.
struct Scene {
    place: Place,
    tracer: Program,
}

const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 77, 9, 1);

impl Scene {
    fn new() -> Self {
        let place = Place::new();
        let tracer = tracer::start(&format!("-o json --netns {}", place.name()));
        Self { place, tracer }
    }

    fn connected(&self) -> (TcpListener, TcpStream, TcpStream) {
        self.place.run(|| {
            let listener = listen(ADDRESS.into(), 0);
            let client = connect(listener.local_addr().unwrap()).unwrap();
            let (server, _) = listener.accept().unwrap();
            (listener, client, server)
        })
    }

    /// Drops all TCP segments that arrive, or stops that.
    fn cut(&self, is_cut: bool) {
        let rules = if is_cut {
            "table ip cut { chain input { type filter hook input priority 0; meta l4proto tcp drop; }; }"
        } else {
            "delete table ip cut"
        };
        run(self.place.command("nft").arg(rules));
    }

    /// Waits until a connection of this role has ended for this reason, and returns its lines.
    fn ended(self, role: &str, reason: &str) -> Vec<Line> {
        let key = format!("\"reason\":\"{reason}\"");
        let is_there = |out: &str| {
            out.lines().any(|line| line.contains(&key) && line.contains(&format!("\"role\":\"{role}\"")))
        };
        let seen = || format!("{}{}", self.tracer.out(), self.tracer.err());
        let probe = || {
            let out = self.tracer.out();
            let out = story::whole(&out);
            is_there(out).then_some(())
        };
        until_or(&format!("{role} {reason}"), probe, seen);
        let ended = self.tracer.interrupt();
        assert_eq!(ended.code(), 0, "{}", ended.err);
        let lines = story::lines(&ended.out);
        let story: Vec<_> = story::ended(&lines, role, reason).into_iter().cloned().collect();
        if let Some(side) = closed_by(reason) {
            assert_eq!(story.last().unwrap()["closed_by"], side, "{story:#?}");
        }
        story
    }
}

/// Whose FIN or RST came first in a connection that ended so; `None` where the reason does not tell.
fn closed_by(reason: &str) -> Option<Value> {
    Some(match reason {
        "fin-both" => "both".into(),
        "fin-remote" | "reset-remote-after-fin" | "refused" => "remote".into(),
        "cancelled" | "unanswered" | "no-free-port" | "timeout-connect" => Value::Null,
        reason if reason == "fin-local" || reason.starts_with("reset-local") => "local".into(),
        "aborted" | "never-accepted" | "timeout-keepalive" => "local".into(),
        _ => return None,
    })
}

/// The transitions of a connection. Panics unless exactly the last one has a reason.
fn path(story: &[Line]) -> Vec<String> {
    let (last, before) = story.split_last().unwrap();
    assert!(before.iter().all(|line| line["reason"].is_null()), "{before:#?}");
    assert!(!last["reason"].is_null());
    story::path(&story.iter().collect::<Vec<_>>())
}

const CLIENT: [&str; 2] = ["CLOSE>SYN_SENT", "SYN_SENT>ESTABLISHED"];
const SERVER: [&str; 2] = ["LISTEN>SYN_RECV", "SYN_RECV>ESTABLISHED"];

fn follows(story: &[Line], begin: [&str; 2], end: &[&str]) {
    assert_eq!(path(story), [&begin[..], end].concat());
}

#[test]
fn fin_local_and_fin_remote() {
    for (role, reason, begin, end) in [
        (
            "client",
            "fin-local",
            CLIENT,
            ["ESTABLISHED>FIN_WAIT1", "FIN_WAIT1>FIN_WAIT2", "FIN_WAIT2>TIME_WAIT"],
        ),
        ("server", "fin-remote", SERVER, ["ESTABLISHED>CLOSE_WAIT", "CLOSE_WAIT>LAST_ACK", "LAST_ACK>CLOSE"]),
    ] {
        let scene = Scene::new();
        let (_listener, client, mut server) = scene.connected();
        close(client);
        wait_for_end(&mut server);
        close(server);
        follows(&scene.ended(role, reason), begin, &end);
    }
}

#[test]
fn fin_both() {
    let scene = Scene::new();
    let (_listener, client, server) = scene.connected();
    // No FIN arrives before both are sent.
    scene.cut(true);
    close((client, server));
    scene.cut(false);
    let story = scene.ended("client", "fin-both");
    follows(&story, CLIENT, &["ESTABLISHED>FIN_WAIT1", "FIN_WAIT1>CLOSING", "CLOSING>TIME_WAIT"]);
}

#[test]
fn reset_local_linger_and_reset_remote() {
    for (role, reason, begin) in
        [("client", "reset-local-linger", CLIENT), ("server", "reset-remote", SERVER)]
    {
        let scene = Scene::new();
        let (_listener, client, mut server) = scene.connected();
        SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
        close(client);
        wait_for_end(&mut server);
        follows(&scene.ended(role, reason), begin, &["ESTABLISHED>CLOSE"]);
    }
}

/// An RST in CLOSE_WAIT sets the error EPIPE, not ECONNRESET.
#[test]
fn reset_remote_in_close_wait() {
    let scene = Scene::new();
    let (_listener, client, mut server) = scene.connected();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    wait_for_end(&mut server);
    // The client closes with unread data, which sends an RST.
    server.write_all(b"unwanted").unwrap();
    client.peek(&mut [0]).unwrap();
    client.set_nonblocking(true).unwrap();
    close(client);
    let story = scene.ended("server", "reset-remote");
    follows(&story, SERVER, &["ESTABLISHED>CLOSE_WAIT", "CLOSE_WAIT>CLOSE"]);
    assert_eq!(text(story.last().unwrap(), "error"), "EPIPE");
}

#[test]
fn reset_local_unread() {
    let scene = Scene::new();
    let (_listener, mut client, server) = scene.connected();
    client.write_all(b"unread").unwrap();
    server.peek(&mut [0]).unwrap();
    close(server);
    wait_for_end(&mut client);
    follows(&scene.ended("server", "reset-local-unread"), SERVER, &["ESTABLISHED>CLOSE"]);
}

#[test]
fn reset_local() {
    let scene = Scene::new();
    let (_listener, client, mut server) = scene.connected();
    disconnect(&client);
    wait_for_end(&mut server);
    follows(&scene.ended("client", "reset-local"), CLIENT, &["ESTABLISHED>CLOSE"]);
}

/// `connect(AF_UNSPEC)`
fn disconnect(stream: &TcpStream) {
    rustix::net::connect_unspec(stream).unwrap();
}

#[test]
fn refused() {
    let scene = Scene::new();
    scene.place.run(|| connect(SocketAddr::from((ADDRESS, 9))).unwrap_err());
    let story = scene.ended("client", "refused");
    assert_eq!(path(&story), ["CLOSE>SYN_SENT", "SYN_SENT>CLOSE"]);
    assert!(story[0]["local_port"].is_null() && story[1]["local_port"].is_u64());
}

#[test]
fn timeout_connect() {
    let scene = Scene::new();
    scene.place.set("net.ipv4.tcp_syn_retries=1");
    scene.cut(true);
    scene.place.run(|| connect(SocketAddr::from((ADDRESS, 9))).unwrap_err());
    let story = scene.ended("client", "timeout-connect");
    let waited_us = story[1]["state_us"].as_f64().unwrap();
    assert!((2.5e6..6e6).contains(&waited_us), "timeouts of one second, then two: {waited_us}");
}

#[test]
fn timeout_retransmit() {
    let scene = Scene::new();
    let (_listener, mut client, _server) = scene.connected();
    SockRef::from(&client).set_tcp_user_timeout(Some(Duration::from_millis(500))).unwrap();
    scene.cut(true);
    client.write_all(b"into the void").unwrap();
    wait_for_end(&mut client);
    follows(&scene.ended("client", "timeout-retransmit"), CLIENT, &["ESTABLISHED>CLOSE"]);
}

#[test]
fn timeout_keepalive() {
    let scene = Scene::new();
    let (_listener, mut client, _server) = scene.connected();
    let second = Duration::from_secs(1);
    let keepalive = TcpKeepalive::new().with_time(second).with_interval(second).with_retries(1);
    SockRef::from(&client).set_tcp_keepalive(&keepalive).unwrap();
    scene.cut(true);
    wait_for_end(&mut client);
    follows(&scene.ended("client", "timeout-keepalive"), CLIENT, &["ESTABLISHED>CLOSE"]);
}

#[test]
fn timeout_close() {
    let scene = Scene::new();
    scene.place.set("net.ipv4.tcp_orphan_retries=1");
    let (_listener, client, _server) = scene.connected();
    scene.cut(true);
    close(client);
    follows(&scene.ended("client", "timeout-close"), CLIENT, &["ESTABLISHED>FIN_WAIT1", "FIN_WAIT1>CLOSE"]);
}

#[test]
fn unreachable() {
    let scene = Scene::new();
    let rules = "table ip no { chain input { type filter hook input priority 0; tcp dport 9 reject with icmp type host-unreachable; }; }";
    run(scene.place.command("nft").arg(rules));
    scene.place.run(|| connect(SocketAddr::from((ADDRESS, 9))).unwrap_err());
    let story = scene.ended("client", "unreachable");
    assert_eq!(text(&story[1], "error"), "EHOSTUNREACH");
}

/// The ICMP message comes while `connect` works on the socket, so it ends nothing. `SO_ERROR` gives its error to
/// the process, and clears it.
#[test]
fn unreachable_without_waiting() {
    for (reject, errno, reason) in [
        ("icmp type host-unreachable", "EHOSTUNREACH", "unreachable"),
        ("icmp type port-unreachable", "ECONNREFUSED", "refused"),
    ] {
        for asks in [true, false] {
            let scene = Scene::new();
            let rules = format!(
                "table ip no {{ chain input {{ type filter hook input priority 0; tcp dport 9 reject with {reject}; }}; }}"
            );
            run(scene.place.command("nft").arg(rules));
            scene.place.run(|| {
                let socket = connecting();
                if asks {
                    until("SO_ERROR", || socket.take_error().unwrap());
                }
            });
            let story = scene.ended("client", reason);
            assert_eq!(path(&story), ["CLOSE>SYN_SENT", "SYN_SENT>CLOSE"]);
            assert_eq!(text(&story[1], "error"), errno);
        }
    }
}

#[test]
fn aborted() {
    let scene = Scene::new();
    let (_listener, client, _server) = scene.connected();
    let port = client.local_addr().unwrap().port();
    run(scene.place.command("ss").args(["-K", "sport", "=", &format!(":{port}")]));
    let story = scene.ended("client", "aborted");
    follows(&story, CLIENT, &["ESTABLISHED>CLOSE"]);
    // The owner is not `ss`, whose call closed the socket.
    assert_eq!(story[2]["pid"].as_u64(), Some(u64::from(std::process::id())));
}

/// A socket in SYN_SENT, if nobody answers.
fn connecting() -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket.connect(&SocketAddr::from((ADDRESS, 9)).into()).unwrap_err();
    socket
}

#[test]
fn cancelled() {
    let scene = Scene::new();
    scene.cut(true);
    scene.place.run(|| close(connecting()));
    assert_eq!(path(&scene.ended("client", "cancelled")), ["CLOSE>SYN_SENT", "SYN_SENT>CLOSE"]);
}

/// The application gives up after its own timeout.
#[test]
fn unanswered() {
    let scene = Scene::new();
    scene.cut(true);
    scene.place.run(|| {
        let _socket = connecting();
        // Column 7 is the number of retransmissions.
        let has_retransmitted =
            |line: &str| line.split_whitespace().nth(6).is_some_and(|count| count != "00000000");
        let sent_again = || {
            let table = std::fs::read_to_string("/proc/thread-self/net/tcp").unwrap();
            table.lines().skip(1).any(has_retransmitted).then_some(())
        };
        until("another SYN", sent_again);
    });
    assert_eq!(path(&scene.ended("client", "unanswered")), ["CLOSE>SYN_SENT", "SYN_SENT>CLOSE"]);
}

/// With TCP Fast Open the SYN waits for data, which never comes.
#[test]
fn cancelled_before_the_syn() {
    let scene = Scene::new();
    // Client, and no cookie is needed.
    scene.place.set("net.ipv4.tcp_fastopen=5");
    scene.place.run(|| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        set_tcp(&socket, libc::TCP_FASTOPEN_CONNECT, 1);
        socket.connect(&SocketAddr::from((ADDRESS, 9)).into()).unwrap();
    });
    assert_eq!(path(&scene.ended("client", "cancelled")), ["CLOSE>SYN_SENT", "SYN_SENT>CLOSE"]);
}

/// The peer has closed, its process is gone, and this side writes on.
#[test]
fn reset_remote_after_fin() {
    let scene = Scene::new();
    let (_listener, mut client, server) = scene.connected();
    close(server);
    wait_for_end(&mut client);
    client.write_all(b"late").unwrap();
    let story = scene.ended("client", "reset-remote-after-fin");
    follows(&story, CLIENT, &["ESTABLISHED>CLOSE_WAIT", "CLOSE_WAIT>CLOSE"]);
}

#[test]
fn never_accepted() {
    let scene = Scene::new();
    let mut client = scene.place.run(|| {
        let listener = listen(ADDRESS.into(), 0);
        connect(listener.local_addr().unwrap()).unwrap()
    });
    wait_for_end(&mut client);
    follows(&scene.ended("server", "never-accepted"), SERVER, &["ESTABLISHED>CLOSE"]);
}

#[test]
fn no_free_port() {
    let scene = Scene::new();
    scene.place.set("net.ipv4.ip_local_port_range=40000 40001");
    scene.place.run(|| {
        let listener = listen(ADDRESS.into(), 7000);
        let to = listener.local_addr().unwrap();
        let held = [connect(to).unwrap(), connect(to).unwrap()];
        connect(to).expect_err("both ports are taken");
        drop(held);
    });
    let story = scene.ended("client", "no-free-port");
    assert_eq!(path(&story), ["CLOSE>SYN_SENT", "SYN_SENT>CLOSE"]);
    assert!(story[1]["local_port"].is_null());
}

/// The port that the client has bound is taken by another connection to the same peer.
#[test]
fn a_bound_port_that_is_taken() {
    for address in [IpAddr::from(ADDRESS), "fd77::1".parse().unwrap()] {
        let scene = Scene::new();
        scene.place.run(|| {
            let listener = listen(address, 0);
            let to = listener.local_addr().unwrap();
            let from = |port| {
                let socket = Socket::new(Domain::for_address(to), Type::STREAM, None).unwrap();
                socket.set_reuse_address(true).unwrap();
                socket.bind(&SocketAddr::new(address, port).into()).unwrap();
                (socket.connect(&to.into()), socket)
            };
            let (connected, first) = from(0);
            connected.unwrap();
            let port = first.local_addr().unwrap().as_socket().unwrap().port();
            let failed = from(port).0.unwrap_err();
            assert_eq!(failed.raw_os_error(), Some(libc::EADDRNOTAVAIL));
        });
        let story = scene.ended("client", "no-free-port");
        assert_eq!(path(&story), ["CLOSE>SYN_SENT", "SYN_SENT>CLOSE"]);
        assert!(story[1]["local_port"].is_u64());
    }
}

/// After `kill -9` the kernel closes as `close` does, and the owner is still the killed process.
#[test]
fn killed() {
    let scene = Scene::new();
    let mut command = Command::new("ip");
    command
        .args(["netns", "exec", scene.place.name()])
        .arg(tests::traffic::actor())
        .args(["serve", "127.77.9.1"]);
    let mut server = Program::collect(&mut command);
    server.wait_for_out("the server's port", |out| out.ends_with('\n'));
    let port: u16 = server.out().trim().parse().unwrap();
    let mut client = scene.place.run(|| connect(SocketAddr::from((ADDRESS, port)))).unwrap();
    client.read_exact(&mut [0; 5]).unwrap();
    let pid = server.pid();
    server.signal(rustix::process::Signal::KILL);
    wait_for_end(&mut client);
    close(client);
    let story = scene.ended("server", "fin-local");
    let last = story.last().unwrap();
    assert_eq!(last["pid"].as_u64(), Some(u64::from(pid)), "{last}");
    assert_eq!((text(last, "comm"), text(last, "owner")), ("actor", "own"));
}
