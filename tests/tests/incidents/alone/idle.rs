//! Servers that close connections as idle that clients still use.

use std::time::Instant;

use rustix::process::Signal;
use tests::{
    patience::until,
    place::Place,
    program::{Program, run},
    story::{Line, text},
    watch::{Watch, is_of, python},
};

use super::common::{ADDRESS, wait_for_listener};

/// Makes requests, waits for the peer to close each connection that is idle, does not heed it, and makes more.
const IDLES: &str = r"
import select, signal, socket, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
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
print('idle', flush=True)
signal.sigwait([signal.SIGUSR1])
for client in clients:
    client.sendall(request)
print('sent', flush=True)
signal.pause()
";

/// A client uses connections that the server at this port closes as idle.
fn idle_race(place: &Place, server: &Program, comm: &str) {
    let watch = Watch::new(place, "", "life --port 8080");
    let mut client = python(place, IDLES, &[ADDRESS, "8080"]);
    client.wait_for_out("`idle`", |out| out.contains("idle\n"));
    // Between its FIN and its close a server would leave unread what comes.
    until("the server to have closed", || {
        let ends = run(place.command("ss").args(["-Htanp", "state", "fin-wait-2", "sport = :8080"]));
        (ends.lines().count() == 12 && !ends.contains("users:")).then_some(())
    });
    client.signal(Signal::USR1);
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
    let ends = watch.logs("the server's ends", due, 12, late);
    assert!(ends.iter().all(|line| line["pid"] == server.pid() && text(line, "comm") == comm), "{ends:#?}");
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
