//! `tracer diff` on recordings that are written down: what is printed is in `captures`. `UPDATE_CAPTURES=1 cargo test` takes
//! what it is now.

// A panic is how a test says that it failed.
#![allow(clippy::unwrap_used)]

mod made;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use fastrand::Rng;
use serde_json::Value;
use tracer::{facts::Fact, recording::header::Header};
use tracer_common::{
    Event,
    event::flag,
    state::{CLOSE, CLOSE_WAIT, ESTABLISHED, FIN_WAIT1, FIN_WAIT2, LAST_ACK, SYN_SENT},
};

use made::{BEGIN, Pair, Piece, bytes, clock, end, events, header, until};

/// How long a recording is.
const LENGTH_MS: u64 = 60_000;

/// What a client's connections to a service are like.
#[derive(Clone, Copy)]
struct Traffic {
    port: u16,
    comm: &'static str,
    count: u64,
    handshake_us: u64,
    /// Of a thousand.
    refused: u32,
    /// Of a thousand, the client does not close after the server has.
    leaked: u32,
}

const WEB: Traffic =
    Traffic { port: 443, comm: "curl", count: 2_000, handshake_us: 1_000, refused: 2, leaked: 0 };
const DATABASE: Traffic =
    Traffic { port: 5432, comm: "billing", count: 800, handshake_us: 300, refused: 0, leaked: 0 };

impl Traffic {
    fn events(self, rng: &mut Rng) -> Vec<Event> {
        let mut events = Vec::new();
        for number in 0..self.count {
            let begin_us = number * (LENGTH_MS - 5_000) * 1_000 / self.count + rng.u64(..500);
            let handshake_us = self.handshake_us * rng.u64(80..120) / 100;
            // `error`: how a connect has failed.
            let mut add = |after_us: u64, old: u8, new: u8, error: u16| {
                let pair = Pair { number: 2, port: self.port, comm: self.comm, cgroup: 0 };
                let mut event = pair.client(0, old, new);
                event.time_ns = BEGIN + (begin_us + after_us) * 1_000;
                event.cookie = u64::from(self.port) << 32 | number;
                event.local_port = 10_000 + u16::try_from(number).unwrap();
                event.error = error;
                if error != 0 {
                    event.flags &= !flag::DONE;
                }
                events.push(event);
            };
            add(0, CLOSE, SYN_SENT, 0);
            if rng.u32(..1_000) < self.refused {
                add(handshake_us, SYN_SENT, CLOSE, 111);
                continue;
            }
            add(handshake_us, SYN_SENT, ESTABLISHED, 0);
            let lived_us = handshake_us + rng.u64(2_000..20_000);
            if rng.bool() {
                add(lived_us, ESTABLISHED, CLOSE_WAIT, 0);
                if rng.u32(..1_000) >= self.leaked {
                    add(lived_us + 100, CLOSE_WAIT, LAST_ACK, 0);
                    add(lived_us + 400, LAST_ACK, CLOSE, 0);
                }
            } else {
                add(lived_us, ESTABLISHED, FIN_WAIT1, 0);
                add(lived_us + 300, FIN_WAIT1, FIN_WAIT2, 0);
                // A timewait socket takes its place.
                add(lived_us + 400, FIN_WAIT2, CLOSE, 0);
            }
        }
        events
    }
}

/// Writes a recording of this traffic.
fn recording(folder: &Path, name: &str, traffic: &[Traffic]) -> PathBuf {
    recording_of(&header(), folder, name, traffic)
}

fn recording_of(header: &Header, folder: &Path, name: &str, traffic: &[Traffic]) -> PathBuf {
    let mut rng = Rng::with_seed(name.len() as u64);
    let mut all: Vec<Event> = traffic.iter().flat_map(|traffic| traffic.events(&mut rng)).collect();
    all.sort_by_key(|event| event.time_ns);
    let mut pieces = vec![clock(), Piece::Fact(Fact::Ready(BEGIN))];
    pieces.extend(all.chunks(1_000).map(|events_of| events(events_of.to_vec())));
    pieces.extend([until(LENGTH_MS), end()]);
    let path = folder.join(name);
    fs::write(&path, bytes(header, &pieces)).unwrap();
    path
}

