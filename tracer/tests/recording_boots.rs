//! Recordings of one host from before and after a restart. They need no privileges.

// A panic is how a test says that it failed.
#![allow(clippy::unwrap_used)]

mod made;

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
};

use serde_json::Value;
use tempfile::TempDir;
use tracer::{facts::Fact, recording::header::Header, time::clock::Anchor};

use made::{BEGIN, Piece, WALL, bytes, header, pieces};

/// How much later the host was started again, in nanoseconds.
const LATER_NS: i64 = 3_600_000_000_000;

fn tracer(words: &[&str], paths: &[&PathBuf]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tracer"));
    command.args(words).args(paths).env("TZ", "UTC").output().unwrap()
}

/// Two recordings with the same events, the same cookies, and the same times on the kernel's clock, which began anew. Their
/// headers come from `mark`.
fn two(mark: fn(Header, usize) -> Header) -> (TempDir, [PathBuf; 2]) {
    let folder = tempfile::tempdir().unwrap();
    let paths = [0, 1].map(|boot| {
        let later_ns = if boot == 0 { 0 } else { LATER_NS };
        let mut header = header();
        header.id += boot as u64;
        header.booted_ns += later_ns;
        header.begun_ns += later_ns;
        let mut pieces = pieces();
        for piece in &mut pieces {
            if let Piece::Fact(Fact::Clock(anchor)) = piece {
                *anchor = Anchor { monotonic_ns: BEGIN, wall_ns: WALL + later_ns };
            }
        }
        let path = folder.path().join(format!("boot{boot}.rec"));
        fs::write(&path, bytes(&mark(header, boot), &pieces)).unwrap();
        path
    });
    (folder, paths)
}

/// By the boot ids, and as recordings are told apart that have none.
const MARKS: [fn(Header, usize) -> Header; 2] =
    [|header, _| header, |header, boot| Header { boot: format!("boot {boot}"), ..header }];

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The objects of the lines, without what says which host it is.
fn objects(output: &Output) -> Vec<Value> {
    let objects = text(output);
    let object = |line: &str| {
        let mut object: Value = serde_json::from_str(line).unwrap();
        object.as_object_mut().unwrap().remove("host");
        object
    };
    objects.lines().map(object).collect()
}

#[test]
fn both_are_shown_one_after_the_other() {
    for mark in MARKS {
        let (_folder, [before, after]) = two(mark);
        for view in ["log", "life", "summary"] {
            let words = [view, "-o", "json", "--from"];
            let [one, other] = [&before, &after].map(|path| objects(&tracer(&words, &[path])));
            assert!(!one.is_empty() && one.len() == other.len(), "{view}: {one:?}");
            // In the order of their times, whatever the order of the files.
            let both = objects(&tracer(&words, &[&after, &before]));
            assert_eq!(both, [one, other].concat(), "{view}");
        }
    }
}

#[test]
fn a_moment_is_one_of_the_boot_that_it_is_in() {
    for mark in MARKS {
        let (_folder, [before, after]) = two(mark);
        for (at, only) in [("2026-01-01T00:00:01Z", &before), ("2026-01-01T01:00:01Z", &after)] {
            let words = ["list", "-t", "-o", "json", "--at", at, "--from"];
            let alone = text(&tracer(&words, &[only]));
            assert!(alone.lines().count() > 1, "{at}: {alone}");
            assert_eq!(text(&tracer(&words, &[&before, &after])), alone, "{at}");
        }
        let end = ["list", "-ta", "-o", "json", "--from"];
        assert_eq!(text(&tracer(&end, &[&before, &after])), text(&tracer(&end, &[&after])));
        // The other one has nothing there.
        let since = ["log", "-o", "json", "--since", "2026-01-01T00:30:00Z", "--from"];
        let whole = ["log", "-o", "json", "--from"];
        assert_eq!(objects(&tracer(&since, &[&before, &after])), objects(&tracer(&whole, &[&after])));
    }
}

#[test]
fn what_is_about_one_run_of_the_host_names_both() {
    for mark in MARKS {
        let (folder, [before, after]) = two(mark);
        let merged = folder.path().join("merged.rec");
        let refused = tracer(&["recording", "merge", "--to", merged.to_str().unwrap()], &[&before, &after]);
        let said = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(1), "{said}");
        let names = [&before, &after].map(|path| path.to_str().unwrap());
        assert!(
            said.contains(&format!("{} and {} were made before and after a restart", names[0], names[1])),
            "{said}"
        );
        assert!(!merged.exists());
    }
}

/// The wall clock may be set by more than the time that tells restarts apart without boot ids.
#[test]
fn a_clock_that_is_set_is_no_restart() {
    let mark = |header: Header, _| Header { boot: "one".to_owned(), ..header };
    let (_folder, [before, after]) = two(mark);
    let refused = tracer(&["log", "--from"], &[&before, &after]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("it begins before the recording before it ends"), "{said}");
}
