//! `tracer record` is killed at random moments under load: what is older than a second is there, each time.

// A panic is how a test says that it failed.
#![allow(clippy::unwrap_used)]

use std::{
    collections::HashMap,
    fs,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use fastrand::Rng;
use rustix::process::Signal;
use tests::{
    patience::Stops,
    place::Place,
    program::{Ended, Program, close},
    story::{lines, text},
    tracer,
    traffic::{connect, listen, wait_for_end},
};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// What is promised: everything older than this is in the file.
const PROMISED: Duration = Duration::from_secs(1);

/// How long a recording goes on at most until it is killed.
const LONGEST: Duration = Duration::from_millis(2500);

/// Recordings at the same time, each one killed at a moment of its own.
const TOGETHER: usize = 4;

/// How they are recorded, by turns: in one file, and in parts so short that many kills come while one is begun.
const WAYS: [&str; 3] = ["", "--rotate 50ms", "--rotate 64K"];

/// Makes connections one after the other until `is_over`, and notes the client's port of each one, and when both ends
/// were closed.
fn load(place: &Place, is_over: &AtomicBool, made: &Mutex<Vec<(Instant, u16)>>) {
    place.run(|| {
        let listener = listen(V4, 0);
        let to = listener.local_addr().unwrap();
        while !is_over.load(Ordering::Relaxed) {
            // In bursts: a full buffer would be a loss that is counted, and is not what this is about.
            for _ in 0..10 {
                let mut client = connect(to).unwrap();
                let port = client.local_addr().unwrap().port();
                close(listener.accept().unwrap().0);
                wait_for_end(&mut client);
                close(client);
                made.lock().unwrap().push((Instant::now(), port));
            }
            thread::sleep(Duration::from_millis(5));
        }
    });
}

fn how_often(ports: impl IntoIterator<Item = u16>) -> HashMap<u16, usize> {
    let mut counts = HashMap::new();
    for port in ports {
        *counts.entry(port).or_default() += 1;
    }
    counts
}

/// A recording, or its parts in order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn run<P: AsRef<Path>>(arguments: &str, paths: &[P]) -> Ended {
    Program::collect(tracer::command(arguments).args(paths.iter().map(AsRef::as_ref))).wait()
}

/// What `recording verify` says of a file; `empty` if there is nothing in it yet.
fn verdict(file: &Path) -> String {
    let verified = run("recording verify -o json", &[file]);
    let [verdict] = &lines(&verified.out)[..] else {
        assert!(verified.err.contains("nothing"), "{}", verified.err);
        return "empty".to_owned();
    };
    text(verdict, "verdict").to_owned()
}

/// Checks what a writer has left that recorded between these moments, and was killed then.
fn check(folder: &Path, (begun, killed): (Instant, Instant), made: &[(Instant, u16)], what: &str) {
    let files = files(folder);
    let verdicts: Vec<_> = files.iter().map(|file| verdict(file)).collect();
    // Parts may have been made that nothing was written to yet, and one may have ended.
    let begun_parts = verdicts.iter().rposition(|verdict| verdict != "empty").map_or(0, |last| last + 1);
    let (last, before) = verdicts[..begun_parts].split_last().unwrap();
    let is_between = last == "whole" && what.contains("--rotate");
    let is_right = before.iter().all(|verdict| verdict == "whole") && (is_between || last == "endless");
    assert!(is_right, "{what}: {verdicts:?}");

    let replayed = run("life -o json --strict --from", &files);
    assert!(replayed.code() == 3 || is_between && replayed.code() == 0, "{what}: {}", replayed.err);
    assert!(!replayed.err.contains("damage"), "{what}: {}", replayed.err);
    let ended = lines(&replayed.out);
    let clients = ended.iter().filter(|line| text(line, "role") == "client");
    let replayed = how_often(clients.filter_map(|line| u16::try_from(line["local_port"].as_u64()?).ok()));
    // One was there already when it began.
    let since = made.iter().skip_while(|(at, _)| *at < begun).skip(1);
    let promised = since.take_while(|(at, _)| *at + PROMISED < killed);
    let promised = how_often(promised.map(|(_, port)| *port));
    let has = |port: &u16| replayed.get(port).copied().unwrap_or_default();
    let missing: Vec<_> = promised.iter().filter(|(port, count)| has(port) < **count).collect();
    assert!(missing.is_empty(), "{what}: of {} connections these are missing: {missing:?}", promised.len());
    // The last one may not have been noted yet.
    let all = how_often(made.iter().map(|(_, port)| *port));
    let invented =
        replayed.iter().map(|(port, count)| count.saturating_sub(all.get(port).copied().unwrap_or_default()));
    assert!(invented.sum::<usize>() <= 1, "{what}: {replayed:?} {all:?}");
}

/// Kills so many recordings, at moments that follow from the seed.
fn kill(count: usize, seed: u64) {
    let mut rng = Rng::with_seed(seed);
    let place = Place::new();
    let (is_over, made) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        let _stops = Stops(&is_over);
        scope.spawn(|| load(&place, &is_over, &made));
        for first in (0..count).step_by(TOGETHER) {
            let round: Vec<_> = (first..count.min(first + TOGETHER))
                .map(|number| {
                    (WAYS[number % WAYS.len()], rng.u64(..u64::try_from(LONGEST.as_millis()).unwrap()))
                })
                .collect();
            thread::scope(|scope| {
                for (way, after_ms) in round {
                    let (place, made) = (&place, &made);
                    scope.spawn(move || {
                        let folder = tempfile::tempdir().unwrap();
                        let path = folder.path().join("host.rec");
                        let arguments = format!("record {way} --netns {}", place.inum());
                        let tracer = Program::collect(tracer::command(&arguments).arg(&path));
                        let mut tracer = tracer::started(tracer);
                        let begun = Instant::now();
                        thread::sleep(Duration::from_millis(after_ms));
                        let killed = Instant::now();
                        tracer.end_with(Signal::KILL);
                        let made = made.lock().unwrap().clone();
                        let what = format!("seed {seed}, `{arguments}` killed after {after_ms} ms");
                        check(folder.path(), (begun, killed), &made, &what);
                    });
                }
            });
        }
    });
}

/// Kills some with a seed that is another one each time.
fn kill_some(count: usize) {
    kill(count, fastrand::u64(..1_000_000));
}

#[test]
fn fifty_writers_that_are_killed_leave_what_is_older_than_a_second() {
    kill_some(50);
}

#[test]
#[ignore = "takes minutes: cargo xtask test --long"]
fn a_thousand_writers_that_are_killed_leave_what_is_older_than_a_second() {
    kill_some(1000);
}
