//! What a run gives up: the kernel says so, and the output is the same.

// A panic is how a test says that it failed.
#![allow(clippy::unwrap_used)]

use std::{fs, os::unix::fs::symlink, path::Path, process::Stdio};

use serde_json::Value;
use tests::{
    agreement::counts,
    place::Place,
    program::{Ended, Program, spawn},
    tracer,
    traffic::{churn, storm},
};

/// The mode of seccomp that the kernel tells of each thread: 2 is a filter.
fn modes(program: &Program) -> Vec<String> {
    let threads = fs::read_dir(format!("/proc/{}/task", program.pid())).unwrap();
    let status = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("status")).unwrap();
    let mode = |status: String| {
        let fields = ["Seccomp", "NoNewPrivs"].map(|name| {
            let line = status.lines().find_map(|line| line.strip_prefix(&format!("{name}:")));
            line.unwrap().trim().to_owned()
        });
        fields.join(" ")
    };
    threads.map(|thread| mode(status(thread.unwrap()))).collect()
}

#[test]
fn all_threads_give_up_system_calls() {
    let place = Place::new();
    for (words, expected) in [("", "2 1"), ("--no-sandbox", "0 0")] {
        for view in ["log -o json", "life -o json", "summary", "summary --in-kernel"] {
            let netns =
                if view.ends_with("kernel") { String::new() } else { format!("--netns {}", place.inum()) };
            let tracer = tracer::start(&format!("{view} {netns} {words}"));
            churn(&place, 3);
            let modes = modes(&tracer);
            assert!(modes.iter().all(|mode| mode == expected), "{view} {words}: {modes:?}");
            assert_eq!(tracer.interrupt().code(), 0, "{view} {words}");
        }
    }
}

/// What two tracers must tell in the same way of the same traffic: each has its own clock readings and kernel programs, so no
/// times, and no order of what happens on several CPUs.
const STABLE: &str = "host,event,cookie,netns,netns_name,pid,comm,uid,cgroup_path,role,family,local,remote,\
    old_state,new_state,reason,closed_by,reset,retransmits";

/// The same of `--raw`.
const RAW: &str =
    "host,cookie,netns,pid,comm,uid,cgroup_path,family,local,remote,old_state,new_state,retransmits";

fn sorted(ended: &Ended) -> Vec<String> {
    let mut lines: Vec<_> = ended.out.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// The counts of the report of all of the time.
fn counted(ended: &Ended) -> Vec<String> {
    let mut reports = ended.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let total = reports.find(|report| report["kind"] == "total").unwrap();
    let table = |name: &str, keys| counts(total[name].as_array().unwrap(), keys, "count");
    let [transitions, reasons] = [("transitions", &["old_state", "new_state"][..]), ("reasons", &["reason"])]
        .map(|(name, keys)| table(name, keys));
    transitions.into_iter().chain(reasons).map(|(what, count)| format!("{what} {count}")).collect()
}

/// Live views tell the same, with and without a sandbox.
#[test]
fn live_views_show_the_same() {
    for view in [
        &format!("log -o json --resets --retransmits --columns {STABLE}"),
        &format!("log -o csv --raw --columns {RAW}"),
        &format!("life -o json --columns {STABLE}"),
        "summary -o json",
    ] {
        let place = Place::new();
        let stable = if view.starts_with("summary") { counted } else { sorted };
        let both = ["", "--no-sandbox"]
            .map(|words| tracer::start(&format!("{view} {words} --buffer 64M --netns {}", place.inum())));
        storm(&[&place], 40, 7);
        churn(&place, 20);
        place.settle();
        let [confined, free] = both.map(|tracer| {
            let ended = tracer.interrupt();
            assert_eq!((ended.code(), tracer::lost(&ended)), (0, 0), "{view}: {}", ended.err);
            stable(&ended)
        });
        assert!(free.len() > 3, "{view}: {free:?}");
        assert_eq!(confined, free, "{view}");
    }
}

/// All that shows a recording.
const VIEWS: [&str; 18] = [
    "log --from @",
    "log -o json --from @",
    "log -o csv --from @",
    "log --raw --from @",
    "life --from @",
    "life -o json --from @",
    "life -o csv --from @",
    "summary --from @",
    "summary -o json --by container --from @",
    "list -tan --from @",
    "diff @ @",
    "diff -o json @ @",
    "export @ --format jsonl --to -",
    "export @ --format csv --to -",
    "export --life @ --format csv --to -",
    "recording info @",
    "recording info -o json @",
    "recording verify @",
];

/// A replay in a folder of its own reads nothing else, and shows the same as one without a sandbox.
#[test]
fn replays_show_the_same() {
    let (place, folder) = (Place::new(), tempfile::tempdir().unwrap());
    let recording = folder.path().join("one.rec");
    let tracer = tracer::start(&format!("record {} --netns {}", recording.display(), place.inum()));
    churn(&place, 20);
    place.settle();
    assert_eq!(tracer.interrupt().code(), 0);
    let elsewhere = tempfile::tempdir().unwrap();
    symlink(&recording, elsewhere.path().join("link.rec")).unwrap();
    // `@` is the recording.
    let shown = |from: &Path, words: &str| {
        let words = words.replace('@', &from.display().to_string());
        let ended = tracer::run(&words);
        assert_eq!(ended.code(), 0, "{words}: {}", ended.err);
        assert!(!ended.err.contains("given up"), "{words}: {}", ended.err);
        ended.out
    };
    for view in VIEWS {
        let expected = shown(&recording, &format!("{view} --no-sandbox"));
        assert!(expected.len() > 50, "{view}: {expected}");
        for from in [&recording, &elsewhere.path().join("link.rec")] {
            // What names the file names another one.
            let from_name =
                |text: &str| text.replace(&from.display().to_string(), &recording.display().to_string());
            assert_eq!(from_name(&shown(from, view)), expected, "{view}");
        }
    }
    // Files are written in folders that are named.
    let receipt = elsewhere.path().join("receipt.json");
    shown(&recording, &format!("life --from @ --receipt {}", receipt.display()));
    assert!(fs::read_to_string(&receipt).unwrap().contains("\"seen\""));
    for (words, made) in [
        (format!("export {} --format parquet --to {}", recording.display(), elsewhere.path().display()), 1),
        (format!("recording cut {} --to {}/cut.rec", recording.display(), elsewhere.path().display()), 2),
    ] {
        let ended = tracer::run(&words);
        assert_eq!(ended.code(), 0, "{words}: {}", ended.err);
        let files = fs::read_dir(elsewhere.path()).unwrap().count();
        assert_eq!(files, 2 + made, "{words}");
    }
}

#[test]
fn check_tells() {
    let ended = tracer::run("check");
    let line = ended.out.lines().find(|line| line.contains(" sandbox ")).unwrap();
    assert!(line.contains("system calls are given up (seccomp), and files"), "{line}");
    let child = spawn(tracer::command("check --no-sandbox").stdout(Stdio::null()).stderr(Stdio::null()));
    assert!(child.unwrap().wait().unwrap().success());
}
