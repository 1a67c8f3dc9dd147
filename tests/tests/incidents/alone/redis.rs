//! Redis, and a client that makes a connection for each request.

use std::{
    process::{Command, Stdio},
    time::Instant,
};

use tests::{
    place::Place,
    program::{Program, output},
    story::{Line, number, text},
    watch::{Watch, goes_to},
};

use super::common::ADDRESS;

fn redis(place: &Place) -> Program {
    // On loopback the kernel gives ports again whose sockets have been in TIME_WAIT for a second.
    place.set("net.ipv4.tcp_tw_reuse=0");
    let mut command = place.command("redis-server");
    let mut redis = Program::collect(command.args(["--port", "6379", "--bind", ADDRESS, "--save", ""]));
    redis.wait_for_out("redis", |out| out.to_lowercase().contains("ready to accept connections"));
    redis
}

/// A client of so many requests, five at a time: as many may be reset when it gives up.
fn hammer(place: &Place, requests: &str) -> Command {
    let mut command = place.command("redis-benchmark");
    command.args(["-h", ADDRESS, "-q", "-k", "0", "-c", "5", "-t", "set", "-n", requests]);
    command.stdin(Stdio::null());
    command
}

/// The sockets that a report counts in TIME_WAIT.
fn in_time_wait(report: &Line) -> u64 {
    let states = report["states"].as_array().unwrap();
    let state = states.iter().find(|state| text(state, "state") == "TIME_WAIT");
    state.and_then(|state| state["now"].as_u64()).unwrap_or_default()
}

#[test]
fn redis_hammered_with_ports_to_spare() {
    let place = Place::new();
    let redis = redis(&place);
    let watch = Watch::new(&place, "", "life --local-port 6379");
    let client = output(&mut hammer(&place, "4000"));
    assert!(client.status.success(), "{client:?}");
    let due = Instant::now();
    let lives = watch.logs("all of them", due, 4000, |line| text(line, "reason") == "fin-remote");
    // Those that redis closes while a tracer that searches for holders has their file are its own, too.
    let others: Vec<_> = lives.iter().filter(|line| line["pid"] != redis.pid()).collect();
    assert!(others.is_empty(), "{others:#?}");
    watch.next_summary();
    watch.finds_nothing();
    let waiting = watch.summaries().last().map(in_time_wait).unwrap();
    assert!(waiting >= 4000, "{waiting}");
}

#[test]
fn redis_hammered_with_few_ports() {
    let place = Place::new();
    place.set("net.ipv4.ip_local_port_range=40000 40999");
    let _redis = redis(&place);
    let watch = Watch::new(&place, "", "life --reason no-free-port");
    let client = output(&mut hammer(&place, "20000"));
    let due = Instant::now();
    let said = String::from_utf8_lossy(&client.stderr);
    assert!(said.contains("Cannot assign requested address"), "{client:?}");
    let target = format!("{ADDRESS}:6379").parse().unwrap();
    let is_empty = |line: &Line| {
        let evidence = text(line, "evidence");
        goes_to(line, target) && evidence.starts_with("of 1,000") && evidence.contains(" no-free-port/min")
    };
    let found = watch.finds("ephemeral-ports", due, is_empty, &[&target.to_string(), "of 1,000"]);
    assert!(text(&found, "comm").starts_with("redis-benchmar"), "{found}");
    assert!(number(&found, "count").unwrap() >= 980.0, "{found}");
    let failed = watch.logs("the failed", due, 1, |line| text(line, "reason") == "no-free-port");
    assert!(failed.iter().all(|line| goes_to(line, target) && line["pid"] == found["pid"]), "{failed:#?}");
    watch.next_summary();
    let waiting = watch.summaries().last().map(in_time_wait).unwrap();
    assert!(waiting >= 900, "{waiting}");
    // Nothing else is wrong.
    let others: Vec<_> = watch.all_findings();
    assert!(others.iter().all(|line| text(line, "finding") == "ephemeral-ports"), "{others:#?}");
}
