//! Sends made-up events through the whole pipeline, from the ring buffer's bytes to the bytes of lines, for
//! profilers and for counting instructions.
//!
//! `whole_way CONNECTIONS ROUNDS [WORDS...]` formats them as `tracer WORDS...` would.

// The figures are for people, and bad arguments end in a panic.
#![allow(clippy::cast_precision_loss, clippy::panic)]

#[path = "../benches/made/mod.rs"]
mod made;

use std::{hint::black_box, time::Instant};

use made::{Way, events, rings};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [connections, rounds, words @ ..] = &arguments[..] else {
        panic!("whole_way CONNECTIONS ROUNDS [WORDS...]");
    };
    let number = |text: &String| text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let events = events(number(connections));
    let rings = rings(&events);
    let mut way = Way::new(&words);
    for _ in 0..number(rounds) {
        let mut written = 0;
        let begun = Instant::now();
        let lines = way.take(&rings, |lines| {
            written += lines.len();
            black_box(lines);
        });
        let ns = begun.elapsed().as_secs_f64() * 1e9 / events.len() as f64;
        println!("{} events, {lines} lines, {written} bytes: {ns:.0} ns an event", events.len());
    }
}
