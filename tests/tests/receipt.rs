//! The receipt's comparison with the kernel's counters, namespace by namespace.

use std::{collections::HashSet, fs};

use rustix::process::Signal;
use serde_json::Value;
use tests::{
    patience::until,
    place::Place,
    program::Program,
    receipt::{Unfiltered, dispute, notes},
    tracer,
    traffic::{churn, connect},
    types::Types,
};

/// The receipt compares the counts with the kernel's own counters, namespace by namespace.
#[test]
fn the_receipt_is_checked_against_the_kernel() {
    let place = Place::new();
    let tracer = Unfiltered::start("");
    churn(&place, 50);
    place.run(|| connect("127.77.12.1:9".parse().unwrap()).unwrap_err());
    let receipt = tracer.finish();
    assert_eq!(dispute(&receipt, &place), None, "{receipt:#}");
    for side in ["connections", "kernel"] {
        assert!(receipt[side]["opened"].as_u64().unwrap() >= 51, "{receipt:#}");
        assert!(receipt[side]["failed"].as_u64().unwrap() >= 1, "{receipt:#}");
    }
}

/// Makes a connection that is refused.
fn refused(place: &Place) {
    place.run(|| connect("127.77.12.2:9".parse().unwrap()).unwrap_err());
}

/// Removes a namespace, and makes others until one has the number of one before. Each has a refused connection.
fn successor(older: Place) -> Place {
    let mut numbers = HashSet::from([older.inum()]);
    drop(older);
    until("a number that was there before", || {
        let place = Place::new();
        refused(&place);
        (!numbers.insert(place.inum())).then_some(place)
    })
}

/// The kernel reuses the inode numbers of namespaces, for example of containers that come and go. The first
/// holder of the number is from before the tracer, or not; its counters are zero at the start.
#[test]
fn a_namespace_with_the_number_of_one_before_is_compared_by_its_own_events() {
    let older = Place::new();
    let tracer = Unfiltered::start("");
    refused(&older);
    refused(&older);
    let last = successor(older);
    let receipt = tracer.finish();
    assert_eq!(dispute(&receipt, &last), None, "{receipt:#}");
    assert!(!notes(&receipt).any(|note| note.contains("with the number of one before")), "{receipt:#}");
    assert!(receipt["kernel"]["opened"].as_u64() >= Some(1), "{receipt:#}");
}

/// Without cookies of namespaces two of the same number cannot be told apart, and that is said.
#[test]
fn without_cookies_of_namespaces_the_doubt_is_said() {
    let types = Types::of_this_kernel().without_member("net", "net_cookie");
    let (steady, older) = (Place::new(), Place::new());
    let tracer = Unfiltered::start(&format!("--btf {}", types.file().display()));
    // One namespace that can be compared.
    refused(&steady);
    refused(&older);
    let last = successor(older);
    let receipt = tracer.finish();
    assert_eq!((dispute(&receipt, &steady), dispute(&receipt, &last)), (None, None), "{receipt:#}");
    let is_said = |note: &str| note.contains("with the number of one before, not compared");
    assert!(notes(&receipt).any(is_said), "{receipt:#}");
}

/// Namespaces that are the only filter are compared, and no others.
#[test]
fn namespaces_that_are_asked_for_are_compared() {
    let (place, other) = (Place::new(), Place::new());
    let receipt = tempfile::NamedTempFile::new().unwrap();
    let arguments = format!("--netns {} --strict --receipt {}", place.name(), receipt.path().display());
    let tracer = tracer::start(&arguments);
    for place in [&place, &other] {
        refused(place);
    }
    let ended = tracer.interrupt();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    assert!(
        ended.err.contains("the kernel counted opened 1, accepted 0, failed 1, reset 0: agrees\n"),
        "{}",
        ended.err
    );
    let receipt: Value = serde_json::from_slice(&fs::read(receipt.path()).unwrap()).unwrap();
    assert_eq!(receipt["kernel"]["agrees"], true, "{receipt:#}");
    assert!(notes(&receipt).next().is_none(), "{receipt:#}");
}

/// Namespaces that are asked for are removed. Another one that gets a number of theirs is not one that was asked for.
#[test]
fn another_namespace_with_the_number_of_one_that_is_asked_for_is_not_shown() {
    for by_number in [false, true] {
        // Several, because other programs may get a number first.
        let older = Place::with_high_numbers(|| [(); 3].map(|()| Place::new()));
        older.iter().for_each(refused);
        let ask = |place: &Place| if by_number { place.inum().to_string() } else { place.name().to_owned() };
        let tracer = tracer::start(&format!("-o json --netns {}", older.each_ref().map(ask).join(",")));
        older.iter().for_each(refused);
        refused(&Place::with_number_of(older.into()));
        let ended = tracer.interrupt();
        assert_eq!(ended.out.lines().count(), 6, "{}{}", ended.out, ended.err);
    }
}

/// Events are lost in a namespace that is asked for.
#[test]
fn a_loss_in_a_namespace_that_is_asked_for_is_found() {
    let place = Place::new();
    let tracer = Unfiltered::start(&format!("--buffer 4KiB --netns {}", place.name()));
    tracer.tracer.signal(Signal::STOP);
    churn(&place, 100);
    tracer.tracer.signal(Signal::CONT);
    let receipt = tracer.finish();
    assert!(dispute(&receipt, &place).is_some(), "{receipt:#}");
}

/// Lost events make the comparison disagree, which is a failure with `--strict`.
#[test]
fn a_disagreement_is_a_failure_if_asked_for() {
    let place = Place::new();
    let tracer = Unfiltered::start("--buffer 4KiB");
    tracer.tracer.signal(Signal::STOP);
    churn(&place, 100);
    tracer.tracer.signal(Signal::CONT);
    let receipt = tracer.finish();
    assert!(dispute(&receipt, &place).is_some(), "{receipt:#}");
    assert_eq!(receipt["kernel"]["agrees"], false, "{receipt:#}");
    assert!(notes(&receipt).any(|note| note == "events were lost"), "{receipt:#}");
}

/// With filters the counts cannot be compared, and the receipt says so.
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
