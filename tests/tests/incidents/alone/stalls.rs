//! Data that does not move.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use tests::{
    place::Place,
    story::{Line, text},
    watch::{Watch, goes_to, is_of, python},
};

use super::common::{ADDRESS, READS_NOTHING, rule};

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
    watch.logs("the half-closed one", due, 1, |line| {
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
    watch
        .logs("retransmissions", due, 2, |line| text(line, "event") == "retransmit" && goes_to(line, target));
}
