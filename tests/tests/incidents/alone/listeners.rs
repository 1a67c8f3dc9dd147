//! Listeners that get too much.

use std::time::{Duration, Instant};

use tests::{
    place::Place,
    story::{Line, text},
    watch::{Watch, is_of, python},
};

use super::common::{ADDRESS, CONNECTS, LISTENS, rule};

#[test]
fn an_accept_queue_that_overflows() {
    let place = Place::new();
    let server = python(&place, LISTENS, &[ADDRESS, "8080", "4"]);
    let watch = Watch::new(&place, "", "--state ESTABLISHED --local-port 8080");
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
    let begun = watch.logs("those that wait", due, 5, |line| text(line, "new_state") == "ESTABLISHED");
    assert!(begun.iter().all(|line| is_of(line, &server)), "{begun:#?}");
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
    watch.logs("SYN-ACKs that are sent again", due, 10, |line| text(line, "event") == "retransmit-synack");
    // The clients send their SYNs again, and the listener drops them. Its accept queue is empty.
    watch.next_summary();
    let found = watch.all_findings();
    assert!(found.iter().all(|line| text(line, "finding") == "half-open"), "{found:#?}");
}
