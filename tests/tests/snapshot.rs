//! Connections that are older than the tracer or begin while it starts, lost events, and the receipt's
//! comparison with the kernel's counters.

use std::{
    io::Write as _,
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use rustix::process::Signal;
use serde_json::Value;
use tests::{
    patience::{until, until_or},
    place::Place,
    processors,
    program::close,
    story::{self, number, text},
    tracer,
    traffic::{churn, connect, listen, wait_for_end},
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
    close(client);
    wait_for_end(&mut server);
    close(server);
    until("the lines of both ends", || (life.out().lines().count() == 2).then_some(()));
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
    // The FIN arrived in softirq, where no process is known.
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
    close(client);
    wait_for_end(&mut server);
    close(server);
    until("the end", || tracer.out().contains("fin-remote").then_some(()));
    let lines = story::lines(&tracer.interrupt().out);
    let server =
        story::by_socket(&lines).into_values().find(|story| story::path(story)[0].ends_with("CLOSE_WAIT"));
    let server = server.expect("the server's story");
    assert!(server[0]["owner"].is_null() && server[0]["pid"].is_null() && server[0]["role"].is_null());
    assert_eq!(text(server.last().unwrap(), "owner"), "own");
}

/// The lines of every socket have no gap and no repetition, even with traffic while the snapshot is taken.
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
        assert_eq!(tracer::lost(&ended), 0, "{}", ended.err);
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
            // If a socket began before the tracer, and ended before the snapshot reached it, its owner is
            // known only from the owner's own system calls.
            let begin = if is_born { Some(0) } else { story.iter().position(|line| line["owner"] == "own") };
            let owned = begin.map_or(&[][..], |begin| &story[begin..]);
            assert!(owned.iter().all(|line| !line["pid"].is_null()), "no owner: {story:#?}");
            let is_known = |line: &&Value| number(line, "state_us").is_none_or(|us| us >= 0.0);
            assert!(story.iter().all(is_known));
        }
        assert!(with_beginning > 100);
    }
}

/// Connections that end while events are lost.
const DOOMED: usize = 20;

/// A state during which events were lost has no duration. Connections whose end was lost are removed.
#[test]
fn across_a_loss_nothing_is_invented() {
    let place = Place::new();
    let tracer = tracer::start(&format!("-v -o json --buffer 64KiB --netns {}", place.name()));
    // One connection survives the loss gap, and some end in it.
    let (_listener, client, mut server) = connected(&place);
    let doomed: Vec<_> = (0..DOOMED).map(|_| connected(&place)).collect();
    until("their beginnings", || {
        (tracer.out().matches("\"new_state\":\"ESTABLISHED\"").count() == 2 + 2 * DOOMED).then_some(())
    });
    tracer.signal(Signal::STOP);
    // Fill the buffer, and then let the doomed connections end unseen. All on one CPU, because each has its
    // own buffer.
    processors::stay_on_one();
    churn(&place, 500);
    drop(doomed);
    // The last ACKs may wait for a busy processor. The first connection and its listener stay.
    place.settle_to(3);
    tracer.signal(Signal::CONT);
    // The next snapshot finds them missing.
    let missing = || {
        let told = |line: &str| {
            let count = line.split("after a loss: ").nth(1)?.strip_suffix(" connections had ended unseen")?;
            Some(count.parse::<usize>().unwrap())
        };
        tracer.err().lines().filter_map(told).sum::<usize>() >= 2 * DOOMED
    };
    until_or("the snapshot after the loss", || missing().then_some(()), || tracer.err());
    close(client);
    wait_for_end(&mut server);
    close(server);
    until("its end", || {
        let out = tracer.out();
        out.lines().any(|line| line.contains("LAST_ACK\",\"new_state\":\"CLOSE")).then_some(())
    });
    let ended = tracer.interrupt();
    assert!(tracer::lost(&ended) > 0, "{}", ended.err);
    let lines = story::lines(&ended.out);
    for story in story::by_socket(&lines).into_values() {
        for pair in story.windows(2) {
            let follows = text(pair[0], "new_state") == text(pair[1], "old_state");
            assert!(
                follows || pair[1]["state_us"].is_null(),
                "duration across a loss gap: {} {}",
                pair[0],
                pair[1]
            );
        }
    }
    // All connections have ended, so none may still be counted as open.
    assert!(ended.err.contains("still open 0"), "{}", ended.err);
    let survivor = lines.iter().rfind(|line| text(line, "old_state") == "ESTABLISHED").unwrap();
    assert!(survivor["state_us"].is_null(), "duration across the loss gap: {survivor}");
}
