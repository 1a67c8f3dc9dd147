//! `tracer check`: what it says here.

use guest::Found;
use tests::tracer;

/// All of it, also when tracer cannot run.
pub(crate) fn play() -> Found {
    let ended = tracer::run("check --color never");
    Found::Check { passed: ended.status.success(), text: ended.out + &ended.err }
}
