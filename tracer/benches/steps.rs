//! Measures each step of the pipeline on made-up events: `cargo bench --package tcp-tracer`.
//!
//! The last group is the whole pipeline on one core, from the bytes of ring buffers to the bytes of lines.
//! Beside it stands the time that merely copying these lines takes.

mod made;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tracer::{
    facts::context::Context,
    format::{
        Format, Kind, Plan,
        columns::DefaultIn,
        row::Row,
        text::{TextStyle, TimeFormat},
    },
    select::Select,
    source::{decode::decode, merge::Merge, order::Order},
    tcp::reset::NO_REASONS,
    time::clock::Clock,
    track::{Tracker, Transition, prefetch_groups},
};
use tracer_common::Event;
use zerocopy::IntoBytes as _;

use crate::made::{RINGS, Way, config, events, next, records, rings};

/// Each connection has ten events. With what is made of them, they do not fit into a cache.
const CONNECTIONS: usize = 5_000;

fn steps(criterion: &mut Criterion) {
    let events = events(CONNECTIONS);
    let transition = transition(&mut Tracker::new(true), &events);
    let mut group = criterion.benchmark_group("step");
    group.throughput(Throughput::Elements(events.len() as u64));
    group.bench_function("decode", |bencher| {
        let time_ns = |record| decode(record).map_or(0, |event| event.time_ns);
        bencher.iter(|| events.as_bytes().chunks(size_of::<Event>()).map(time_ns).max());
    });
    group.bench_function("decode and merge", |bencher| {
        let rings = rings(&events);
        let mut merge = Merge::new(RINGS);
        bencher.iter(|| merge.take(&mut records(&rings), usize::MAX, next, |event| _ = black_box(event)));
    });
    group.bench_function("order", |bencher| {
        let (mut order, mut settled) = (Order::default(), Vec::new());
        bencher.iter(|| {
            for event in &events {
                order.push(event);
            }
            order.settle(u64::MAX, &mut settled);
            settled.len()
        });
    });
    group.bench_function("track", |bencher| {
        // Each iteration begins the connections of the previous one anew.
        let mut tracker = Tracker::new(true);
        bencher.iter(|| {
            for [group, next, after] in prefetch_groups(&events) {
                tracker.prefetch(next, after);
                for event in group {
                    tracker.event(event, &mut |transition| _ = black_box(transition));
                }
            }
        });
    });
    group.bench_function("select", |bencher| {
        let config = config(&["log", "--comm", "nginx", "--port", "80,443"]);
        let filters = config.capture.filters.filters;
        let mut select = Select::new(&filters.constant, filters.story);
        bencher.iter(|| {
            let mut count = 0;
            for transition in &transition {
                select.pass(transition, &mut |_| count += 1);
            }
            count
        });
    });
    group.finish();
}

fn transition(tracker: &mut Tracker, events: &[Event]) -> Vec<Transition> {
    let mut all = Vec::with_capacity(events.len());
    for event in events {
        tracker.event(event, &mut |transition| all.push(*transition));
    }
    all
}

fn formats(criterion: &mut Criterion) {
    let transition = transition(&mut Tracker::new(true), &events(CONNECTIONS));
    let context = Context::new(Clock::fixed(0, 1_700_000_000_000_000_000));
    let mut group = criterion.benchmark_group("format");
    group.throughput(Throughput::Elements(transition.len() as u64));
    for (name, kind) in [("text", Kind::Text), ("json", Kind::Json), ("csv", Kind::Csv)] {
        let style = TextStyle { time: TimeFormat::Utc, colour: false, precise: false };
        let default_in = (DefaultIn::LOG_TEXT, DefaultIn::LOG_DATA);
        let mut format: Box<dyn Format> = Plan { kind, columns: None, default_in, style }.format(&[]);
        let mut out = Vec::new();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                out.clear();
                for transition in &transition {
                    format.line(&Row::transition(transition, &context, &NO_REASONS), &mut out);
                }
                out.len()
            });
        });
    }
    group.finish();
}

fn whole_way(criterion: &mut Criterion) {
    let events = events(CONNECTIONS);
    let rings = rings(&events);
    let mut group = criterion.benchmark_group("bytes to bytes");
    group.throughput(Throughput::Elements(events.len() as u64));
    for words in [
        &["log", "--time", "utc"][..],
        &["log", "-o", "json"],
        &["log", "-o", "csv"],
        &["log", "--raw", "--time", "utc"],
        &["life", "--time", "utc"],
        &["life", "-o", "json"],
        &["summary"],
    ] {
        let mut way = Way::new(words);
        let mut lines = Vec::new();
        way.take(&rings, |bytes| lines.extend_from_slice(bytes));
        let name = words.join(" ");
        group.bench_function(&name, |bencher| {
            bencher.iter(|| way.take(&rings, |lines| _ = black_box(lines)));
        });
        group.bench_function(format!("{name}, only copied"), |bencher| {
            let mut copy = vec![0; lines.len()];
            bencher.iter(|| black_box(&mut copy).copy_from_slice(black_box(&lines)));
        });
    }
    group.finish();
}

criterion_group!(benches, steps, formats, whole_way);
criterion_main!(benches);
