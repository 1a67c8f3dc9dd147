//! `tracer check`: what it says here.

use guest::Found;
use tests::tracer;

/// It has to end well.
pub(crate) fn play() -> Found {
    let ended = tracer::run("check --color never");
    let text = ended.out + &ended.err;
    assert!(ended.status.success(), "{text}");
    Found::Check { text }
}
