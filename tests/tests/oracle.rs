//! `--raw` says exactly what the tracepoint says, by the word of bpftrace.

use tests::{bpftrace::Oracle, facts, place::Place, tracer, traffic};

#[test]
fn raw_equals_bpftrace() {
    for seed in 1..=3 {
        let (left, right) = Place::pair();
        let third = Place::new();
        let places = [&left, &right, &third];
        let oracle = Oracle::start(&places);
        let netns = places.map(Place::name).join(",");
        let tracer = tracer::start(&format!("--raw -o json --netns {netns}"));
        traffic::storm(&places, 120, seed);
        let tracer = facts::count(&tracer::finish(tracer));
        let oracle = facts::count(&oracle.finish());
        assert!(oracle.values().sum::<usize>() > 500, "too little happened");
        let differences = facts::differences(&tracer, &oracle);
        assert!(differences.is_empty(), "seed {seed}: {differences:#?}");
        println!("seed {seed}: {} transitions, the same", oracle.values().sum::<usize>());
    }
}
