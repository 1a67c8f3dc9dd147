//! Connects that fail.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use tests::{
    place::Place,
    program::{Program, close},
    story::{Line, text},
    watch::{Watch, goes_to, is_of, python},
};

use super::common::{ADDRESS, CONNECTS, LISTENS, rule};

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
    let failed = watch.logs("failed connects", due, 20, |line| text(line, "reason") == "no-free-port");
    assert!(failed.iter().all(|line| is_of(line, &other) && goes_to(line, target)), "{failed:#?}");
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
        watch.logs(reason, due, 6, |line| text(line, "reason") == reason && goes_to(line, target(port)));
    }

    let client = connects("10.77.0.2", "7001", &["nonblocking"]);
    let due = Instant::now() + Duration::from_secs(2);
    let waits = |line: &Line| goes_to(line, target(7001)) && line["count"] == 6;
    let found = watch.finds("connect-failures", due, waits, &["10.77.0.2:7001", " 6 "]);
    assert!(is_of(&found, &client), "{found}");
    assert!(text(&found, "evidence").starts_with("6 without an answer, oldest "), "{found}");
    close(client);
    let due = Instant::now();
    let unanswered = |line: &Line| text(line, "reason") == "unanswered" && goes_to(line, target(7001));
    watch.logs("the end of connects", due, 6, unanswered);

    let _client = connects("203.0.113.1", "80", &[]);
    let routes = |line: &Line| text(line, "evidence") == "6 without a route/min";
    let netns = format!("netns {}", left.inum());
    watch.finds("connect-failures", Instant::now(), routes, &[&netns, "without a route"]);
    // The other namespace knows nothing of it.
    other.next_summary();
    other.finds_nothing();
}
