//! Connections that a process does not close.

use std::time::{Duration, Instant};

use tests::{
    place::Place,
    story::{Line, number, text},
    traffic::leak,
    watch::{Watch, is_of, python},
};

use super::common::ADDRESS;

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
    for round in 1..=3 {
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
    let stuck = watch.logs("all of them", due, 9, |line| text(line, "old_state") == "CLOSE_WAIT");
    assert!(stuck.iter().all(|line| is_of(line, &server)), "{stuck:#?}");
}
