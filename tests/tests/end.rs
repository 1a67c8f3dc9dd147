//! All ends are good ends: what was captured is written, the receipt printed, the status right.

use std::{io::Read as _, os::fd::OwnedFd, process::Stdio};

use rustix::process::Signal;
use tests::{
    event::parse,
    patience::until,
    place::Place,
    program::Program,
    tracer::{self, receipt},
    traffic::connect,
};

fn refused() {
    connect("127.77.1.1:9".parse().unwrap()).expect_err("nobody listens there");
}

#[test]
fn signals_lose_nothing() {
    let place = Place::new();
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let tracer = tracer::start(&format!("-o json --netns {}", place.name()));
        place.run(|| (0..500).for_each(|_| refused()));
        tracer.signal(signal);
        let ended = tracer.wait();
        assert_eq!(ended.code(), 0, "{}", ended.err);
        assert_eq!(parse(&ended.out).len(), 1000, "{signal:?}");
        assert_eq!(receipt(&ended, "seen"), 1000 + receipt(&ended, "filtered"));
    }
}

#[test]
fn a_duration_ends_it() {
    let ended = tracer::run("--duration 200ms --netns 1");
    assert_eq!(ended.code(), 0);
    assert_eq!(receipt(&ended, "shown"), 0);
}

#[test]
fn a_count_ends_it_exactly_there() {
    let place = Place::new();
    let tracer = tracer::start(&format!("-o json --count 7 --netns {}", place.name()));
    place.run(|| (0..10).for_each(|_| refused()));
    let ended = tracer.wait();
    assert_eq!(ended.code(), 0);
    assert_eq!(parse(&ended.out).len(), 7);
    assert_eq!(receipt(&ended, "shown"), 7);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let place = Place::new();
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = tracer::command(&format!("-o json --netns {}", place.name()));
    let tracer = tracer::started(Program::start(command.stdout(Stdio::from(OwnedFd::from(writer)))));
    drop(command);
    place.run(refused);
    let mut reader = reader;
    reader.read_exact(&mut [0; 10]).unwrap();
    drop(reader);
    place.run(refused);
    let ended = tracer.wait();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    assert!(ended.err.contains("tracer: seen"), "{}", ended.err);
}

#[test]
fn a_reader_that_does_not_read_cannot_hold_it() {
    let place = Place::new();
    let (_reader, writer) = std::io::pipe().unwrap();
    let mut command = tracer::command(&format!("-o json --netns {}", place.name()));
    let mut tracer = tracer::started(Program::start(command.stdout(Stdio::from(OwnedFd::from(writer)))));
    // Far more than a pipe holds.
    place.run(|| (0..2000).for_each(|_| refused()));
    until("the tracer to be stuck in writing", || {
        let state = std::fs::read_dir(format!("/proc/{}/task", tracer.pid())).unwrap().any(|task| {
            let path = task.unwrap().path().join("wchan");
            std::fs::read_to_string(path).is_ok_and(|wchan| wchan.contains("pipe_write"))
        });
        state.then_some(())
    });
    tracer.signal(Signal::TERM);
    tracer.signal(Signal::TERM);
    tracer.wait_for_err("the receipt", |err| err.contains("tracer: seen"));
    let ended = tracer.wait();
    assert_eq!(ended.code(), 1, "{}", ended.err);
    assert!(ended.err.contains("did not take the last lines"), "{}", ended.err);
}

#[test]
fn a_full_disk_is_a_failure_that_is_told() {
    let place = Place::new();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = tracer::command(&format!("-o json --netns {}", place.name()));
    let tracer = tracer::started(Program::start(command.stdout(full)));
    place.run(refused);
    let ended = tracer.wait();
    assert_eq!(ended.code(), 1);
    assert!(ended.err.contains("No space left on device"), "{}", ended.err);
    assert!(ended.err.contains("tracer: seen"), "{}", ended.err);
}

#[test]
fn nothing_privileged_is_kept() {
    let tracer = tracer::start("--netns 1");
    for task in std::fs::read_dir(format!("/proc/{}/task", tracer.pid())).unwrap() {
        let status = std::fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            let line = status.lines().find(|line| line.starts_with(set)).unwrap();
            assert!(line.ends_with("\t0000000000000000"), "{line}");
        }
    }
    assert_eq!(tracer.interrupt().code(), 0);
}
