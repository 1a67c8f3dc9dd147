//! Connections of real programs (curl, nginx, redis) have the usual transitions.

use std::{
    io::{Read as _, Write as _},
    process::Command,
};

use tests::{
    event::{Event, transition},
    nginx::Nginx,
    patience::until,
    place::Place,
    program::{Program, run},
    tracer,
    traffic::connect,
};

/// The transitions of each socket, ordered by their first event.
fn stories(events: &[Event]) -> Vec<Vec<String>> {
    let mut cookies: Vec<u64> = Vec::new();
    for event in events {
        if !cookies.contains(&event.cookie) {
            cookies.push(event.cookie);
        }
    }
    let of = |cookie| events.iter().filter(move |event| event.cookie == cookie).map(transition).collect();
    cookies.into_iter().map(of).collect()
}

const CLIENT_CLOSES: &[&str] = &[
    "CLOSE>SYN_SENT",
    "SYN_SENT>ESTABLISHED",
    "ESTABLISHED>FIN_WAIT1",
    "FIN_WAIT1>FIN_WAIT2",
    "FIN_WAIT2>TIME_WAIT",
];
const SERVER_FOLLOWS: &[&str] = &[
    "LISTEN>SYN_RECV",
    "SYN_RECV>ESTABLISHED",
    "ESTABLISHED>CLOSE_WAIT",
    "CLOSE_WAIT>LAST_ACK",
    "LAST_ACK>CLOSE",
];

/// Waits until this many sockets have ended, and returns the transitions of each socket.
fn seen(tracer: Program, ends: usize) -> Vec<Vec<String>> {
    until("all ends", || (tracer.out().matches("\"reason\":\"fin-").count() >= ends).then_some(()));
    stories(&tracer::finish(tracer))
}

#[test]
fn curl_and_nginx() {
    let place = Place::new();
    let _nginx = Nginx::start(&place, "127.77.5.1:8080", None);
    let tracer = tracer::start(&format!("-o json --netns {}", place.name()));
    let answer = run(place.command("curl").args(["-s", "http://127.77.5.1:8080/"]));
    assert_eq!(answer, "hello");
    assert_eq!(seen(tracer, 2), [CLIENT_CLOSES, SERVER_FOLLOWS]);
}

#[test]
fn a_keep_alive_client_makes_one_connection() {
    let place = Place::new();
    let _nginx = Nginx::start(&place, "127.77.5.1:8080", None);
    let tracer = tracer::start(&format!("-o json --netns {}", place.name()));
    place.run(|| {
        let mut client = connect("127.77.5.1:8080".parse().unwrap()).unwrap();
        for _ in 0..10 {
            client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
            let mut answer = Vec::new();
            while !answer.ends_with(b"hello") {
                let mut byte = [0];
                client.read_exact(&mut byte).unwrap();
                answer.push(byte[0]);
            }
        }
    });
    assert_eq!(seen(tracer, 2), [CLIENT_CLOSES, SERVER_FOLLOWS]);
}

#[test]
fn a_redis_session() {
    let place = Place::new();
    let mut command = place.command("redis-server");
    let mut redis = Program::collect(command.args([
        "--port",
        "6379",
        "--bind",
        "127.77.6.1",
        "--save",
        "",
        "--appendonly",
        "no",
    ]));
    redis.wait_for_out("redis", |out| out.to_lowercase().contains("ready to accept connections"));
    let tracer = tracer::start(&format!("-o json --port 6379 --netns {}", place.name()));
    let mut command = Command::new("ip");
    command.args(["netns", "exec", place.name(), "redis-cli", "-h", "127.77.6.1"]);
    assert_eq!(run(command.args(["set", "key", "value"])).trim(), "OK");
    assert_eq!(seen(tracer, 2), [CLIENT_CLOSES, SERVER_FOLLOWS]);
}
