//! A reload of nginx: old workers serve the requests that they have, and close all else.

use std::{
    collections::{HashMap, HashSet},
    fs,
    io::Write as _,
    net::TcpStream,
    time::Instant,
};

use rustix::process::Signal;
use tests::{
    nginx::{Nginx, keep, read_answer, workers_by_ss},
    patience::until,
    place::Place,
    program::{close, run},
    story::{Line, text},
    traffic::wait_for_end,
    watch::Watch,
};

const AT: &str = "127.77.61.1:8080";

/// So many connections are idle, and so many are in the middle of a request.
const EACH: usize = 24;

/// The port of a client.
fn port(client: &TcpStream) -> u64 {
    client.local_addr().unwrap().port().into()
}

/// Waits until nginx has read all that has been sent to it.
fn wait_until_read(place: &Place) {
    let is_read = |line: &str| line.split_whitespace().nth(1) == Some("0");
    let sockets = || run(place.command("ss").args(["-tnH", "sport = :8080"]));
    until("nginx to read", || sockets().lines().all(is_read).then_some(()));
}

/// Whether nginx says of one of its workers that it only finishes what it has.
fn shuts_down(worker: u64) -> bool {
    fs::read_to_string(format!("/proc/{worker}/cmdline")).is_ok_and(|line| line.contains("is shutting down"))
}

/// How many connections each nginx on the screen has, by pid.
fn shown_workers(screen: &str) -> HashMap<u64, usize> {
    let row = |line: &str| {
        let mut words = line.split_whitespace();
        let pid = words.next()?.parse().ok()?;
        let count = words.next().filter(|name| *name == "nginx").and(words.next())?;
        Some((pid, count.parse().ok()?))
    };
    screen.lines().filter_map(row).collect()
}

#[test]
fn nginx_reloads_with_four_workers() {
    let place = Place::new();
    let nginx = Nginx::start(&place, AT, Some(4));
    let watch = Watch::new(&place, "", "life --local-port 8080");
    let idle: Vec<_> = (0..EACH).map(|_| keep(&place, AT)).collect();
    let mut busy: Vec<_> = (0..EACH).map(|_| keep(&place, AT)).collect();
    for client in &mut busy {
        client.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    }
    wait_until_read(&place);
    let old = workers_by_ss(&place, 8080);
    let workers: HashSet<_> = busy.iter().map(|client| old[&port(client)]).collect();
    assert!(!workers.contains(&nginx.process.pid().into()), "{workers:?}");

    nginx.process.signal(Signal::HUP);
    let due = Instant::now();
    for mut client in idle {
        wait_for_end(&mut client);
        close(client);
    }
    until("the old workers", || workers.iter().all(|worker| shuts_down(*worker)).then_some(()));
    let is_own = |line: &Line| line["pid"] == old[&line["remote_port"].as_u64().unwrap()];
    let is_closed = |line: &Line| text(line, "reason") == "fin-local" && text(line, "closed_by") == "local";
    let ends = watch.logs("the idle ones", due, EACH, |line| is_closed(line) && is_own(line));
    assert_eq!(ends.len(), EACH, "{ends:#?}");
    // The screen has each connection beside its worker, those in TIME_WAIT, too; and none beside the master.
    let mut counts = HashMap::new();
    for worker in old.values() {
        *counts.entry(*worker).or_insert(0) += 1;
    }
    watch.sees("workers with their connections", |shown| shown_workers(shown) == counts);
    assert!(due.elapsed() < tests::watch::SOON, "{:?}", due.elapsed());

    // New connections have new workers.
    let new: Vec<_> = (0..EACH).map(|_| keep(&place, AT)).collect();
    let owners = workers_by_ss(&place, 8080);
    let newer: HashMap<_, _> = new.iter().map(|client| (port(client), owners[&port(client)])).collect();
    assert!(newer.values().all(|worker| !workers.contains(worker)), "{newer:?}");
    let due = Instant::now();
    for mut client in busy {
        client.write_all(b"Host: x\r\n\r\n").unwrap();
        read_answer(&mut client);
        wait_for_end(&mut client);
        close(client);
    }
    let ends = watch.logs("the requests", due, 2 * EACH, |line| is_closed(line) && is_own(line));
    assert_eq!(ends.len(), 2 * EACH, "{ends:#?}");
    let due = Instant::now();
    close(new);
    let of_new = |line: &Line| {
        newer.get(&line["remote_port"].as_u64().unwrap()).is_some_and(|new| line["pid"] == *new)
    };
    let ends =
        watch.logs("the new ones", due, EACH, |line| text(line, "reason") == "fin-remote" && of_new(line));
    assert_eq!(ends.len(), EACH, "{ends:#?}");
    watch.next_summary();
    watch.finds_nothing();
}
