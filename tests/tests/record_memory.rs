//! How long a recording is does not matter for the memory that a replay takes, only how many connections are there at
//! a time.

// A panic is how a test says that it failed.
#![allow(clippy::unwrap_used)]

#[path = "../../tracer/tests/made/mod.rs"]
mod made;

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    path::Path,
    process::Stdio,
};

use ::tracer::{
    facts::{Batch, Fact},
    recording::encoder::Encoder,
};
use made::{BEGIN, Piece, WEB, clock, end, header};
use tests::{program::spawn, tracer};
use tracer_common::{
    Event,
    state::{CLOSE, CLOSE_WAIT, ESTABLISHED, LAST_ACK, SYN_SENT},
};

/// Connections that are there at a time.
const LIVE: usize = 1000;

/// The life of a connection.
const STATES: [u8; 6] = [CLOSE, SYN_SENT, ESTABLISHED, CLOSE_WAIT, LAST_ACK, CLOSE];

/// Events in each fact, as many as are taken from the kernel at once.
const BATCH: usize = 4096;

/// Nanoseconds from an event to the next.
const STEP_NS: u64 = 10_000;

/// How much more a longer recording may take. A table that is just about to grow is much smaller than one that has.
const MOST_MORE: i64 = 4 << 10;

/// The event of this number: connections take turns, and each one that has ended is followed by another one.
fn event(number: usize) -> Event {
    let (turn, place) = (number / LIVE, number % LIVE);
    let (life, step) = (turn / (STATES.len() - 1), turn % (STATES.len() - 1));
    let connection = life * LIVE + place;
    Event {
        time_ns: BEGIN + STEP_NS * number as u64,
        cookie: 1 + connection as u64,
        local_port: 20_000 + u16::try_from(connection % 40_000).unwrap(),
        pid: 1000 + u32::try_from(place).unwrap(),
        bytes_received: connection as u64 * 100,
        ..WEB.client(0, STATES[step], STATES[step + 1])
    }
}

/// Writes a recording of so many events.
fn make(path: &Path, events: usize) {
    let mut file = BufWriter::new(File::create(path).unwrap());
    let mut encoder = Encoder::default();
    file.write_all(&encoder.header(&header())).unwrap();
    let mut write = |fact: &Fact| {
        encoder.fact(fact).unwrap();
        if encoder.is_full() || matches!(fact, Fact::End(_)) {
            std::iter::from_fn(|| encoder.take()).for_each(|block| file.write_all(&block.pack()).unwrap());
        }
    };
    let fact = |piece| match piece {
        Piece::Fact(fact) => fact,
        _ => unreachable!("a fact"),
    };
    write(&fact(clock()));
    write(&Fact::Ready(BEGIN));
    for first in (0..events).step_by(BATCH) {
        let events: Vec<_> = (first..events.min(first + BATCH)).map(event).collect();
        let until_ns = events.last().map_or(BEGIN, |event| event.time_ns);
        write(&Fact::Events(Batch { events, until_ns }));
    }
    write(&fact(end()));
    file.flush().unwrap();
}

/// The most memory that a replay takes, in KiB.
fn memory(view: &str, path: &Path) -> i64 {
    let mut command = tracer::command(view);
    let child = spawn(command.arg(path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()));
    let pid = child.unwrap().id().cast_signed();
    let mut status = 0;
    // SAFETY: all bytes of it may be 0.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are valid, and nobody else waits for this process.
    let waited = unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) };
    assert_eq!((waited, status), (pid, 0), "{view}");
    usage.ru_maxrss
}

fn takes_no_more_for(few: usize, many: usize) {
    let folder = tempfile::tempdir().unwrap();
    let files = [few, many].map(|events| {
        let path = folder.path().join(events.to_string());
        make(&path, events);
        path
    });
    for view in ["log -o csv", "life --time utc", "summary --time utc"] {
        let view = format!("{view} --strict --from");
        let [less, more] = [&files[0], &files[1]].map(|path| memory(&view, path));
        println!("{view}: {less} KiB for {few} events, {more} KiB for {many}");
        assert!(more <= less + MOST_MORE, "{view}: {less} KiB for {few} events, {more} KiB for {many}");
    }
}

#[test]
fn a_longer_recording_takes_no_more_memory() {
    takes_no_more_for(100_000, 1_000_000);
}

#[test]
#[ignore = "takes minutes: cargo xtask test --long"]
fn a_recording_of_ten_million_events_takes_no_more_memory() {
    takes_no_more_for(1_000_000, 10_000_000);
}
