//! The cost of loading the kernel programs: time, and verified instructions.

use std::time::Instant;

use guest::Found;
use tests::tracer;

use crate::{programs, scenario::locked, verifier};

/// Starts tracer and reads the statistics of its programs. With `-vv`, and with little lockable memory, they
/// only have to load.
pub(crate) fn play() -> Found {
    let started = Instant::now();
    let tracer = tracer::start("-o json");
    let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let told = programs::verified(tracer.pid());
    tracer::finish(tracer);
    let ended = tracer::run("-vv --duration 1ms");
    assert_eq!(ended.code(), 0, "with diagnostics: {}", ended.err);
    let verified = told.unwrap_or_else(|| {
        // Before Linux 5.11 maps count as locked memory; from 5.11 on the limit has no effect on them.
        locked::try_it();
        // Before Linux 5.16 only the verifier's log has the number.
        verifier::verified(tracer::command("-o json --duration 1ms"))
    });
    Found::Load { milliseconds, verified }
}
