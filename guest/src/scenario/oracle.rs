//! `--raw` says exactly what the tracepoint says, by the word of the kernel's trace buffer.

use guest::Found;
use tests::{facts, place::Place, tracer, traffic};

use crate::oracle::Oracle;

const COUNT: usize = 120;
/// So many differences tell the cause.
const SHOWN: usize = 20;

/// Makes traffic inside two namespaces and between them, and compares.
pub(crate) fn play() -> Found {
    let (left, right) = Place::pair();
    let oracle = Oracle::start();
    let tracer = tracer::start("--raw -o json");
    traffic::storm(&[&left, &right], COUNT, 1);
    oracle.wait_until_quiet();
    let (ours, theirs) = (tracer::finish(tracer), oracle.finish());
    assert!(theirs.len() > 3 * COUNT, "too little happened: {} events", theirs.len());
    let mut differences = facts::differences(&facts::count(&ours), &facts::count(&theirs));
    differences.truncate(SHOWN);
    Found::Oracle { tracer: ours.len(), kernel: theirs.len(), differences }
}
