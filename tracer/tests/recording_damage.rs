//! Recordings that are cut, damaged, forged or of other versions: nothing panics, nothing is invented, and what is
//! missing is counted.

// A panic is how a test says that it failed.
#![allow(clippy::unwrap_used, clippy::panic)]

mod made;

use std::{fs, path::Path};

use clap::Parser as _;
use proptest::prelude::*;
use tracer::{
    cli::{Cli, Command},
    config::{self, RunConfig},
    facts::{
        Batch, Fact,
        holders::Holders,
        losses::{Losses, SourceTotals},
        snapshot::Snapshot,
    },
    output::stdout::Output,
    recording::{
        VERSION,
        block::{HEAD, Unpacked},
        continuity::Continuity,
        encoder::Encoder,
        entry::RecordingEntry,
        header::Header,
        reader::{Error as ReadError, RecordingPiece as Read, RecordingReader},
    },
    run::{
        capture::{Outcome, capture},
        error::Error,
        receipt::Receipt,
        stop::{Signals, Stop},
    },
    source::open::open,
};
use tracer_common::{
    Event,
    event::{AF_INET, Holder, kind},
    state::{CLOSE, LISTEN},
};
use zerocopy::FromBytes as _;

use made::{BEGIN, MS, Piece, WEB, blocks, bytes, checkpoint, clock, end, events, header, pieces, until};

fn config(words: &[&str], paths: &[&Path]) -> RunConfig {
    let words = [&["tracer"], words, &["--from"]].concat().into_iter().map(Into::into);
    let paths = paths.iter().map(|path| path.as_os_str().to_owned());
    match Cli::try_parse_from(words.chain(paths)).unwrap().command {
        Some(Command::Log(args)) => config::log(*args),
        Some(Command::Life(args)) => config::life(*args),
        Some(Command::Summary(args)) => config::summary(*args),
        Some(Command::Top(args)) => config::top(*args),
        _ => panic!("no capture"),
    }
    .unwrap()
}

/// What `tracer WORDS --from FILES` writes, and what it amounted to.
fn shown(words: &[&str], files: &[&[u8]]) -> Result<(String, Receipt), Error> {
    let folder = tempfile::tempdir().unwrap();
    let paths: Vec<_> = (0..files.len()).map(|number| folder.path().join(number.to_string())).collect();
    for (path, file) in paths.iter().zip(files) {
        fs::write(path, file).unwrap();
    }
    let config = config(words, &paths.iter().map(|path| &**path).collect::<Vec<_>>());
    let out = folder.path().join("out");
    let file = fs::File::create(&out).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let Outcome { receipt, result, .. } = runtime.block_on(async {
        let source = open(&config.source).await?;
        let stop = &mut Stop::new(Signals::new().unwrap());
        capture(source, config.capture, Output::to(file).unwrap(), None, stop).await
    })?;
    result?;
    Ok((fs::read_to_string(out).unwrap(), receipt))
}

const LOG: [&str; 3] = ["log", "-o", "csv"];

/// Reads all of it: damage, blocks that are whole, and events that are missing.
fn read(bytes: &[u8]) -> Result<(usize, usize, u64), ReadError> {
    let mut reader = RecordingReader::new(bytes);
    let (mut damage, mut whole, mut missing) = (0, 0, 0);
    let mut continuity = Continuity::default();
    while let Some(piece) = reader.read()? {
        match piece {
            Read::Damage(_) => damage += 1,
            Read::Block(block) => {
                whole += 1;
                missing += continuity.follow(&block).events;
            }
        }
    }
    assert_eq!(reader.position(), bytes.len() as u64, "all of it is accounted for");
    Ok((damage, whole, missing))
}

