//! The output of `tracer check` on this kernel.

use std::sync::OnceLock;

use guest::Found;
use tests::{program::Ended, tracer};

/// Returns the whole output, also when tracer cannot run.
pub(crate) fn play() -> Found {
    let Ended { status, out, err } = checked();
    Found::Check { passed: status.success(), text: format!("{out}{err}") }
}

/// Runs `tracer check` once and keeps the result. It does not change, and is slow on an emulated CPU.
pub(crate) fn checked() -> &'static Ended {
    static CHECKED: OnceLock<Ended> = OnceLock::new();
    CHECKED.get_or_init(|| tracer::run("check --color never"))
}

/// Whether tracer follows TIME_WAIT on this kernel.
pub(crate) fn follows_time_wait() -> bool {
    !checked().out.contains("TIME_WAIT is not followed")
}
