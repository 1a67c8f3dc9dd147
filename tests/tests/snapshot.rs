//! Connections that are older than the tracer, or begin while it starts; and holes.

use std::{
    collections::HashSet,
    io::Write as _,
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use rustix::process::Signal;
use tests::{
    patience::until,
    place::Place,
    program::Program,
    story::{self, number, text},
    tracer::{self, receipt},
    traffic::{connect, listen, wait_for_end},
};

const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 77, 12, 1);

fn connected(place: &Place) -> (TcpListener, TcpStream, TcpStream) {
    place.run(|| {
        let listener = listen(ADDRESS.into(), 0);
        let client = connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        (listener, client, server)
    })
}

#[test]
fn older_connections_have_owners_and_no_age() {
    let place = Place::new();
    let (listener, mut client, mut server) = connected(&place);
    let log = tracer::start(&format!("-o json --netns {}", place.name()));
    let life = tracer::start(&format!("life -o json --netns {}", place.name()));
    client.write_all(b"hello").unwrap();
    drop(client);
    wait_for_end(&mut server);
    drop(server);
    until("both lives", || (life.out().lines().count() == 2).then_some(()));
    let us = u64::from(std::process::id());

    let lines = story::lines(&log.interrupt().out);
    for (_, story) in story::by_socket(&lines) {
        assert!(story[0]["state_us"].is_null(), "its start was not seen: {}", story[0]);
        assert_eq!(story[0]["pid"].as_u64(), Some(us), "{}", story[0]);
        for line in &story[1..] {
            assert!(number(line, "state_us").is_some(), "{line}");
        }
    }
    let server = story::ended(&lines, "server", "fin-remote");
    assert_eq!(server[0]["local_port"].as_u64(), Some(u64::from(listener.local_addr().unwrap().port())));
    // That one was in softirq: nobody was working on it.
    assert_eq!(text(server[0], "owner"), "snapshot");
    assert_eq!(text(server.last().unwrap(), "owner"), "own");

    for line in story::lines(&life.interrupt().out) {
        assert!(line["start"].is_null() && line["duration_us"].is_null(), "{line}");
        assert!(number(&line, "lived_at_least_us").unwrap() > 0.0, "{line}");
        assert!(line["established_us"].is_null(), "{line}");
    }
}

#[test]
fn without_a_snapshot_owners_are_learnt_later() {
    let place = Place::new();
    let (_listener, client, mut server) = connected(&place);
    let tracer = tracer::start(&format!("-o json --no-snapshot --netns {}", place.name()));
    drop(client);
    wait_for_end(&mut server);
    drop(server);
    until("the end", || tracer.out().contains("fin-remote").then_some(()));
    let lines = story::lines(&tracer.interrupt().out);
    let server =
        story::by_socket(&lines).into_values().find(|story| story::path(story)[0].ends_with("CLOSE_WAIT"));
    let server = server.expect("the server's story");
    assert!(server[0]["owner"].is_null() && server[0]["pid"].is_null() && server[0]["role"].is_null());
    assert_eq!(text(server.last().unwrap(), "owner"), "own");
}

/// Every socket's lines follow one another without a gap or a repetition, whatever happens while
/// the snapshot is taken.
#[test]
fn nothing_falls_between_snapshot_and_events() {
    for _ in 0..5 {
        let place = Place::new();
        let held: Vec<_> = (0..50).map(|_| connected(&place)).collect();
        let is_over = AtomicBool::new(false);
        let tracer = thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    place.run(|| {
                        let listener = listen(ADDRESS.into(), 0);
                        while !is_over.load(Ordering::Relaxed) {
                            let mut client = connect(listener.local_addr().unwrap()).unwrap();
                            drop(listener.accept().unwrap());
                            wait_for_end(&mut client);
                        }
                    });
                });
            }
            let tracer = tracer::start(&format!("-o json --no-timewait --netns {}", place.name()));
            until("some traffic after the start", || (tracer.out().lines().count() > 2000).then_some(()));
            drop(held);
            is_over.store(true, Ordering::Relaxed);
            tracer
        });
        let ended = tracer.interrupt();
        assert_eq!(receipt(&ended, "lost"), 0);
        let lines = story::lines(&ended.out);
        let mut with_beginning = 0;
        for story in story::by_socket(&lines).into_values() {
            let path = story::path(&story);
            for pair in path.windows(2) {
                let (before, after) = (pair[0].split('>').nth(1), pair[1].split('>').next());
                assert_eq!(before, after, "{path:?}");
            }
            let is_born = path[0].starts_with("CLOSE>") || path[0].starts_with("LISTEN>SYN_RECV");
            with_beginning += usize::from(is_born);
            let reasons = story.iter().filter(|line| !line["reason"].is_null()).count();
            assert!(reasons <= 1, "ends twice: {path:?}");
            // One that began before the tracer and ended before the snapshot came to it is known
            // when its owner touches it.
            let owned = if is_born { &story[..] } else { &story[story.len() - 1..] };
            assert!(owned.iter().all(|line| !line["pid"].is_null()), "no owner: {story:#?}");
            let is_known = |line: &&serde_json::Value| number(line, "state_us").is_none_or(|us| us >= 0.0);
            assert!(story.iter().all(is_known));
        }
        assert!(with_beginning > 100);
    }
}

