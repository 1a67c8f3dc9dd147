//! `tracer check`: what it says here.

use std::sync::OnceLock;

use guest::Found;
use tests::{program::Ended, tracer};

/// All of it, also when tracer cannot run.
pub(crate) fn play() -> Found {
    let Ended { status, out, err } = checked();
    Found::Check { passed: status.success(), text: format!("{out}{err}") }
}

/// What it says does not change, and on an emulated processor it takes its time.
pub(crate) fn checked() -> &'static Ended {
    static CHECKED: OnceLock<Ended> = OnceLock::new();
    CHECKED.get_or_init(|| tracer::run("check --color never"))
}
