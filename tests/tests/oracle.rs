//! `--raw` says exactly what the tracepoint says, by the word of bpftrace.

use std::collections::BTreeMap;

use tests::{bpftrace::Oracle, event::Event, place::Place, tracer, traffic};

/// What both have to agree on.
fn facts(events: &[Event]) -> BTreeMap<String, usize> {
    let mut facts = BTreeMap::new();
    for event in events {
        let ours = [&event.local_addr, &event.remote_addr];
        if !ours.into_iter().flatten().any(|address| traffic::is_ours(address)) {
            continue;
        }
        let fact = format!(
            "pid {:?} {}>{} {} {:?}:{:?} {:?}:{:?}",
            event.pid,
            event.old_state,
            event.new_state,
            event.family,
            event.local_addr,
            event.local_port,
            event.remote_addr,
            event.remote_port
        );
        *facts.entry(fact).or_default() += 1;
    }
    facts
}

#[test]
fn raw_equals_bpftrace() {
    for seed in 1..=3 {
        let (left, right) = Place::pair();
        let third = Place::new();
        let oracle = Oracle::start();
        let tracer = tracer::start("--raw -o json");
        traffic::storm(&[&left, &right, &third], 120, seed);
        let ours = facts(&tracer::finish(tracer));
        let theirs = facts(&oracle.finish());
        assert!(theirs.values().sum::<usize>() > 500, "too little happened");
        let differences: Vec<_> = theirs
            .iter()
            .filter(|(fact, count)| ours.get(*fact) != Some(count))
            .chain(ours.iter().filter(|(fact, _)| !theirs.contains_key(*fact)))
            .collect();
        assert!(differences.is_empty(), "seed {seed}: {differences:#?}");
        println!("seed {seed}: {} transitions, the same", theirs.values().sum::<usize>());
    }
}