fn storm(place: &Place, connections: usize) {
    place.run(|| {
        let listener = listen(ADDRESS.into(), 0);
        let to = listener.local_addr().unwrap();
        for _ in 0..connections {
            let mut client = connect(to).unwrap();
            drop(listener.accept().unwrap());
            wait_for_end(&mut client);
        }
    });
}

/// No duration across a hole, and connections whose end was in it are retired.
#[test]
fn across_a_loss_nothing_is_invented() {
    let place = Place::new();
    let tracer = tracer::start(&format!("-o json --buffer 64KiB --netns {}", place.name()));
    // One that lives through the hole, and some that end in it.
    let (_listener, client, mut server) = connected(&place);
    let doomed: Vec<_> = (0..20).map(|_| connected(&place)).collect();
    until("their beginnings", || {
        (tracer.out().matches("\"new_state\":\"ESTABLISHED\"").count() == 42).then_some(())
    });
    tracer.signal(Signal::STOP);
    // Fill the buffer, and then let the doomed ones end unseen.
    storm(&place, 500);
    drop(doomed);
    tracer.signal(Signal::CONT);
    // The next look at all sockets finds them missing; new events show that it has caught up.
    let told = || tracer.err().contains("tracer: lost");
    until("the loss", || told().then_some(()));
    thread::sleep(std::time::Duration::from_millis(500));
    drop(client);
    wait_for_end(&mut server);
    drop(server);
    until("its end", || {
        let out = tracer.out();
        out.lines().any(|line| line.contains("LAST_ACK\",\"new_state\":\"CLOSE")).then_some(())
    });
    thread::sleep(std::time::Duration::from_millis(100));
    let ended = tracer.interrupt();
    assert!(receipt(&ended, "lost") > 0, "{}", ended.err);
    let lines = story::lines(&ended.out);
    for story in story::by_socket(&lines).into_values() {
        for pair in story.windows(2) {
            let follows = text(pair[0], "new_state") == text(pair[1], "old_state");
            assert!(follows || pair[1]["state_us"].is_null(), "across a hole: {} {}", pair[0], pair[1]);
        }
    }
    // Still open: the listeners' processes hold nothing else; all that was doomed is gone.
    assert!(ended.err.contains("still open 0"), "{}", ended.err);
    let survivor = lines.iter().rfind(|line| text(line, "old_state") == "ESTABLISHED").unwrap();
    assert!(survivor["state_us"].is_null(), "it was ESTABLISHED across the hole: {survivor}");
}

/// The receipt stands beside the kernel's own counters, and says so when they differ.
#[test]
fn the_receipt_is_checked_against_the_kernel() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let tracer = tracer::start(&format!("-o json --strict --receipt {}", file.path().display()));
    let place = Place::new();
    storm(&place, 50);
    place.run(|| connect("127.77.12.1:9".parse().unwrap()).unwrap_err());
    until("all ends", || (tracer.out().matches("\"reason\":\"fin-").count() >= 100).then_some(()));
    let ended = tracer.interrupt();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    assert!(ended.err.contains(": agrees"), "{}", ended.err);
    let told: serde_json::Value = serde_json::from_reader(file).unwrap();
    assert_eq!(told["kernel"]["agrees"], true, "{told:#}");
    assert!(told["connections"]["opened"].as_u64().unwrap() >= 51, "{told:#}");
    assert_eq!(told["connections"]["opened"], told["kernel"]["opened"], "{told:#}");
    assert_eq!(told["lost"], 0, "{told:#}");
}

/// Containers come and go, and the kernel gives their namespaces' numbers again.
#[test]
fn a_namespace_with_the_number_of_one_before_is_no_disagreement() {
    let refused = |place: &Place| place.run(|| connect("127.77.12.2:9".parse().unwrap()).unwrap_err());
    let steady = Place::new();
    let tracer = tracer::start("-o json --strict");
    // There is something to compare.
    refused(&steady);
    let mut numbers = HashSet::new();
    let last = until("a number that was there before", || {
        let place = Place::new();
        refused(&place);
        (!numbers.insert(place.inum())).then_some(place)
    });
    // What happens while the counters are read may be on either side: not while they are.
    let made = numbers.len() + 2;
    until("all ends", || (tracer.out().matches("\"reason\":\"refused").count() >= made).then_some(()));
    let ended = tracer.interrupt();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    assert!(ended.err.contains("have the number of one before, and are not compared"), "{}", ended.err);
    drop((steady, last));
}

/// A half-open connection that is reset is counted by the kernel and seen by nobody: said, not
/// tolerated.
#[test]
fn a_disagreement_is_a_failure_if_asked_for() {
    let tracer = tracer::start("-o json --strict --buffer 4KiB");
    let place = Place::new();
    tracer.signal(Signal::STOP);
    storm(&place, 100);
    tracer.signal(Signal::CONT);
    let ended = tracer.interrupt();
    assert_eq!(ended.code(), 3, "{}", ended.err);
    assert!(ended.err.contains("DISAGREES") && ended.err.contains("events were lost"), "{}", ended.err);
}

/// Filters make the two incomparable, which is said.
#[test]
fn with_filters_nothing_is_compared() {
    let ended = Program::collect(&mut tracer::command("--duration 100ms --port 1 --strict")).wait();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    assert!(
        ended.err.contains("not compared with the kernel's own counters; filters are in use"),
        "{}",
        ended.err
    );
}