fn tracer(words: &str, folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tracer"));
    command
        .args(words.split(' '))
        .current_dir(folder)
        .env("TZ", "UTC")
        .env("LC_ALL", "C.UTF-8")
        .output()
        .unwrap()
}

/// What is printed is that of the file `name`.
fn compare(name: &str, words: &str, folder: &Path) -> String {
    let output = tracer(words, folder);
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    let shown = format!("$ tracer {words}\n{out}--\n{err}status {}\n", output.status.code().unwrap());
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/captures").join(name);
    if std::env::var_os("UPDATE_CAPTURES").is_some() {
        fs::write(&path, &shown).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(shown == expected, "{name} is now\n{shown}\nbut was\n{expected}");
    out
}

#[test]
fn what_a_deploy_has_changed() {
    let folder = tempfile::tempdir().unwrap();
    recording(folder.path(), "before.rec", &[WEB, DATABASE]);
    let slow = Traffic { handshake_us: 11_000, ..WEB };
    let leaky = Traffic { refused: 40, leaked: 80, ..DATABASE };
    recording(folder.path(), "after.rec", &[slow, leaky]);
    compare("diff.txt", "diff before.rec after.rec --fail-on regressions", folder.path());
    let json = compare("diff.json", "diff before.rec after.rec -o json --rows 1", folder.path());
    let report: Value = serde_json::from_str(&json).unwrap();
    let changes = report["changes"].as_array().unwrap();
    let of = |index: usize| (&changes[index]["measure"], &changes[index]["port"]);
    assert_eq!((of(0).0, of(0).1.as_u64()), (&Value::from("end"), Some(5432)), "{json}");
    compare("diff.csv", "diff before.rec after.rec -o csv --rows 1", folder.path());
}

/// The same traffic with other numbers of chance.
#[test]
fn nothing_has_changed() {
    let folder = tempfile::tempdir().unwrap();
    recording(folder.path(), "before", &[WEB, DATABASE]);
    recording(folder.path(), "after", &[WEB, DATABASE]);
    let output = tracer("diff before after --fail-on regressions", folder.path());
    let out = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(out.contains("nothing has changed by more than chance"), "{out}");
}

/// A span of one recording beside another one of it.
#[test]
fn spans_of_one_recording() {
    let folder = tempfile::tempdir().unwrap();
    recording(folder.path(), "whole", &[WEB, DATABASE]);
    let output = tracer("diff whole --a-until +30s --b-since +30s -o json", folder.path());
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["changes"].as_array().unwrap().len(), 0, "{report}");
    assert_eq!(report["a"]["duration_us"].as_f64(), Some(30e6));
    let begun = |side: &str| report[side]["begun"].as_u64().unwrap();
    assert_eq!(begun("a") + begun("b"), WEB.count + DATABASE.count);
}

/// The hosts of a side count together.
#[test]
fn hosts_of_a_side_are_one() {
    let folder = tempfile::tempdir().unwrap();
    for host in ["web1", "web2"] {
        let header = Header { host: host.to_owned(), machine: host.to_owned(), ..header() };
        recording_of(&header, folder.path(), host, &[WEB]);
    }
    let output = tracer("diff --a web1 web2 --b web2 web1 -o json --strict", folder.path());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    for side in ["a", "b"] {
        assert_eq!(report[side]["hosts"], serde_json::json!(["web1", "web2"]));
        assert_eq!(report[side]["begun"].as_u64(), Some(2 * WEB.count));
    }
    assert_eq!(report["changes"].as_array().unwrap().len(), 0, "{report}");
}

/// What is still going on at the end of a shorter span is no change.
#[test]
fn spans_may_have_different_lengths() {
    let folder = tempfile::tempdir().unwrap();
    let leaky = Traffic { leaked: 100, ..DATABASE };
    recording(folder.path(), "one", &[WEB, leaky]);
    recording(folder.path(), "another", &[WEB, leaky]);
    let output = tracer("diff one another --b-until +15s -o json", folder.path());
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["b"]["duration_us"].as_f64(), Some(15e6));
    assert_eq!(report["changes"].as_array().unwrap().len(), 0, "{report}");
}
