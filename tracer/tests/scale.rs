//! A thousand, a hundred thousand, a million live connections: time per event, and memory.

// Figures for people, and made-up addresses.
#![allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]

mod counting;

use std::{hint::black_box, slice::Chunks, time::Instant};

use tracer::{
    facts::context::Context,
    format::{
        Format, Kind, Plan,
        columns::DefaultIn,
        row::Row,
        text::{TextStyle, TimeFormat},
    },
    source::{decode::decode, merge::Merge, order::Order},
    tcp::reset::NO_REASONS,
    time::clock::Clock,
    track::{Tracker, prefetch_groups},
};
use tracer_common::{Event, event::AF_INET, state};
use zerocopy::{FromZeros as _, IntoBytes as _};

const EVENTS: usize = 300_000;

/// How many times the time of a thousand connections a million may take.
const MOST: f64 = 1.5;

/// As many at once as the tracer reads.
const BATCH: usize = 4096;

fn event(cookie: u64, time_ns: u64, old_state: u8, new_state: u8) -> Event {
    let mut event = Event::new_zeroed();
    event.family = AF_INET;
    event.cookie = cookie;
    event.time_ns = time_ns;
    event.old_state = old_state;
    event.new_state = new_state;
    event.local_port = cookie as u16 | 1;
    event.remote_port = 443;
    event.remote_addr[12..].copy_from_slice(&(cookie as u32).to_be_bytes());
    event.remote_addr[10..12].fill(0xff);
    event.local_addr[10..12].fill(0xff);
    event
}

/// So many live connections, and the bytes that each takes.
fn fill(live: u64) -> (Tracker, usize) {
    let before = counting::allocated();
    let mut tracker = Tracker::new(true);
    for cookie in 1..=live {
        tracker.event(&event(cookie, cookie, state::CLOSE, state::SYN_SENT), &mut |_| {});
        tracker.event(&event(cookie, cookie + 1, state::SYN_SENT, state::ESTABLISHED), &mut |_| {});
    }
    assert_eq!(tracker.len() as u64, live);
    (tracker, (counting::allocated() - before) / live as usize)
}

/// Nanoseconds for an event from its bytes to its line, on connections taken by chance.
fn cost(tracker: &mut Tracker, live: u64) -> f64 {
    let style = TextStyle { time: TimeFormat::Utc, colour: false, precise: false };
    let default_in = (DefaultIn::LOG_TEXT, DefaultIn::LOG_DATA);
    let mut format: Box<dyn Format> = Plan { kind: Kind::Text, columns: None, default_in, style }.format(&[]);
    let context = Context::new(Clock::fixed(0, 0));
    let mut random = fastrand::Rng::with_seed(7);
    // To and fro: each event finds its connection in the state that it leaves.
    let mut states = vec![(state::ESTABLISHED, state::CLOSE_WAIT); live as usize + 1];
    let mut events = Vec::with_capacity(EVENTS);
    for index in 0..EVENTS {
        let cookie = random.u64(1..=live);
        let (old, new) = states[cookie as usize];
        states[cookie as usize] = (new, old);
        events.push(event(cookie, 10_000_000 + index as u64, old, new));
    }
    let mut records = [events.as_bytes().chunks(size_of::<Event>())];
    let read = |records: &mut Chunks<'_, u8>| records.next().and_then(|record| decode(record).ok().copied());
    let (mut merge, mut order, mut batch) = (Merge::new(1), Order::default(), Vec::new());
    let mut out = Vec::<u8>::with_capacity(1 << 20);
    let mut lines = 0;
    let begun = Instant::now();
    // From bytes to lines.
    while merge.take(&mut records, BATCH, read, |event| order.push(event)) > 0 {
        order.settle(u64::MAX, &mut batch);
        for [group, next, after] in prefetch_groups(&batch) {
            tracker.prefetch(next, after);
            for event in group {
                tracker.event(event, &mut |transition| {
                    format.line(&Row::transition(transition, &context, &NO_REASONS), &mut out);
                    lines += 1;
                });
            }
        }
        black_box(&out);
        out.clear();
    }
    let cost = begun.elapsed().as_secs_f64() * 1e9 / EVENTS as f64;
    assert_eq!(lines, EVENTS);
    cost
}

/// Other builds go on beside the unit tests, and memory is what they wait for, too.
#[test]
#[cfg_attr(debug_assertions, ignore = "measured alone, in the release build: a step of `cargo xtask test`")]
fn a_million_connections_are_hardly_dearer_than_a_thousand() {
    let sizes = [1_000, 100_000, 1_000_000];
    let mut tables: Vec<_> = sizes.iter().map(|live| fill(*live)).collect();
    for (live, (_, bytes)) in sizes.iter().zip(&tables) {
        println!("{live} live connections: {bytes} bytes each");
        // The smallest has room for many more.
        assert!(*live < 100_000 || *bytes < 250, "{bytes} bytes a connection");
    }
    // The best of some rounds, and of more where others are at work on the machine: what is too dear
    // is so in all of them.
    let mut best = [f64::INFINITY; 3];
    for round in 0..30 {
        if round >= 5 && best[2] < MOST * best[0] {
            break;
        }
        for ((live, (tracker, _)), best) in sizes.iter().zip(&mut tables).zip(&mut best) {
            *best = best.min(cost(tracker, *live));
        }
    }
    println!("ns per event, from the ring's bytes to text: {best:.0?}");
    assert!(best[2] < MOST * best[0], "grows too much: {best:.0?}");
}
