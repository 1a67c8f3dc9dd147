//! What loading the kernel programs takes.

use std::{fs, time::Instant};

use guest::Found;
use tests::tracer;

use crate::verifier;

/// Starts tracer and looks at its programs.
pub(crate) fn play() -> Found {
    let started = Instant::now();
    let tracer = tracer::start("-o json");
    let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let told = verified(tracer.pid());
    tracer::finish(tracer);
    // Before Linux 5.16 only the log of loading itself tells.
    let verified = told.unwrap_or_else(|| verifier::verified(tracer::command("-o json --duration 1ms")));
    Found::Load { milliseconds, verified }
}

/// The kernel tells it of each program that a process holds.
fn verified(pid: u32) -> Option<u64> {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fdinfo")).expect("descriptors");
    let texts = descriptors.filter_map(|it| fs::read_to_string(it.ok()?.path()).ok());
    let counts: Vec<u64> = texts.filter_map(|text| count(&text)).collect();
    (!counts.is_empty()).then(|| counts.iter().sum())
}

fn count(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("verified_insns:")?.trim().parse().ok())
}
