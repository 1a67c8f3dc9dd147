//! Process names with control characters and delimiters do no harm in any output format.

use tests::{
    event::parse,
    patience::until,
    place::Place,
    program::Program,
    tracer,
    traffic::{actor, connect, listen, wait_for_end},
};

const NAMES: [&str; 4] = ["\x1b[2J\x1b]0;x\x07", "a\nb\",c,\"d\r\te", "\u{9b}31m\u{202e}ab", "=cmd|'\\x'!A"];

/// Runs tracer with `arguments` while a process of each name connects. Returns its output.
fn printed(arguments: &str) -> String {
    let place = Place::new();
    let listener = place.run(|| listen([127, 77, 4, 1].into(), 0));
    let to = listener.local_addr().unwrap();
    let tracer = tracer::start(&format!("--raw --netns {} {arguments}", place.name()));
    for name in NAMES {
        let mut command = place.command(actor());
        let process = Program::collect(command.args(["name", name, "127.77.4.1", &to.port().to_string()]));
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
    let hostile = |c: char| c != '\n' && (c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c));
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
    for name in NAMES {
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