#[test]
fn cut_at_any_byte_it_has_a_prefix_of_the_lines() {
    let whole = bytes(&header(), &pieces());
    let (lines, receipt) = shown(&LOG, &[&whole]).unwrap();
    assert!(lines.lines().count() > 10, "{lines}");
    assert!(receipt.is_complete(), "{receipt}");
    let head = blocks(&mut Encoder::default(), &header(), &[])[0].len();
    let mut prefixes = 0;
    for len in 0..whole.len() {
        let cut = &whole[..len];
        match shown(&LOG, &[cut]) {
            Ok((some, receipt)) => {
                assert!(len >= head, "{len} bytes have no header");
                let is_prefix = lines.starts_with(&some) && (some.is_empty() || some.ends_with('\n'));
                assert!(is_prefix, "{len} bytes:\n{some}");
                assert!(receipt.cut_off && !receipt.is_complete(), "{len} bytes: {receipt}");
                assert!(!receipt.damaged && receipt.losses == Losses::NONE, "{len} bytes: {receipt}");
                prefixes += usize::from(some.lines().count() > 1);
            }
            Err(error) => {
                assert!(len < head, "{len} bytes: {error}");
                let expected = if len == 0 { "empty" } else { "cut off before its header" };
                assert!(error.to_string().contains(expected), "{error}");
            }
        }
    }
    assert!(prefixes > 100, "{prefixes}");
}

