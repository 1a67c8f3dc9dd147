//! What loading the kernel programs takes.

use std::time::Instant;

use guest::Found;
use tests::tracer;

use crate::{programs, verifier};

/// Starts tracer and looks at its programs.
pub(crate) fn play() -> Found {
    let started = Instant::now();
    let tracer = tracer::start("-o json");
    let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let told = programs::verified(tracer.pid());
    tracer::finish(tracer);
    // Before Linux 5.16 only the log of loading itself tells.
    let verified = told.unwrap_or_else(|| verifier::verified(tracer::command("-o json --duration 1ms")));
    Found::Load { milliseconds, verified }
}
