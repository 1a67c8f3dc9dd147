//! What loading the kernel programs takes.

use std::time::Instant;

use guest::Found;
use tests::tracer;

use crate::{programs, scenario::locked, verifier};

/// Starts tracer and looks at its programs; those with diagnostics, or with little memory, only have to
/// load.
pub(crate) fn play() -> Found {
    let started = Instant::now();
    let tracer = tracer::start("-o json");
    let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let told = programs::verified(tracer.pid());
    tracer::finish(tracer);
    let ended = tracer::run("-vv --duration 1ms");
    assert_eq!(ended.code(), 0, "with diagnostics: {}", ended.err);
    let verified = told.unwrap_or_else(|| {
        // Kernels that old have a limit, too, or none that is reached.
        locked::try_it();
        // Before Linux 5.16 only the log of loading itself tells.
        verifier::verified(tracer::command("-o json --duration 1ms"))
    });
    Found::Load { milliseconds, verified }
}