#[test]
fn a_flipped_bit_loses_a_block_at_most() {
    let blocks = blocks(&mut Encoder::default(), &header(), &pieces());
    let mut whole = blocks.concat();
    let (none, all, _) = read(&whole).unwrap();
    assert_eq!((none, all), (0, blocks.len()));
    for bit in 0..8 * whole.len() {
        whole[bit / 8] ^= 1 << (bit % 8);
        let (damage, rest, _) = read(&whole).unwrap();
        assert_eq!((damage, rest), (1, all - 1), "bit {bit}");
        whole[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn what_a_flipped_bit_loses_is_counted() {
    let blocks = blocks(&mut Encoder::default(), &header(), &pieces());
    let whole = blocks.concat();
    let (_, all) = shown(&LOG, &[&whole]).unwrap();
    let in_block = |block: &[u8]| -> u64 {
        let mut reader = RecordingReader::new(block);
        let Ok(Some(Read::Block(block))) = reader.read() else { panic!("no block") };
        block.events()
    };
    let mut at = 0;
    for (number, block) in blocks.iter().enumerate() {
        let is_last = number + 1 == blocks.len();
        for byte in (at..at + block.len()).step_by(5) {
            let mut damaged = whole.clone();
            damaged[byte] ^= 1 << (byte % 8);
            let (_, receipt) = shown(&LOG, &[&damaged]).unwrap();
            let lost = in_block(block);
            assert_eq!(receipt.losses.total(), Some(lost), "byte {byte}: {receipt}");
            assert_eq!(receipt.seen, all.seen - transitions(block), "byte {byte}");
            // The first copy of the header is as good as the second, but something is damaged.
            assert_eq!((receipt.damaged, receipt.cut_off), (true, is_last), "byte {byte}: {receipt}");
            assert!(!receipt.is_complete(), "byte {byte}: {receipt}");
        }
        at += block.len();
    }
}

/// The wall clock's time comes with the first facts. Without these it is known from the header.
#[test]
fn times_are_right_without_the_first_facts() {
    let mut blocks = blocks(&mut Encoder::default(), &header(), &pieces());
    let times = |lines: &str| -> Vec<String> {
        lines.lines().skip(1).map(|line| line.split(',').next().unwrap().to_owned()).collect()
    };
    let (whole, _) = shown(&LOG, &[&blocks.concat()]).unwrap();
    let has_clock = |block: &Vec<u8>| {
        let Ok(Some(Read::Block(block))) = RecordingReader::new(&block[..]).read() else { return false };
        block.entries.iter().any(|entry| matches!(entry, RecordingEntry::Fact(Fact::Clock(_))))
    };
    let first = blocks.iter().position(has_clock).unwrap();
    blocks[first][HEAD] ^= 1;
    let (rest, receipt) = shown(&LOG, &[&blocks.concat()]).unwrap();
    assert!(receipt.damaged, "{receipt}");
    let (all, there) = (times(&whole), times(&rest));
    assert!(there.len() > 5 && there.iter().all(|time| all.contains(time)), "{there:?} of {all:?}");
    // A span ends where it is told, too.
    let words = ["log", "-o", "csv", "--until", "+250ms"];
    let (begun, _) = shown(&words, &[&blocks.concat()]).unwrap();
    assert!(rest.starts_with(&begun) && begun.len() < rest.len(), "{begun}");
}

fn transitions(block: &[u8]) -> u64 {
    let Ok(Some(Read::Block(block))) = RecordingReader::new(block).read() else { panic!("no block") };
    let events = block.entries.iter().filter_map(|entry| match entry {
        RecordingEntry::Fact(Fact::Events(batch)) => Some(&batch.events),
        _ => None,
    });
    events.flatten().filter(|event| event.kind == kind::TRANSITION).count() as u64
}

/// A part tells how many events those before it have: what is missing at the end of one is counted.
#[test]
fn what_is_missing_between_parts_is_counted() {
    let mut encoder = Encoder::default();
    let first =
        [clock(), Piece::Fact(Fact::Ready(BEGIN)), Piece::End, events(WEB.conversation(10)), Piece::End];
    let before = WEB.conversation(10);
    let first = blocks(&mut encoder, &header(), &first);
    let second = [
        clock(),
        Piece::Fact(checkpoint(&before, 600)),
        Piece::Fact(Fact::Ready(BEGIN + 600 * MS)),
        events(made::DATABASE.conversation(700)),
        until(2000),
        end(),
    ];
    let second = blocks(&mut encoder, &Header { part: 1, ..header() }, &second);
    let (whole, receipt) = shown(&LOG, &[&first.concat(), &second.concat()]).unwrap();
    assert!(receipt.is_complete(), "{receipt}");
    let without_last = first[..first.len() - 1].concat();
    let (rest, receipt) = shown(&LOG, &[&without_last, &second.concat()]).unwrap();
    assert_eq!(receipt.losses.total(), Some(before.len() as u64), "{receipt}");
    assert!(receipt.damaged && rest.len() < whole.len(), "{rest}");
    let (alone, receipt) = shown(&LOG, &[&second.concat()]).unwrap();
    assert!(receipt.is_complete(), "{receipt}");
    assert_eq!(alone.lines().count(), 1 + made::DATABASE.conversation(0).len(), "{alone}");
}

/// A writer that is killed while it begins a part leaves one without a header. The others are shown all the same.
#[test]
fn a_part_without_a_header_hides_no_other() {
    let whole = bytes(&header(), &pieces());
    let (lines, _) = shown(&LOG, &[&whole]).unwrap();
    let next = Encoder::default().header(&Header { part: 1, ..header() });
    for len in [0, 1, HEAD, next.len() / 2 - 1] {
        for files in [[&whole[..], &next[..len]], [&next[..len], &whole[..]]] {
            let (rest, receipt) = shown(&LOG, &files).unwrap();
            assert_eq!(rest, lines, "{len} bytes");
            assert!(receipt.cut_off && !receipt.damaged && !receipt.is_complete(), "{len} bytes: {receipt}");
        }
    }
    let error = shown(&LOG, &[&next[..0], &next[..HEAD]]).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("there is nothing to read yet"), "{error}");
}

#[test]
fn a_newer_version_is_refused() {
    let mut newer = bytes(&header(), &pieces());
    newer[8..10].copy_from_slice(&(VERSION + 1).to_le_bytes());
    let crc = crc32c::crc32c(&newer[..HEAD - 4]);
    newer[HEAD - 4..HEAD].copy_from_slice(&crc.to_le_bytes());
    let error = shown(&LOG, &[&newer]).map(|_| ()).unwrap_err().to_string();
    assert!(
        error.contains(&format!("version {}", VERSION + 1)) && error.contains("update tracer"),
        "{error}"
    );
}

#[test]
fn what_is_no_recording_is_refused() {
    for other in [&b"time,cookie\n"[..], &vec![0; 100_000], b"\x89PNG\r\n\x1a\n and so on"] {
        let error = shown(&LOG, &[other]).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("not a recording"), "{error}");
    }
}

#[test]
fn events_that_cannot_be_are_counted() {
    let odd = [
        Event { family: 77, ..WEB.client(20, 1, 8) },
        Event { kind: kind::LAST + 1, ..WEB.client(21, 1, 8) },
        Event { cookie: 0, ..WEB.client(22, 1, 8) },
    ];
    let events = events([&WEB.conversation(10)[..2], &odd].concat());
    let recording = bytes(&header(), &[clock(), Piece::Fact(Fact::Ready(BEGIN)), events, until(2000), end()]);
    let (lines, receipt) = shown(&LOG, &[&recording]).unwrap();
    assert_eq!((lines.lines().count(), receipt.losses.malformed), (3, 3), "{lines}");
    assert!(!receipt.is_complete());
}

/// An event of any bytes that can be one.
fn any_event() -> impl Strategy<Value = Event> {
    (any::<[[u8; 32]; 5]>(), 0..=kind::LAST, 0_u8..16, 0_u8..16).prop_map(|(bytes, kind, old, new)| {
        let event = Event::read_from_bytes(bytes.as_flattened()).unwrap();
        let (old_state, new_state) = if old < 13 { (old, new) } else { (event.old_state, event.new_state) };
        // Few sockets, so that they have stories.
        let cookie = event.cookie % 4 + 1;
        Event { family: AF_INET, kind, cookie, old_state, new_state, ..event }
    })
}

/// A time within an hour.
fn any_time() -> impl Strategy<Value = u64> {
    (0..3600 * made::SECOND).prop_map(|after| BEGIN + after)
}

fn any_fact() -> impl Strategy<Value = Fact> {
    let some = || prop::collection::vec(any_event(), 0..12);
    let holders = prop::collection::vec(any::<(u64, [u8; 16], u32, u32)>(), 0..6).prop_map(|all| {
        let holder = |(cookie, comm, pid, mptcp_token): (u64, _, _, _)| Holder {
            cookie: cookie % 4 + 1,
            comm,
            pid,
            mptcp_token,
        };
        all.into_iter().map(holder).collect::<Vec<_>>()
    });
    prop_oneof![
        (some(), any_time()).prop_map(|(events, until_ns)| Fact::Events(Batch { events, until_ns })),
        (some(), some(), any::<[u64; 4]>()).prop_map(|(sockets, holders, [a, b, c, d])| {
            let times = ((a, b), (c, d));
            Fact::Snapshot(Snapshot {
                during_ns: times.0,
                holders_ns: times.1,
                sockets,
                holders,
                ..Snapshot::default()
            })
        }),
        some().prop_map(|sockets| Fact::Refresh { sockets, is_part: true }),
        (holders, any::<(u64, u64)>(), any::<bool>())
            .prop_map(|(found, during, all)| Fact::Holders(Holders::new(during, found, all))),
        (any::<[u64; 4]>(), any_time()).prop_map(|([a, b, c, d], at)| {
            let losses = Losses { no_room: Some(a), recursion: Some(b), incidents: Some(c), malformed: d };
            Fact::Losses(losses, at)
        }),
        any_time().prop_map(Fact::Time),
        any_time().prop_map(Fact::Ready),
        some().prop_map(|events| checkpoint(&events, 1)),
    ]
}

/// Shows it in each view that goes through other code.
fn show_all(recording: &[u8]) {
    let summary: &[&str] = &["summary", "--interval", "1d", "--stuck", "default"];
    for words in [&LOG[..], &["log", "--raw"], &["life", "-o", "json"], summary] {
        // What it says does not matter.
        let _ = shown(words, &[recording]);
    }
}

/// Views act every second, but not for each second of centuries.
#[test]
fn a_leap_of_time_is_passed_over() {
    let leap = |to_ns| Piece::Fact(Fact::Events(Batch { events: Vec::new(), until_ns: to_ns }));
    let century = 3_155_760_000 * made::SECOND;
    for to in [BEGIN + century, u64::MAX] {
        let pieces = [
            clock(),
            Piece::Fact(Fact::Ready(BEGIN)),
            events(WEB.conversation(10)),
            leap(to),
            leap(to),
            end(),
        ];
        let file = bytes(&header(), &pieces);
        for words in [&["summary"][..], &["log", "--stuck", "default"]] {
            shown(words, &[&file]).unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_file_makes_it_panic(file in prop::collection::vec(any::<u8>(), 0..4000), begins: bool) {
        let head = &bytes(&header(), &[])[..];
        let file = if begins { [head, &file].concat() } else { file };
        let _ = read(&file);
        show_all(&file);
    }

    /// Checksums are no protection against people.
    #[test]
    fn no_entries_make_it_panic(
        entries in prop::collection::vec(any::<u8>(), 0..4000),
        counts in any::<(u32, u64, u64)>(),
        two in any::<bool>(),
    ) {
        let (sequence, events_before, from_ns) = counts;
        let block = Unpacked { sequence, events_before, from_ns, entries }.pack();
        let mut file = bytes(&header(), &[clock(), Piece::Fact(Fact::Ready(BEGIN))]);
        file.extend(&block);
        if two {
            file.extend(bytes(&header(), &pieces()));
        }
        read(&file).unwrap();
        show_all(&file);
    }

    /// Entries with some bytes changed, in blocks whose checksums are right.
    #[test]
    fn no_changed_entry_makes_it_panic(changes in prop::collection::vec(any::<(u16, u8)>(), 1..20)) {
        let mut encoder = Encoder::default();
        let mut file = encoder.header(&header()).to_vec();
        for piece in pieces().iter().chain(&[Piece::Fact(checkpoint(&WEB.conversation(10)[..3], 5))]) {
            match piece {
                Piece::Fact(fact) => encoder.fact(fact).unwrap(),
                Piece::Name(name) => encoder.name(name).unwrap(),
                Piece::End => {}
            }
        }
        while let Some(mut block) = encoder.take() {
            for (at, value) in &changes {
                let at = usize::from(*at) % block.entries.len();
                block.entries[at] = *value;
            }
            file.extend(block.pack());
        }
        read(&file).unwrap();
        show_all(&file);
    }

    #[test]
    fn no_facts_make_it_panic(facts in prop::collection::vec(any_fact(), 0..8)) {
        let facts = facts.into_iter().map(Piece::Fact);
        let pieces: Vec<_> =
            [clock(), Piece::Fact(Fact::Ready(BEGIN))].into_iter().chain(facts).chain([end()]).collect();
        show_all(&bytes(&header(), &pieces));
    }
}

/// Three parts of a recording; 3, 5 and 8 events were lost up to the end of each.
fn three_parts() -> [Vec<u8>; 3] {
    let mut encoder = Encoder::default();
    let lost = |no_room| Losses { no_room: Some(no_room), ..Losses::NONE };
    let mut part = |part: u32, lost_before: u64, lost_up_to: u64| {
        let begin_ms = 1000 * u64::from(part);
        let totals = SourceTotals { losses: lost(lost_up_to), filtered: Some(0), ..SourceTotals::default() };
        let pieces = [
            clock(),
            Piece::Fact(Fact::Losses(lost(lost_before), BEGIN)),
            Piece::Fact(checkpoint(&[], begin_ms)),
            Piece::Fact(Fact::Ready(BEGIN + begin_ms * MS)),
            events(WEB.conversation(begin_ms + 10)),
            until(begin_ms + 990),
            Piece::Fact(Fact::End(totals)),
        ];
        blocks(&mut encoder, &Header { part, ..header() }, &pieces).concat()
    };
    [part(0, 0, 3), part(1, 3, 5), part(2, 5, 8)]
}

#[test]
fn losses_are_counted_once_over_all_parts_and_missing_parts_are_lost() {
    let [first, second, third] = &three_parts();
    let events = WEB.conversation(0).len() as u64;
    let (whole, receipt) = shown(&LOG, &[first, second, third]).unwrap();
    assert_eq!((receipt.losses.total(), receipt.damaged), (Some(8), false), "{receipt}");
    let (rest, receipt) = shown(&LOG, &[first, third]).unwrap();
    assert_eq!((receipt.losses.total(), receipt.damaged), (Some(8 + events), true), "{receipt}");
    assert!(rest.lines().count() < whole.lines().count(), "{rest}");
    // The parts before the first one that is there are nothing that is missing.
    let (_, receipt) = shown(&LOG, &[second, third]).unwrap();
    assert_eq!((receipt.losses.total(), receipt.damaged), (Some(5), false), "{receipt}");
}

#[test]
fn recordings_that_follow_on_each_other_have_the_losses_and_the_end_of_each() {
    let [first, second, _] = three_parts();
    let made = blocks(&mut Encoder::default(), &header(), &pieces());
    let killed = made[..made.len() - 1].concat();
    let later = |at_ms| {
        let pieces = [
            clock(),
            Piece::Fact(Fact::Ready(BEGIN + at_ms * MS)),
            events(WEB.conversation(at_ms + 10)),
            until(at_ms + 990),
            end(),
        ];
        bytes(&Header { id: 8, begun_ns: made::WALL + 1, ..header() }, &pieces)
    };
    let (_, receipt) = shown(&LOG, &[&killed, &later(5000)]).unwrap();
    assert!(receipt.cut_off && !receipt.is_complete(), "{receipt}");
    let (_, receipt) = shown(&LOG, &[&first, &second, &later(5000)]).unwrap();
    assert_eq!((receipt.losses.total(), receipt.cut_off), (Some(5), false), "{receipt}");
    let refused = |files: &[&[u8]]| shown(&LOG, files).unwrap_err().to_string();
    assert!(refused(&[&first, &first]).contains("the same part of one recording"));
    let overlap = refused(&[&bytes(&header(), &pieces()), &later(1000)]);
    assert!(overlap.contains("before the recording before it ends"), "{overlap}");
}

/// A part that begins in the middle of connections, with a listener and a timewait socket.
fn later_part() -> Vec<u8> {
    let mut before = WEB.conversation(10);
    let listens = Event { remote_addr: [0; 16], remote_port: 0, ..WEB.client(5, CLOSE, LISTEN) };
    before.insert(0, Event { cookie: 5, ..listens });
    let open = made::DATABASE.closed_by_peer(600);
    let (begun, rest) = open.split_at(2);
    before.extend(begun);
    let pieces = [
        clock(),
        Piece::Fact(checkpoint(&before, 900)),
        Piece::Fact(Fact::Ready(BEGIN + 900 * MS)),
        events(rest.to_vec()),
        until(2000),
        end(),
    ];
    bytes(&Header { part: 1, ..header() }, &pieces)
}

/// Each released version of the format stays readable: its files are kept for ever, a first part and one that begins
/// with a checkpoint. Those of a new version are made by this test if there are none.
#[test]
fn recordings_of_all_versions_are_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings");
    for version in 1..=VERSION {
        for (name, made) in [("", bytes(&header(), &pieces())), ("-part", later_part())] {
            let file = folder.join(format!("version-{version}{name}.rec"));
            let lines = file.with_extension("csv");
            if version == VERSION && !file.exists() {
                fs::create_dir_all(&folder).unwrap();
                fs::write(&file, made).unwrap();
                fs::write(&lines, shown(&LOG, &[&fs::read(&file).unwrap()]).unwrap().0).unwrap();
            }
            let (read, receipt) = shown(&LOG, &[&fs::read(&file).unwrap()]).unwrap();
            assert_eq!(read, fs::read_to_string(&lines).unwrap(), "version {version}{name}");
            assert!(receipt.is_complete(), "version {version}{name}: {receipt}");
        }
    }
}
