//! A part of a recording: what is shown from one moment to another. It needs no privileges.

// A panic is how a test says that it failed.
#![allow(clippy::unwrap_used)]

mod made;

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use jiff::Timestamp;
use serde_json::Value;
use tempfile::TempDir;
use tracer::{
    facts::{Batch, Fact},
    time::clock::Anchor,
};
use tracer_common::state::{CLOSE, CLOSE_WAIT, ESTABLISHED, SYN_SENT};

use made::{BEGIN, DATABASE, MS, Piece, SECOND, WALL, WEB, bytes, clock, end, events, header, pieces, until};

fn tracer(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tracer"));
    command.args(words).env("TZ", "UTC");
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A folder with a recording in it.
fn file(pieces: &[Piece]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("host.rec");
    fs::write(&path, bytes(&header(), pieces)).unwrap();
    (folder, path)
}

/// Runs a view on a recording.
fn view(words: &[&str], path: &Path) -> Output {
    tracer(&[words, &["--from", path.to_str().unwrap()]].concat()).output().unwrap()
}

fn shown(words: &[&str], path: &Path) -> String {
    let output = view(words, path);
    assert!(output.status.success(), "{words:?}: {output:?}");
    text(&output.stdout)
}

/// The time of a line, in milliseconds from the beginning.
fn time_ns(line: &str) -> i128 {
    let first = line.split([' ', ',']).next().unwrap();
    let at: Timestamp = first.parse().unwrap();
    at.as_nanosecond() - i128::from(WALL)
}

/// The lines between two moments, in nanoseconds from the beginning.
fn between(lines: &str, since_ns: i128, until_ns: i128) -> Vec<&str> {
    lines.lines().skip(1).filter(|line| (since_ns..=until_ns).contains(&time_ns(line))).collect()
}

fn moment(at_ns: i128) -> String {
    Timestamp::from_nanosecond(i128::from(WALL) + at_ns).unwrap().to_string()
}

/// Connections that begin, wait and end on both sides of any moment. One is stuck.
fn mixed() -> Vec<Piece> {
    let mut pieces = pieces();
    pieces.truncate(pieces.len() - 4);
    let stuck = made::Pair { number: 50, ..DATABASE };
    let steps = [(1100, CLOSE, SYN_SENT), (1101, SYN_SENT, ESTABLISHED), (1200, ESTABLISHED, CLOSE_WAIT)];
    pieces.push(events(steps.map(|(at, old, new)| stuck.client(at + 500, old, new)).into()));
    pieces.push(until(4000));
    pieces.push(events(made::Pair { number: 51, ..WEB }.closed_by_peer(4100)));
    pieces.extend([until(5000), end()]);
    pieces
}

const COLUMNS: &str =
    "time,cookie,event,old_state,new_state,state_us,pid,comm,owner,role,reason,local_port,cgroup_path";

/// What is shown between two moments are the lines of the whole whose time is between them.
#[test]
fn lines_are_those_of_the_whole() {
    let (_folder, path) = file(&mixed());
    let csv = ["-o", "csv", "--columns", COLUMNS];
    let views: [Vec<&str>; 4] = [
        [&["log"][..], &csv].concat(),
        [
            &["log", "--stuck", "CLOSE_WAIT=500ms", "--remote-port", "443,5432", "--comm", "curl,canary*"],
            &csv[..],
        ]
        .concat(),
        [&["life"][..], &csv].concat(),
        [&["log", "--raw", "-o", "csv", "--columns", "time,pid,old_state,new_state"][..]].concat(),
    ];
    for words in &views {
        let whole = shown(words, &path);
        let mut moments: Vec<i128> = whole.lines().skip(1).map(time_ns).collect();
        assert!(moments.len() > 1, "{words:?}: {whole}");
        moments.extend([0, 1_000_000_000, i128::from(SECOND) * 5]);
        moments.sort_unstable();
        moments.dedup();
        for since in moments.iter().step_by(2) {
            for until in moments.iter().filter(|until| *until >= since).step_by(3) {
                let (from, to) = (moment(*since), moment(*until));
                let span = [&words[..], &["--since", &from, "--until", &to]].concat();
                let part = shown(&span, &path);
                assert_eq!(part.lines().next(), whole.lines().next());
                let lines: Vec<_> = part.lines().skip(1).collect();
                assert_eq!(lines, between(&whole, *since, *until), "{span:?}");
            }
        }
    }
    let stuck = shown(&views[1], &path);
    assert!(stuck.contains(",stuck,"), "{stuck}");
}

/// The receipt counts what is not in it as filtered.
#[test]
fn the_rest_is_filtered() {
    let (_folder, path) = file(&mixed());
    let receipt = |words: &[&str]| {
        let output = view(words, &path);
        let said = text(&output.stderr);
        said.lines().find_map(|line| line.strip_prefix("tracer: seen ").map(str::to_owned)).unwrap()
    };
    assert_eq!(receipt(&["log"]), "19, shown 19, filtered 0, lost 0");
    assert_eq!(receipt(&["log", "--since", "+4s"]), "19, shown 5, filtered 14, lost 0");
    assert_eq!(receipt(&["log", "--until", "+1s"]), "19, shown 7, filtered 12, lost 0");
    assert_eq!(receipt(&["log", "--since", "+4s", "--count", "1"]).split(", ").nth(1), Some("shown 1"));
}

/// A copy of the part shows the same.
#[test]
fn it_is_what_a_copy_shows() {
    let (folder, path) = file(&mixed());
    let to = folder.path().join("part.rec");
    for span in [["--since", "+420ms", "--until", "+1s700ms"], ["--since", "00:00:01", "--until", "-500ms"]] {
        let cut = [&["recording", "cut", path.to_str().unwrap(), "--to", to.to_str().unwrap()], &span[..]];
        assert!(tracer(&cut.concat()).output().unwrap().status.success());
        let words = ["log", "-o", "csv", "--columns", COLUMNS];
        let lines = shown(&[&words[..], &span].concat(), &path);
        assert!(lines.lines().count() > 5, "{lines}");
        assert_eq!(lines, shown(&words, &to), "{span:?}");
        fs::remove_file(&to).unwrap();
    }
}

/// A summary counts what is in it, in intervals from its beginning on, and tells the sockets of its end.
#[test]
fn a_summary_is_about_the_part() {
    let (_folder, path) = file(&mixed());
    let words = ["summary", "-o", "json", "--interval", "250ms", "--since", "+900ms", "--until", "+1800ms"];
    let reports = shown(&words, &path);
    let reports: Vec<Value> = reports.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ends = |report: &Value| (report["from"].clone(), report["to"].clone());
    assert_eq!(reports.len(), 5, "{reports:?}");
    let time = |ms: &str| Value::from(format!("2026-01-01T00:00:{ms}0000000Z"));
    assert_eq!(ends(&reports[0]), (time("00.90"), time("01.15")));
    assert_eq!(ends(&reports[4]), (time("00.90"), time("01.80")));
    let whole = shown(&["summary", "-o", "json"], &path);
    let whole: Value = serde_json::from_str(whole.lines().last().unwrap()).unwrap();
    let transitions = |report: &Value| -> u64 {
        let counts = report["transitions"].as_array().unwrap().iter();
        counts.map(|transition| transition["count"].as_u64().unwrap()).sum()
    };
    let sum: u64 = reports[..4].iter().map(transitions).sum();
    assert_eq!((sum, transitions(&reports[4])), (8, 8), "{reports:?}");
    assert!(transitions(&whole) > 8, "{whole}");
}

/// An export has the rows of the part.
#[test]
fn an_export_is_of_the_part() {
    let (_folder, path) = file(&mixed());
    let words = ["export", path.to_str().unwrap(), "--format", "csv", "--columns", COLUMNS, "--to", "-"];
    let all = text(&tracer(&words).output().unwrap().stdout);
    let part = [&words[..], &["--since", "+1s", "--until", "+1700ms"]].concat();
    let part = text(&tracer(&part).output().unwrap().stdout);
    let expected = between(&all, 1_000_000_000, 1_700_000_000);
    assert!(expected.len() > 5);
    assert_eq!(part.lines().skip(1).collect::<Vec<_>>(), expected);
}

/// Standard input has no end yet; everything else works there, too.
#[test]
fn of_a_stream_too() {
    let (_folder, path) = file(&mixed());
    let piped = |span: &[&str]| {
        let words = [&["log", "-o", "csv", "--columns", COLUMNS, "--from", "-"], span].concat();
        tracer(&words).stdin(Stdio::from(File::open(&path).unwrap())).output().unwrap()
    };
    let words = ["log", "-o", "csv", "--columns", COLUMNS];
    for span in
        [["--since", "+1s", "--until", "+2s"], ["--since", "00:00:01", "--until", "2026-01-01T00:00:04Z"]]
    {
        let expected = shown(&[&words[..], &span].concat(), &path);
        assert!(expected.lines().count() > 5, "{expected}");
        assert_eq!(text(&piped(&span).stdout), expected, "{span:?}");
    }
    for refused in [piped(&["--until", "-1s"]), view(&["log", "--follow", "--since", "-1s"], &path)] {
        assert_eq!(refused.status.code(), Some(2), "{refused:?}");
        assert!(text(&refused.stderr).contains("have no end yet"), "{refused:?}");
    }
    let live = tracer(&["log", "--since", "-5m"]).output().unwrap();
    assert_eq!(live.status.code(), Some(2));
    assert!(text(&live.stderr).contains("give one with --from"), "{live:?}");
}

#[test]
fn moments_beside_it_are_refused() {
    let (_folder, path) = file(&mixed());
    for span in [["--since", "2026-01-01T00:00:06Z"], ["--until", "2025-12-31T23:00:00Z"]] {
        let refused = view(&[&["life"], &span[..]].concat(), &path);
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        let says = "host.rec at that time: it is from 2026-01-01T00:00:00Z to 2026-01-01T00:00:05Z";
        assert!(text(&refused.stderr).contains(says), "{refused:?}");
    }
    let wrong = view(&["life", "--since", "yesterday"], &path);
    assert_eq!(wrong.status.code(), Some(2));
}

/// A writer that is killed while it begins a part leaves one without a header.
#[test]
fn a_part_that_has_not_begun_is_passed_over() {
    let (folder, path) = file(&mixed());
    let begun = folder.path().join("host.rec.1");
    fs::write(&begun, []).unwrap();
    for words in [&["life"][..], &["summary"], &["list", "-a"]] {
        let span = if words[0] == "list" { ["--at", "-1s"] } else { ["--since", "+1s"] };
        let alone = shown(&[words, &span].concat(), &path);
        let both = [words, &span, &["--from", path.to_str().unwrap(), begun.to_str().unwrap()]].concat();
        let both = tracer(&both).output().unwrap();
        assert_eq!((text(&both.stdout), both.status.success()), (alone, true), "{both:?}");
    }
    let refused = view(&["life", "--since", "+1s"], &begun);
    assert!(text(&refused.stderr).contains("nothing has been written to it yet"), "{refused:?}");
}

/// The kernel counts what happens now.
#[test]
fn a_recording_is_not_counted_in_the_kernel() {
    let (_folder, path) = file(&mixed());
    for recorded in ["--from", "--record"] {
        let words = ["summary", "--in-kernel", recorded, path.to_str().unwrap()];
        let refused = tracer(&words).output().unwrap();
        assert_eq!(refused.status.code(), Some(2), "{refused:?}");
        assert!(text(&refused.stderr).contains("cannot be used with"), "{refused:?}");
    }
}

/// When the wall clock was set meanwhile, a moment is one of the clock as it was then.
#[test]
fn the_wall_clock_may_be_set() {
    let hour = 3_600_000_000_000;
    let later = Anchor { monotonic_ns: BEGIN + 2 * SECOND, wall_ns: WALL + 2_000_000_000 + hour };
    let set = [
        clock(),
        Piece::Fact(Fact::Ready(BEGIN)),
        events(WEB.closed_by_peer(10)),
        until(2000),
        Piece::Fact(Fact::Clock(later)),
        events(DATABASE.closed_by_peer(2100)),
        Piece::Fact(Fact::Events(Batch { events: Vec::new(), until_ns: BEGIN + 3000 * MS })),
        end(),
    ];
    let (_folder, path) = file(&set);
    let lines = shown(&["log", "-o", "csv", "--since", "01:00:02.2"], &path);
    assert_eq!(lines.lines().count(), 4, "{lines}");
    assert_eq!(shown(&["log", "-o", "csv", "--until", "00:30"], &path).lines().count(), 6);
}

/// The sockets of a moment: cookie, state, queues, owner, age in milliseconds.
fn sockets(at: &str, words: &[&str], path: &Path) -> Vec<String> {
    let columns = "cookie,state,recv_queue,comm,age_us,age_at_least_us";
    let list = ["list", "-a", "-o", "csv", "--columns", columns, "--at", at];
    let mut lines: Vec<_> =
        shown(&[&list[..], words].concat(), path).lines().skip(1).map(str::to_owned).collect();
    lines.sort();
    lines
}

/// What was there at a moment, as it was then.
#[test]
fn sockets_are_listed_as_they_were() {
    let (_folder, path) = file(&mixed());
    let at = |at: &str| sockets(at, &[], &path);
    let listener = |age: &str| format!("5,LISTEN,,nginx,,{age}.0");
    let old = |queue: &str, age: &str| format!("90,ESTABLISHED,{queue},old,,{age}.0");
    assert_eq!(at("+9ms"), [listener("9000"), old("", "9000")], "as in the snapshot");
    assert_eq!(at("+10ms"), ["20,SYN_SENT,,curl,0.0,0.0".to_owned(), listener("10000"), old("", "10000")]);
    assert_eq!(at("+411ms")[0], "20,FIN_WAIT2,,curl,0.0,0.0");
    assert_eq!(at("00:00:00.5")[0], "20,TIME_WAIT,,curl,40000.0,40000.0");
    assert!(
        at("+1301ms").contains(&"770,CLOSE_WAIT,,canary-client,1000.0,1000.0".to_owned()),
        "{:?}",
        at("+1301ms")
    );
    assert!(!at("+1402ms").iter().any(|line| line.starts_with("770,")), "it has ended");
    assert!(
        at("-0s").contains(&"500,CLOSE_WAIT,,canary-client,3300000.0,3300000.0".to_owned()),
        "{:?}",
        at("-0s")
    );
    // Without --at it is the end.
    let end = shown(&["list", "-an", "-o", "json", "--state", "CLOSE_WAIT"], &path);
    assert_eq!(end.lines().count(), 1, "{end}");
    let end: Value = serde_json::from_str(&end).unwrap();
    assert_eq!(
        (&end["cookie"], &end["remote_port"], &end["recv_queue"]),
        (&500.into(), &5432.into(), &Value::Null)
    );

    let of = |words: &[&str]| sockets("+1301ms", words, &path).len();
    assert_eq!(
        (of(&[]), of(&["--port", "5432"]), of(&["--comm", "canary*"]), of(&["--netns", "1"])),
        (5, 1, 1, 0)
    );
    assert_eq!((of(&["--cgroup", "web.service"]), of(&["--state", "TIME_WAIT"]), of(&["-4"])), (4, 1, 5));
    let by = shown(&["list", "--by", "state", "--at", "+1301ms"], &path);
    assert!(by.contains("CLOSE_WAIT") && !by.contains("FIN_WAIT1"), "{by}");
    let sorted = shown(&["list", "-tan", "--sort", "age_us", "--at", "+1301ms"], &path);
    assert!(sorted.lines().next().unwrap().contains("RECVQ"), "{sorted}");
}

#[test]
fn what_a_recording_has_not_is_not_listed() {
    let (_folder, path) = file(&mixed());
    let cases: [(&[&str], i32, &str); 7] = [
        (&["-u"], 2, "no UDP sockets"),
        (&["-tx"], 2, "no unix sockets"),
        (&["-i"], 2, "no lists of interfaces"),
        (&["-rn"], 2, "no routes"),
        (&["--watch", "1s"], 2, "--watch"),
        (&["--at", "+6s"], 1, "host.rec at that time: it is from"),
        (&["--pid", "1", "--netns", "pid:1"], 2, "of the host that is running"),
    ];
    for (words, status, says) in cases {
        let refused = view(&[&["list"], words].concat(), &path);
        let said = text(&refused.stderr);
        assert!(said.contains(says), "{words:?}: {said}");
        assert_eq!(refused.status.code(), Some(status), "{words:?}: {said}");
    }
    assert_eq!(tracer(&["list", "--at", "+1s"]).output().unwrap().status.code(), Some(2));
    let piped = |at: &[&str]| {
        let words = [&["list", "-tan", "-o", "csv", "--from", "-"], at].concat();
        tracer(&words).stdin(Stdio::from(File::open(&path).unwrap())).output().unwrap()
    };
    assert_eq!(
        text(&piped(&["--at", "+1s"]).stdout),
        shown(&["list", "-tan", "-o", "csv", "--at", "+1s"], &path)
    );
    assert!(text(&piped(&["--at", "-1s"]).stderr).contains("have no end yet"));
    let raw = tracer::recording::header::Header { has_stories: false, ..header() };
    fs::write(&path, bytes(&raw, &mixed())).unwrap();
    assert!(text(&view(&["list"], &path).stderr).contains("recorded with --raw"));
}

/// What the tracer looked up may be told before events that are older than it: only events tell that the end has come.
#[test]
fn the_end_is_that_of_events() {
    let later = |at_ms: u64| Piece::Fact(Fact::Time(BEGIN + at_ms * MS));
    let pieces = [
        clock(),
        Piece::Fact(Fact::Ready(BEGIN)),
        later(600),
        events(WEB.conversation(10)),
        later(700),
        events(DATABASE.conversation(1000)),
        until(3000),
        end(),
    ];
    let (_folder, path) = file(&pieces);
    let words = ["log", "--raw", "-o", "csv", "--columns", "time,remote_port"];
    let whole = shown(&words, &path);
    assert_eq!(whole.lines().count(), 11, "{whole}");
    let part = shown(&[&words[..], &["--duration", "500ms"]].concat(), &path);
    assert_eq!(part.lines().skip(1).collect::<Vec<_>>(), between(&whole, 0, 500 * i128::from(MS)));
    assert_eq!(part.lines().count(), 6, "{part}");
}
