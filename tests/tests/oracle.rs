//! `--raw` says exactly what the tracepoint says, by the word of bpftrace.

use tests::{
    bpftrace::Oracle,
    event::Event,
    facts::{self, Facts},
    place::Place,
    tracer, traffic,
};

/// What both have to agree on; the host has other traffic, too.
fn ours(events: &[Event]) -> Facts {
    facts::count(events.iter().filter(|event| {
        let ends = [&event.local_addr, &event.remote_addr];
        ends.into_iter().flatten().any(|address| traffic::is_ours(address))
    }))
}

#[test]
fn raw_equals_bpftrace() {
    for seed in 1..=3 {
        let (left, right) = Place::pair();
        let third = Place::new();
        let oracle = Oracle::start();
        let tracer = tracer::start("--raw -o json");
        traffic::storm(&[&left, &right, &third], 120, seed);
        let tracer = ours(&tracer::finish(tracer));
        let oracle = ours(&oracle.finish());
        assert!(oracle.values().sum::<usize>() > 500, "too little happened");
        let differences = facts::differences(&tracer, &oracle);
        assert!(differences.is_empty(), "seed {seed}: {differences:#?}");
        println!("seed {seed}: {} transitions, the same", oracle.values().sum::<usize>());
    }
}
