//! `tracer recording`, as users type it: it needs no privileges.

// A panic is how a test says that it failed.
#![allow(clippy::unwrap_used, clippy::panic)]

mod made;

use std::{
    collections::HashSet,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;
use tracer::{
    facts::Fact,
    recording::{encoder::Encoder, header::Header},
};

use made::{BEGIN, Piece, WEB, blocks, bytes, clock, end, events, header, pieces};

/// Cookies of connections that a copy must not have. MessagePack has numbers that large as eight bytes.
const OTHERS: u64 = 0x7e7e_7e7e_0000_0000;

fn tracer(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tracer")).args(words).env("TZ", "UTC").output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A folder with a file in it.
fn file(bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("host.rec");
    fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn info(path: &Path) -> Value {
    let output = tracer(&["recording", "info", "-o", "json", path.to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn verify(path: &Path) -> (Option<i32>, String) {
    let output = tracer(&["recording", "verify", path.to_str().unwrap()]);
    (output.status.code(), text(&output.stdout))
}

#[test]
fn info_tells_what_is_in_it() {
    let mut header = header();
    header.filter.ports =
        tracer::filter::PerEnd::new(vec!["443".parse().unwrap(), "5432".parse().unwrap()], vec![], vec![]);
    header.kernel.hooks.used = vec!["inet_twsk_kill".into()];
    let all = bytes(&header, &pieces());
    let (_folder, path) = file(&all);
    let object = info(&path);
    let expected: [(&str, Value); 14] = [
        ("host", "canary-host".into()),
        ("release", "6.12.0".into()),
        ("filter", "--port 443,5432".into()),
        ("from", "2026-01-01T00:00:00.000000000Z".into()),
        ("until", "2026-01-01T00:00:02.000000000Z".into()),
        ("span_ns", 2_000_000_000_u64.into()),
        ("events", 12.into()),
        ("transitions", 11.into()),
        ("lost", 0.into()),
        ("bytes", all.len().into()),
        ("has_end", true.into()),
        ("verdict", "whole".into()),
        ("version", 1.into()),
        ("raw", false.into()),
    ];
    for (key, value) in expected {
        assert_eq!(object[key], value, "{key}: {object}");
    }
    assert_eq!(object["hooks"], serde_json::json!(["inet_twsk_kill"]));
    let kinds = object["kinds"].as_object().unwrap();
    let bytes: u64 = kinds.values().map(|kind| kind["bytes"].as_u64().unwrap()).sum();
    assert_eq!(object["unpacked_bytes"], bytes, "{object}");
    assert_eq!(kinds["events"]["entries"], 5, "{object}");
    let shown = tracer(&["recording", "info", path.to_str().unwrap()]);
    let shown = text(&shown.stdout);
    let lines = [
        "host       canary-host (Linux 6.12.0, x86_64, 4 CPUs",
        "filter     --port 443,5432",
        "from       2026-01-01 00:00:00.000 +00:00",
        "until      2026-01-01 00:00:02.000 +00:00 (2.00s)",
        "events     12: 11 transitions, 1 others",
        "damage     none",
        "its end    yes",
    ];
    for line in lines {
        assert!(shown.contains(line), "{line}:\n{shown}");
    }
}

#[test]
fn verify_knows_damage_from_growth() {
    let made = blocks(&mut Encoder::default(), &header(), &pieces());
    let whole = made.concat();
    let (_folder, path) = file(&whole);
    assert_eq!(verify(&path).0, Some(0));
    assert!(verify(&path).1.ends_with(": whole: 12 events in 8 blocks\n"), "{:?}", verify(&path));

    // At any moment while it is being written.
    let headers = made[0].len() + made[1].len();
    for len in (headers..whole.len()).step_by(17) {
        fs::write(&path, &whole[..len]).unwrap();
        let (status, said) = verify(&path);
        assert_eq!(status, Some(0), "{len} bytes: {said}");
        assert!(said.contains("whole so far") && said.contains("still being written"), "{said}");
    }

    let mut damaged = whole.clone();
    let at = headers + made[2].len() + 60;
    damaged[at] ^= 1;
    fs::write(&path, &damaged).unwrap();
    let (status, said) = verify(&path);
    assert_eq!(status, Some(3), "{said}");
    let place = format!("{} bytes at byte {} are damaged", made[3].len(), headers + made[2].len());
    assert!(said.contains(&place) && said.contains("5 events are missing there"), "{said}");
    assert_eq!(info(&path)["missing_events"], 5);
    // Only `verify` says it by its status.
    assert!(tracer(&["recording", "info", path.to_str().unwrap()]).status.success());

    // A block that somebody has taken out leaves no trace but its number.
    fs::write(&path, [&whole[..headers], &made[3..].concat()].concat()).unwrap();
    assert_eq!(verify(&path).0, Some(3));
    // What is behind the end does not belong there.
    fs::write(&path, [&whole[..], &whole[..20]].concat()).unwrap();
    assert_eq!(verify(&path).0, Some(3));
    // The last block is all there, and damaged: it is not still being written.
    let mut damaged = whole.clone();
    *damaged.last_mut().unwrap() ^= 1;
    fs::write(&path, &damaged).unwrap();
    assert_eq!(verify(&path).0, Some(3));
}

#[test]
fn verify_looks_into_blocks() {
    let odd = tracer_common::Event { family: 77, ..WEB.client(20, 1, 8) };
    let (_folder, path) =
        file(&bytes(&header(), &[clock(), Piece::Fact(Fact::Ready(BEGIN)), events(vec![odd]), end()]));
    let (status, said) = verify(&path);
    assert_eq!(status, Some(3), "{said}");
    assert!(said.contains("1 event cannot be"), "{said}");
}

#[test]
fn strict_replays_of_damage_end_with_3() {
    let made = blocks(&mut Encoder::default(), &header(), &pieces());
    let mut damaged = made.concat();
    damaged[made[0].len() + made[1].len() + made[2].len() + 60] ^= 1;
    let (_folder, path) = file(&damaged);
    let path = path.to_str().unwrap();
    let output = tracer(&["log", "--strict", "--from", path]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("bytes at byte") && said.contains("lost 5"), "{said}");
    assert!(tracer(&["log", "--from", path]).status.success());
    fs::write(path, made[..6].concat()).unwrap();
    let output = tracer(&["log", "--strict", "--from", path]);
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("the recording has no end"), "{output:?}");
}

#[test]
fn what_is_no_recording_is_said() {
    let newer = || {
        let mut newer = bytes(&header(), &pieces());
        newer[8] = 9;
        let crc = crc32c::crc32c(&newer[..44]);
        newer[44..48].copy_from_slice(&crc.to_le_bytes());
        newer
    };
    let cases: [(Vec<u8>, &str); 4] = [
        (Vec::new(), "empty"),
        (b"time,cookie\n1,2\n".to_vec(), "not a recording"),
        (bytes(&header(), &[])[..30].to_vec(), "cut off before its header"),
        (newer(), "update tracer"),
    ];
    for (bytes, expected) in cases {
        let (_folder, path) = file(&bytes);
        for command in ["info", "verify"] {
            let output = tracer(&["recording", command, path.to_str().unwrap()]);
            let said = text(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{said}");
            assert!(said.contains("host.rec: ") && said.contains(expected), "{said}");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let output = tracer(&["recording", "info", folder.path().to_str().unwrap()]);
    assert!(text(&output.stderr).contains("directory"), "{output:?}");
    let output = tracer(&["recording", "info", folder.path().join("none").to_str().unwrap()]);
    assert!(text(&output.stderr).contains("No such file"), "{output:?}");
    assert_eq!(tracer(&["recording", "verify"]).status.code(), Some(2));
}

/// Anybody may have written it.
#[test]
fn hostile_names_are_escaped() {
    let hostile = Header { host: "\x1b[2Jevil\nforged: line".to_owned(), ..header() };
    let (_folder, path) = file(&bytes(&hostile, &pieces()));
    let shown = text(&tracer(&["recording", "info", path.to_str().unwrap()]).stdout);
    assert!(!shown.contains('\x1b') && !shown.contains("\nforged"), "{shown}");
    assert!(shown.contains("evil"), "{shown}");
}

#[test]
fn it_comes_from_standard_input_too() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tracer"))
        .args(["recording", "verify", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&bytes(&header(), &pieces())).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert!(text(&output.stdout).starts_with("standard input: whole"), "{output:?}");
}

/// Two connections, and a checkpoint from an earlier part.
fn two() -> Vec<u8> {
    let old = made::DATABASE.client(0, 2, 1);
    let old = tracer_common::Event { cookie: 999, remote_port: 5433, ..old };
    let first = [Piece::Fact(made::checkpoint(&[old, WEB.client(1, 7, 2)], 2))];
    bytes(&header(), &first.into_iter().chain(pieces()).collect::<Vec<_>>())
}

/// All that is in it, unpacked.
fn unpacked(path: &Path) -> Vec<u8> {
    let bytes = fs::read(path).unwrap();
    let mut all = bytes.clone();
    let mut at = 0;
    while let Some(head) = tracer::recording::block::head(&bytes[at..]) {
        let body = &bytes[at + 48..at + head.block_len()];
        all.extend(tracer::recording::block::Unpacker::default().unpack(&head, body).unwrap());
        at += head.block_len();
    }
    assert_eq!(at, bytes.len());
    all
}

fn has(all: &[u8], what: &[u8]) -> bool {
    all.windows(what.len()).any(|bytes| bytes == what)
}

/// The lines of a recording.
fn log(path: &Path, words: &[&str]) -> Vec<String> {
    let words = [&["log", "-o", "csv"], words, &["--from", path.to_str().unwrap()]].concat();
    let output = tracer(&words);
    assert!(output.status.success(), "{output:?}");
    text(&output.stdout).lines().map(str::to_owned).collect()
}

fn made_copy(words: &[&str], from: &Path) -> PathBuf {
    let to = from.with_extension(format!("copy-{}", words.join("").replace('/', "_")));
    let words = [&["recording"], words, &[from.to_str().unwrap(), "--to", to.to_str().unwrap()]].concat();
    let output = tracer(&words);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(verify(&to).0, Some(0), "{:?}", verify(&to));
    to
}

/// Names and addresses that only the other connection has.
fn canaries() -> [Vec<u8>; 5] {
    let canaries = [&b"canary-client"[..], b"/canary.slice", b"canary-client\0\0\0"].map(<[u8]>::to_vec);
    let [one, other, padded] = canaries;
    [one, other, padded, made::address(77).to_vec(), [10, 99, 0, 77].to_vec()]
}

#[test]
fn a_filtered_copy_has_nothing_of_others() {
    let (_folder, path) = file(&two());
    let whole = unpacked(&path);
    for canary in canaries() {
        assert!(has(&whole, &canary), "{canary:?}");
    }
    let copy = made_copy(&["cut", "--port", "443"], &path);
    let all = unpacked(&copy);
    for canary in canaries() {
        assert!(!has(&all, &canary), "{canary:?}");
    }
    assert_eq!(log(&copy, &[]), log(&path, &["--port", "443"]));
    assert!(log(&copy, &[]).len() > 5);
    assert_eq!(info(&copy)["filter"], "--port 443");
    let wider = tracer(&["log", "--port", "5432", "--from", copy.to_str().unwrap()]);
    assert_eq!(wider.status.code(), Some(2), "{wider:?}");
}

#[test]
fn a_copy_that_is_cut_by_time_goes_on_as_the_whole_does() {
    let (_folder, path) = file(&bytes(&header(), &pieces()));
    let all = log(&path, &[]);
    let times: Vec<&str> = all.iter().skip(1).map(|line| line.split(',').next().unwrap()).collect();
    for ms in (0..1500).step_by(50) {
        let since = format!("2026-01-01T00:00:{:02}.{:03}Z", ms / 1000, ms % 1000);
        let copy = made_copy(&["cut", "--since", &since], &path);
        let expected = all.iter().take(1).chain(
            all.iter()
                .skip(1)
                .zip(&times)
                .filter(|(_, time)| time[..23] >= since[..23])
                .map(|(line, _)| line),
        );
        assert_eq!(log(&copy, &[]), expected.cloned().collect::<Vec<_>>(), "{since}");
        let until = made_copy(&["cut", "--until", &since], &path);
        assert!(all.starts_with(&log(&until, &[])), "{since}");
    }
    let last = made_copy(&["cut", "--since", "-1s"], &path);
    assert_eq!(info(&last)["from"], "2026-01-01T00:00:01.000000000Z");
    let nothing = tracer(&[
        "recording",
        "cut",
        path.to_str().unwrap(),
        "--since",
        "2027-01-01T00:00:00Z",
        "--to",
        "/dev/null",
    ]);
    assert_eq!(nothing.status.code(), Some(1), "{nothing:?}");
}

#[test]
fn parts_become_one() {
    let mut encoder = Encoder::default();
    let before = WEB.conversation(10);
    let first = [clock(), Piece::Fact(Fact::Ready(BEGIN)), events(before.clone())];
    let second = [
        clock(),
        Piece::Fact(made::checkpoint(&before, 600)),
        Piece::Fact(Fact::Ready(BEGIN + 600 * made::MS)),
        events(made::DATABASE.conversation(700)),
        end(),
    ];
    let (folder, one) = file(&blocks(&mut encoder, &header(), &first).concat());
    let other = folder.path().join("other.rec");
    fs::write(&other, blocks(&mut encoder, &Header { part: 1, ..header() }, &second).concat()).unwrap();
    let to = folder.path().join("all.rec");
    let paths = [&other, &one, &to].map(|path| path.to_str().unwrap());
    let output = tracer(&["recording", "merge", paths[0], paths[1], "--to", paths[2]]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(verify(&to).0, Some(0), "{:?}", verify(&to));
    let both = tracer(&["log", "-o", "csv", "--from", paths[0], paths[1]]);
    assert_eq!(log(&to, &[]), text(&both.stdout).lines().collect::<Vec<_>>());
    assert_eq!(info(&to)["events"], 10);
    // It is never written over.
    assert_eq!(tracer(&["recording", "merge", paths[0], "--to", paths[1]]).status.code(), Some(1));
    assert_eq!(info(&one)["events"], 5);
}

/// What a filter left out of one recording is not missing in the other.
#[test]
fn recordings_with_other_filters_are_not_shown_together() {
    let mut of_port = header();
    of_port.filter.ports = tracer::filter::PerEnd::new(vec!["443".parse().unwrap()], vec![], vec![]);
    let raw = || Header { has_stories: false, ..header() };
    let folder = tempfile::tempdir().unwrap();
    let [before, after] = ["before.rec", "after.rec"].map(|name| folder.path().join(name));
    let write = |path: &Path, header: &Header, from_ms: u64| {
        let ready = Piece::Fact(Fact::Ready(BEGIN + from_ms * made::MS));
        let pieces = [clock(), ready, events(WEB.conversation(from_ms + 10)), end()];
        fs::write(path, bytes(header, &pieces)).unwrap();
    };
    let show = |view: &[&str]| {
        let paths = [after.to_str().unwrap(), before.to_str().unwrap()];
        tracer(&[view, &["--from"], &paths].concat())
    };
    let later = |header: Header| {
        let begun_ns = header.begun_ns + 600 * i64::try_from(made::MS).unwrap();
        Header { id: 8, begun_ns, ..header }
    };
    for (one, other) in
        [(of_port.clone(), header()), (header(), of_port.clone()), (raw(), header()), (header(), raw())]
    {
        write(&before, &one, 0);
        write(&after, &later(other), 600);
        for view in [&["log", "--raw"][..], &["log"], &["life"], &["summary"]] {
            let output = show(view);
            let said = text(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{view:?}: {said}");
            let refused = format!("{}: it was recorded with other filters, or --raw", after.display());
            assert!(said.contains(&refused), "{view:?}: {said}");
        }
    }
    // With the same ones they are.
    write(&before, &of_port, 0);
    write(&after, &later(of_port), 600);
    let output = show(&["log", "-o", "csv"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(text(&output.stdout).lines().count(), 1 + 2 * WEB.conversation(0).len(), "{output:?}");
}

#[test]
fn an_anonymous_copy_has_the_same_story_without_names() {
    let (folder, path) = file(&two());
    let key = folder.path().join("key");
    fs::write(&key, "sixteen bytes are enough").unwrap();
    let copy = made_copy(&["anonymize", "--key", key.to_str().unwrap()], &path);
    let all = unpacked(&copy);
    let names = ["canary", "curl", "nginx", "worker", "eth0", "web.service", "00112233445566778899"];
    let mut secrets: Vec<Vec<u8>> = names.map(|name| name.as_bytes().to_vec()).into();
    secrets.extend(canaries());
    secrets.extend([1, 2, 3, 9].map(|last| made::address(last).to_vec()));
    for secret in secrets {
        assert!(has(&unpacked(&path), &secret), "{secret:?}");
        assert!(!has(&all, &secret), "{secret:?}");
    }
    let columns = "--columns=time,local_port,remote_port,pid,owner,old_state,new_state,state_us,reason,role";
    assert_eq!(log(&copy, &[columns]), log(&path, &[columns]));
    let again = folder.path().join("again.rec");
    fs::copy(&path, &again).unwrap();
    let again = made_copy(&["anonymize", "--key", key.to_str().unwrap()], &again);
    assert_eq!(log(&again, &[]), log(&copy, &[]));
    fs::write(&key, "short").unwrap();
    let words = [
        "recording",
        "anonymize",
        "--key",
        key.to_str().unwrap(),
        path.to_str().unwrap(),
        "--to",
        "/dev/null",
    ];
    let output = tracer(&words);
    assert!(text(&output.stderr).contains("could be guessed"), "{output:?}");
}

/// A part of which a filter keeps one of thousands of connections: that one stands alone, and nothing is left of others.
#[test]
fn a_filtered_copy_of_a_later_part_has_one_connection_and_its_beginning() {
    let other = |number: u64| {
        let mut events = WEB.conversation(10);
        events.truncate(if number.is_multiple_of(2) { 2 } else { 5 });
        for event in &mut events {
            event.cookie = OTHERS + number;
        }
        events
    };
    let kept = made::DATABASE.closed_by_peer(500);
    let mut before: Vec<_> = (0..3000).flat_map(other).collect();
    before.extend(&kept[..2]);
    before.sort_by_key(|event| event.time_ns);
    let pieces = [
        clock(),
        Piece::Fact(made::checkpoint(&before, 700)),
        Piece::Fact(Fact::Ready(BEGIN + 700 * made::MS)),
        events(kept[2..].to_vec()),
        end(),
    ];
    let (_folder, path) = file(&bytes(&Header { part: 7, ..header() }, &pieces));
    let copy = made_copy(&["cut", "--port", "5432"], &path);
    let lines = |path: &Path| {
        let output = tracer(&["life", "-o", "csv", "--port", "5432", "--from", path.to_str().unwrap()]);
        text(&output.stdout)
    };
    assert_eq!(lines(&copy), lines(&path));
    assert_eq!(lines(&copy).lines().count(), 2);
    let checkpoint = info(&copy)["kinds"]["checkpoints"]["bytes"].as_u64().unwrap();
    assert!(checkpoint < 100_000, "{checkpoint}");
    let all = unpacked(&copy);
    let others: HashSet<_> = (0..3000).map(|number| (OTHERS + number).to_be_bytes()).collect();
    assert_eq!(
        all.windows(8)
            .filter(|bytes| bytes.first_chunk().is_some_and(|bytes| others.contains(bytes)))
            .count(),
        0
    );
}
