//! Process names with control characters and delimiters do no harm in any output format.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};

use tests::{
    event::parse,
    patience::until,
    place::Place,
    program::Program,
    tracer,
    traffic::{actor, connect, listen, wait_for_end},
};

/// Names of processes, and how JSON has them.
const NAMES: [(&[u8], &str); 8] = [
    (b"\x1b[2J\x1b]0;x\x07", "\x1b[2J\x1b]0;x\x07"),
    (b"a\nb\",c,\"d\r\te", "a\nb\",c,\"d\r\te"),
    ("\u{9b}31m\u{202e}ab".as_bytes(), "\u{9b}31m\u{202e}ab"),
    (b"=cmd|'\\x'!A", "=cmd|'\\\\x'!A"),
    // Fillers, blanks and marks that are not seen.
    ("\u{3164}\u{115f}\u{2800}\u{fe0f}".as_bytes(), "\u{3164}\u{115f}\u{2800}\u{fe0f}"),
    ("\u{34f}\u{17b4}\u{fff9}\u{a0}".as_bytes(), "\u{34f}\u{17b4}\u{fff9}\u{a0}"),
    // These two, and what looks like one of them.
    (b"a\xff", "a\\xff"),
    (b"a\xfe", "a\\xfe"),
];

/// Runs tracer with `arguments` while a process of each name connects. Returns its output.
fn printed(arguments: &str) -> String {
    let place = Place::new();
    let listener = place.run(|| listen([127, 77, 4, 1].into(), 0));
    let to = listener.local_addr().unwrap();
    let tracer = tracer::start(&format!("--raw --netns {} {arguments}", place.name()));
    for (name, _) in NAMES {
        let mut command = place.command(actor());
        command.arg("name").arg(OsStr::from_bytes(name));
        let process = Program::collect(command.args(["127.77.4.1", &to.port().to_string()]));
        wait_for_end(&mut listener.accept().unwrap().0);
        process.wait();
    }
    // One more connection, so that the lines of the others are known to be complete.
    drop(place.run(|| connect(to)).unwrap());
    until("the last connection", || {
        (tracer.out().matches("SYN_SENT").count() > 2 * NAMES.len()).then_some(())
    });
    tracer.interrupt().out
}

fn assert_tame(out: &str) {
    let unseen = "\u{3164}\u{115f}\u{2800}\u{fe0f}\u{34f}\u{17b4}\u{fff9}\u{a0}";
    let is_hostile = |c| ('\u{202a}'..='\u{202e}').contains(&c) || unseen.contains(c);
    let hostile = |c: char| c != '\n' && (c.is_control() || is_hostile(c));
    assert!(!out.contains(hostile), "{out:?}");
}

#[test]
fn text_keeps_its_lines() {
    let out = printed("--columns time,comm,local,remote,old_state,new_state");
    assert_tame(&out);
    let last = |line: &str| line.trim_end().ends_with(|c: char| c.is_ascii_uppercase() || c.is_ascii_digit());
    assert!(out.lines().all(last), "{out}");
    assert!(out.contains("\\x1b[2J\\x1b]0;x\\x07") && out.contains("a\\nb\",c,\"d\\r\\te"), "{out}");
}

#[test]
fn json_says_it_exactly() {
    let out = printed("-o json");
    assert_tame(&out);
    let comms: Vec<_> = parse(&out).into_iter().filter_map(|event| event.comm).collect();
    for (_, name) in NAMES {
        assert!(comms.iter().any(|comm| comm == name), "{name:?} in {comms:?}");
    }
}

#[test]
fn csv_keeps_its_lines_and_columns() {
    let out = printed("-o csv");
    assert_tame(&out);
    let mut reader = csv::Reader::from_reader(out.as_bytes());
    let comm = reader.headers().unwrap().iter().position(|key| key == "comm").unwrap();
    let rows: Vec<_> = reader.records().map(|row| row.expect("as many columns as the header")).collect();
    assert_eq!(rows.len() + 1, out.lines().count(), "a row is a line");
    assert!(rows.iter().any(|row| &row[comm] == "a\\nb\",c,\"d\\r\\te"), "{out}");
}
