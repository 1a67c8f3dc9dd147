//! `--raw` shows exactly the events of the tracepoint, by comparison with bpftrace.

use std::ops::RangeInclusive;

use tests::{bpftrace::Oracle, facts, place::Place, tracer, traffic};

fn raw_equals_bpftrace_in(seeds: RangeInclusive<u64>) {
    for seed in seeds {
        let (left, right) = Place::pair();
        let third = Place::new();
        let places = [&left, &right, &third];
        let oracle = Oracle::start(&places);
        let netns = places.map(Place::name).join(",");
        let tracer = tracer::start(&format!("--raw -o json --netns {netns}"));
        traffic::storm(&places, 120, seed);
        places.into_iter().for_each(Place::settle);
        let tracer = facts::count(&tracer::finish(tracer));
        let oracle = facts::count(&oracle.finish());
        assert!(oracle.values().sum::<usize>() > 500, "too little happened");
        let differences = facts::differences(&tracer, &oracle);
        assert!(differences.is_empty(), "seed {seed}: {differences:#?}");
        println!("seed {seed}: {} transitions, the same", oracle.values().sum::<usize>());
    }
}

#[test]
fn raw_equals_bpftrace() {
    raw_equals_bpftrace_in(1..=3);
}

#[test]
#[ignore = "takes minutes: cargo xtask test --long"]
fn raw_equals_bpftrace_in_many_storms() {
    raw_equals_bpftrace_in(4..=40);
}
