//! Incidents with real programs: what the first screen of `top`, a summary and a log say, and how soon.

use std::{
    io::{Read as _, Write as _},
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use tests::{
    nginx::Nginx,
    patience::{Stops, until},
    place::Place,
    program::{Program, close, run},
    story::{Line, number, text},
    traffic::{Scenario, connect, leak, play, wait_for_end},
    watch::{Watch, goes_to, is_of, python},
};

const ADDRESS: &str = "127.77.61.1";

/// Keeps each connection, whatever the peer does.
const LEAKS: &str = "
import socket, sys
listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
print('ready', flush=True)
kept = []
while True:
    kept.append(listener.accept()[0])
    kept[-1].sendall(b'hello')
";

#[test]
fn python_that_leaks() {
    let place = Place::new();
    let server = python(&place, LEAKS, &[ADDRESS, "8080"]);
    let watch = Watch::new(&place, "--stuck CLOSE_WAIT=2s", "--only-stuck --stuck CLOSE_WAIT=2s");
    let pid = format!("({})", server.pid());
    let mut due = Instant::now() + Duration::from_secs(2);
    for round in 1..=5 {
        leak(&place, ADDRESS, 8080, 3);
        let is_leak = |line: &Line| is_of(line, &server) && line["count"] == 3 * round;
        let count = format!(" {} ", 3 * round);
        let found = watch.finds("close-wait", due, is_leak, &[&pid, "oldest", &count]);
        assert!(number(&found, "age_us").unwrap() >= 2e6, "{found}");
        assert!(text(&found, "evidence").starts_with("oldest "), "{found}");
        let command = format!("tracer top --pid {} --state CLOSE_WAIT", server.pid());
        assert_eq!(text(&found, "command"), command);
        due = Instant::now() + Duration::from_secs(2);
    }
    watch.finds("close-wait", due, |line| text(line, "trend") == "growing", &["↗"]);
    let stuck = watch.logs("all of them", 15, |line| text(line, "old_state") == "CLOSE_WAIT");
    assert!(stuck.iter().all(|line| is_of(line, &server)), "{stuck:#?}");
}

/// Listens, and accepts nothing.
const LISTENS: &str = "
import signal, socket, sys
listener = socket.create_server((sys.argv[1], int(sys.argv[2])), backlog=int(sys.argv[3]))
print('ready', flush=True)
signal.pause()
";

/// Connects so many times, without waiting for answers if the fourth argument says so, and holds what it gets.
const CONNECTS: &str = "
import signal, socket, sys
held = []
for _ in range(int(sys.argv[3])):
    client = socket.socket()
    client.setblocking(len(sys.argv) == 4)
    error = client.connect_ex((sys.argv[1], int(sys.argv[2])))
    if error in (0, 115):
        held.append(client)
print('ready', flush=True)
signal.pause()
";

#[test]
fn ports_that_run_out() {
    let place = Place::new();
    place.set("net.ipv4.ip_local_port_range=40000 40199");
    let target: SocketAddr = format!("{ADDRESS}:8080").parse().unwrap();
    let _server = python(&place, LISTENS, &[ADDRESS, "8080", "500"]);
    let watch = Watch::new(&place, "", "life --reason no-free-port");
    let client = python(&place, CONNECTS, &[ADDRESS, "8080", "190"]);
    let due = Instant::now();
    let is_used = |line: &Line| goes_to(line, target) && line["count"] == 190;
    let found = watch.finds("ephemeral-ports", due, is_used, &["190", &target.to_string()]);
    assert!(is_of(&found, &client), "{found}");
    assert!(text(&found, "evidence").starts_with("of 200"), "{found}");

    let other = python(&place, CONNECTS, &[ADDRESS, "8080", "30"]);
    let due = Instant::now();
    let is_empty = |line: &Line| text(line, "evidence").contains("20 no-free-port/min");
    let found = watch.finds("ephemeral-ports", due, is_empty, &["200", &target.to_string()]);
    assert!(goes_to(&found, target), "{found}");
    let command = format!("tracer life --remote-addr {ADDRESS} --remote-port 8080");
    assert_eq!(text(&found, "command"), command);
    let failed = watch.logs("failed connects", 20, |line| text(line, "reason") == "no-free-port");
    assert!(failed.iter().all(|line| is_of(line, &other) && goes_to(line, target)), "{failed:#?}");
}

/// Has a namespace drop, or reject in a certain way, segments that match.
fn rule(place: &Place, words: &str) {
    let table = format!("table ip t {{ chain c {{ type filter hook input priority 0; {words}; }}; }}");
    run(place.command("nft").arg(table));
}

#[test]
fn connects_that_fail() {
    let (left, right) = Place::pair();
    let rules = "tcp dport 7001 drop; tcp dport 7002 reject with tcp reset; \
                 tcp dport 7003 reject with icmp type admin-prohibited";
    rule(&right, rules);
    let target = |port: u16| SocketAddr::from(([10, 77, 0, 2], port));
    let watch = Watch::new(&left, "--stuck SYN_SENT=2s", "life");
    let other = Watch::new(&right, "", "life");
    let connects = |address: &str, port: &str, more: &[&str]| {
        python(&left, CONNECTS, &[&[address, port, "6"][..], more].concat())
    };
    let mut clients: Vec<Program> = Vec::new();
    for (port, reason) in [(7002, "refused"), (7003, "unreachable")] {
        clients.push(connects("10.77.0.2", &port.to_string(), &[]));
        let words = format!("6 {reason}/min");
        let fails = |line: &Line| goes_to(line, target(port)) && text(line, "evidence") == words;
        let due = Instant::now();
        let found = watch.finds("connect-failures", due, fails, &[&target(port).to_string(), " 6 "]);
        assert!(is_of(&found, clients.last().unwrap()), "{found}");
        assert_eq!(
            text(&found, "command"),
            format!("tracer life --remote-addr 10.77.0.2 --remote-port {port}")
        );
        watch.logs(reason, 6, |line| text(line, "reason") == reason && goes_to(line, target(port)));
    }

    let client = connects("10.77.0.2", "7001", &["nonblocking"]);
    let due = Instant::now() + Duration::from_secs(2);
    let waits = |line: &Line| goes_to(line, target(7001)) && line["count"] == 6;
    let found = watch.finds("connect-failures", due, waits, &["10.77.0.2:7001", " 6 "]);
    assert!(is_of(&found, &client), "{found}");
    assert!(text(&found, "evidence").starts_with("6 without an answer, oldest "), "{found}");
    close(client);
    let unanswered = |line: &Line| text(line, "reason") == "unanswered" && goes_to(line, target(7001));
    watch.logs("the end of connects", 6, unanswered);

    let _client = connects("203.0.113.1", "80", &[]);
    let routes = |line: &Line| text(line, "evidence") == "6 without a route/min";
    let netns = format!("netns {}", left.inum());
    watch.finds("connect-failures", Instant::now(), routes, &[&netns, "without a route"]);
    // The other namespace knows nothing of it.
    other.next_summary();
    other.finds_nothing();
}

#[test]
fn an_accept_queue_that_overflows() {
    let place = Place::new();
    let server = python(&place, LISTENS, &[ADDRESS, "8080", "4"]);
    let watch = Watch::new(&place, "", "life --state ESTABLISHED --local-port 8080");
    let _client = python(&place, CONNECTS, &[ADDRESS, "8080", "20", "nonblocking"]);
    // A queue is full if it was so at two looks.
    let due = Instant::now() + Duration::from_secs(1);
    let overflows = |line: &Line| {
        let evidence = text(line, "evidence");
        evidence.starts_with("of 4, full for ") && evidence.contains(" dropped/min")
    };
    let at = format!("{ADDRESS}:8080");
    let found = watch.finds("accept-queue", due, overflows, &[&at, " 5 ", "of 4"]);
    assert!(is_of(&found, &server), "{found}");
    assert_eq!((text(&found, "local_addr"), &found["local_port"]), (ADDRESS, &8080.into()));
}

/// Accepts connections, and reads nothing of them.
const READS_NOTHING: &str = "
import socket, sys
listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
print('ready', flush=True)
kept = []
while True:
    kept.append(listener.accept()[0])
";

/// Sends until nothing fits. Another connection it closes for sending only.
const SENDS: &str = "
import signal, socket, sys
half, full = [socket.create_connection((sys.argv[1], int(sys.argv[2]))) for _ in range(2)]
half.shutdown(socket.SHUT_WR)
full.setblocking(False)
try:
    while True:
        full.send(bytes(65536))
except BlockingIOError:
    print('ready', flush=True)
signal.pause()
";

#[test]
fn a_peer_that_neither_reads_nor_closes() {
    let place = Place::new();
    let server = python(&place, READS_NOTHING, &[ADDRESS, "8080"]);
    let thresholds = "--finding zero-window=2s --finding unread=2s --stuck FIN_WAIT2=2s,CLOSE_WAIT=off";
    let watch = Watch::new(&place, thresholds, "--only-stuck --stuck FIN_WAIT2=2s");
    let client = python(&place, SENDS, &[ADDRESS, "8080"]);
    let due = Instant::now() + Duration::from_secs(2);
    let target: SocketAddr = format!("{ADDRESS}:8080").parse().unwrap();
    let waits = |line: &Line| goes_to(line, target) && is_of(line, &client);
    let found = watch.finds("zero-window", due, waits, &[&target.to_string(), " 1 "]);
    assert!(text(&found, "evidence").ends_with(" bytes wait"), "{found}");
    let unread = watch.finds("unread", due, |line| is_of(line, &server), &[" 1 ", "bytes wait"]);
    let command = format!("tracer top --pid {} --state ESTABLISHED", server.pid());
    assert_eq!(text(&unread, "command"), command);
    let half =
        |line: &Line| is_of(line, &client) && text(line, "evidence").starts_with("1 FIN_WAIT2, oldest ");
    watch.finds("unfinished", due, half, &["1 FIN_WAIT2", &format!("({})", client.pid())]);
    watch.logs("the half-closed one", 1, |line| {
        text(line, "old_state") == "FIN_WAIT2" && is_of(line, &client)
    });
}

/// Connects, and sends once a file exists.
const SENDS_LATER: &str = "
import os, signal, socket, sys, time
client = socket.create_connection((sys.argv[1], int(sys.argv[2])))
print('ready', flush=True)
while not os.path.exists(sys.argv[3]):
    time.sleep(0.01)
client.sendall(b'request')
signal.pause()
";

#[test]
fn data_that_nobody_acknowledges() {
    let (left, right) = Place::pair();
    let _server = python(&right, READS_NOTHING, &["10.77.0.2", "8080"]);
    let folder = tempfile::tempdir().unwrap();
    let sign = folder.path().join("go");
    let client = python(&left, SENDS_LATER, &["10.77.0.2", "8080", sign.to_str().unwrap()]);
    let watch = Watch::new(&left, "--finding stalled=2s", "--retransmits");
    rule(&right, "tcp dport 8080 drop");
    std::fs::write(&sign, "").unwrap();
    let due = Instant::now() + Duration::from_secs(2);
    let target = SocketAddr::from(([10, 77, 0, 2], 8080));
    let waits = |line: &Line| goes_to(line, target) && is_of(line, &client);
    let found = watch.finds("stalled", due, waits, &["10.77.0.2:8080", " 1 ", "for "]);
    assert!(text(&found, "evidence").ends_with(", 7 bytes wait"), "{found}");
    let command = "tracer --remote-addr 10.77.0.2 --remote-port 8080 --retransmits";
    assert_eq!(text(&found, "command"), command);
    watch.logs("retransmissions", 2, |line| text(line, "event") == "retransmit" && goes_to(line, target));
}

#[test]
fn a_flood_of_half_open_connections() {
    let (left, right) = Place::pair();
    // The clients never hear the server's answers.
    rule(&left, "tcp sport 8080 drop");
    let _server = python(&right, LISTENS, &["10.77.0.2", "8080", "50"]);
    let watch = Watch::new(&right, "--finding half-open=50", "--retransmits");
    let _client = python(&left, CONNECTS, &["10.77.0.2", "8080", "120", "nonblocking"]);
    let due = Instant::now();
    let netns = format!("netns {}", right.inum());
    let floods = |line: &Line| line["netns"] == right.inum() && line["count"].as_u64() >= Some(70);
    let found = watch.finds("half-open", due, floods, &[&netns, "SYN cookies/min"]);
    assert!(text(&found, "evidence").ends_with(" SYN cookies/min"), "{found}");
    watch.logs("SYN-ACKs that are sent again", 10, |line| text(line, "event") == "retransmit-synack");
    // The clients send their SYNs again, and the listener drops them. Its accept queue is empty.
    watch.next_summary();
    let found = watch.all_findings();
    assert!(found.iter().all(|line| text(line, "finding") == "half-open"), "{found:#?}");
}

/// Makes requests, waits for the peer to close each connection that is idle, does not heed it, and makes more.
const IDLES: &str = r"
import select, signal, socket, sys
request = b'GET / HTTP/1.1\r\nHost: x\r\n\r\n'
clients = [socket.create_connection((sys.argv[1], int(sys.argv[2]))) for _ in range(12)]
for client in clients:
    client.sendall(request)
    client.recv(65536)
print('ready', flush=True)
for client in clients:
    idle = select.poll()
    idle.register(client, select.POLLRDHUP)
    idle.poll()
for client in clients:
    client.sendall(request)
print('sent', flush=True)
signal.pause()
";

/// A client uses connections that the server at this port closes as idle.
fn idle_race(place: &Place, server: &Program, comm: &str) {
    let watch = Watch::new(place, "", "life --port 8080");
    let mut client = python(place, IDLES, &[ADDRESS, "8080"]);
    client.wait_for_out("`sent`", |out| out.contains("sent\n"));
    let due = Instant::now();
    // A summary may come before the last of them.
    let is_whole = |line: &Line| line["count"] == 12;
    let is_servers = |line: &Line| is_whole(line) && line["local_port"] == 8080 && text(line, "comm") == comm;
    let found = watch.finds("resets", due, is_servers, &[" 12  port 8080 "]);
    assert_eq!((&found["pid"], &found["count"]), (&server.pid().into(), &12.into()), "{found}");
    assert_eq!(text(&found, "evidence"), "12 reset-local-late-data/min");
    assert_eq!(text(&found, "command"), "tracer --local-port 8080 --resets");
    let is_clients = |line: &Line| is_whole(line) && line["remote_port"] == 8080 && is_of(line, &client);
    let found = watch.finds("resets", due, is_clients, &[" 12  to port 8080 "]);
    assert_eq!(text(&found, "evidence"), "12 reset-remote-after-fin/min");
    let late = |line: &Line| text(line, "reason") == "reset-local-late-data" && line["local_port"] == 8080;
    let ends = watch.logs("the server's ends", 12, late);
    assert!(ends.iter().all(|line| line["pid"] == server.pid() && text(line, "comm") == comm), "{ends:#?}");
}

/// Waits until something listens at a port.
fn wait_for_listener(place: &Place, port: u16) {
    let port = format!(":{port} ");
    until("a listener", || run(place.command("ss").arg("-ltn")).contains(&port).then_some(()));
}

#[test]
fn haproxy_closes_what_a_pool_still_uses() {
    let place = Place::new();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("haproxy.cfg");
    let text = format!(
        "defaults\n mode http\n timeout client 9s\n timeout http-keep-alive 300ms\n\
         frontend web\n bind {ADDRESS}:8080\n http-request return status 200\n"
    );
    std::fs::write(&config, text).unwrap();
    let server = Program::collect(place.command("haproxy").arg("-db").arg("-f").arg(&config));
    wait_for_listener(&place, 8080);
    idle_race(&place, &server, "haproxy");
}

/// Answers requests, and closes what is idle for a moment.
const NODE: &str = "
const server = require('http').createServer((request, response) => response.end('hello'));
server.keepAliveTimeout = 300;
server.listen(8080, process.argv[1]);
";

#[test]
fn node_closes_what_a_pool_still_uses() {
    let place = Place::new();
    let server = Program::collect(place.command("node").args(["-e", NODE, ADDRESS]));
    wait_for_listener(&place, 8080);
    idle_race(&place, &server, "node");
}

/// A test that makes load. `cargo xtask test` runs no other test at the same time.
mod alone {
    use super::*;

    /// How long the healthy load lasts, in seconds, if the environment does not say `QUIET_SECONDS`.
    const QUIET_SECONDS: u64 = 20;

    /// Makes requests to a server of `hello`, each on a connection of its own, or with a client that is kept.
    fn browse(place: &Place, at: SocketAddr, is_kept: bool, stops: &AtomicBool) {
        let close = if is_kept { "" } else { "Connection: close\r\n" };
        let request = format!("GET / HTTP/1.1\r\nHost: x\r\n{close}\r\n");
        place.run(|| {
            let mut client = connect(at).unwrap();
            while !stops.load(Ordering::Relaxed) {
                client.write_all(request.as_bytes()).unwrap();
                let mut answer = Vec::new();
                while !answer.ends_with(b"hello") {
                    let mut part = [0; 512];
                    let read = client.read(&mut part).unwrap();
                    assert_ne!(read, 0, "closed");
                    answer.extend_from_slice(&part[..read]);
                }
                // nginx says so before it closes a connection that is kept, after a thousand requests.
                if String::from_utf8_lossy(&answer).contains("Connection: close") {
                    wait_for_end(&mut client);
                    client = connect(at).unwrap();
                }
            }
        });
    }

    /// Web and redis servers with busy clients, a reload every other second, and connections that end in all orderly ways.
    #[test]
    fn a_healthy_busy_host_is_quiet() {
        let seconds = std::env::var("QUIET_SECONDS").ok().map_or(QUIET_SECONDS, |text| text.parse().unwrap());
        let place = Place::new();
        let web: SocketAddr = format!("{ADDRESS}:8080").parse().unwrap();
        let nginx = Nginx::start(&place, &web.to_string(), Some(4));
        // A reload closes idle connections, so those that are kept have a server that is not reloaded.
        let kept: SocketAddr = format!("{ADDRESS}:8081").parse().unwrap();
        let _other = Nginx::start(&place, &kept.to_string(), None);
        let redis = ["--port", "6379", "--bind", ADDRESS, "--save", ""];
        let mut redis = Program::collect(place.command("redis-server").args(redis));
        redis.wait_for_out("redis", |out| out.to_lowercase().contains("ready to accept connections"));
        let watch = Watch::new(&place, "", "--only-stuck");
        let stops = AtomicBool::new(false);
        thread::scope(|scope| {
            let _stops = Stops(&stops);
            scope.spawn(|| browse(&place, web, false, &stops));
            scope.spawn(|| browse(&place, kept, true, &stops));
            scope.spawn(|| {
                let arguments = ["-h", ADDRESS, "-q", "-n", "10000", "-t", "set,get"];
                while !stops.load(Ordering::Relaxed) {
                    run(place.command("redis-benchmark").args(arguments));
                }
            });
            scope.spawn(|| {
                let orderly = [Scenario::ClientCloses, Scenario::ServerCloses, Scenario::HalfClosed];
                for scenario in orderly.iter().cycle().take_while(|_| !stops.load(Ordering::Relaxed)) {
                    place.run(|| play(*scenario, ADDRESS.parse().unwrap()));
                }
            });
            for _ in 0..seconds {
                thread::sleep(Duration::from_secs(1));
                watch.finds_nothing();
                nginx.process.signal(Signal::HUP);
            }
        });
        watch.finds_nothing();
    }
}
