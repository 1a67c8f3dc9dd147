//! Ctrl-C. Every wait is short or checks here, so that the bench ends its programs in order.

use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

static REQUESTED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

const STEP: Duration = Duration::from_millis(20);

/// From now on, signals that ask the bench to end are only noted.
pub(crate) fn install() -> Result<()> {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&REQUESTED))?;
    }
    Ok(())
}

/// Whether the bench was asked to end.
pub(crate) fn is_requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}

/// Fails if the bench was asked to end.
pub(crate) fn check() -> Result<()> {
    if is_requested() {
        bail!("interrupted");
    }
    Ok(())
}

/// Sleeps. Fails as soon as the bench is asked to end.
pub(crate) fn sleep(length: Duration) -> Result<()> {
    let started = Instant::now();
    loop {
        check()?;
        let left = length.saturating_sub(started.elapsed());
        if left.is_zero() {
            return Ok(());
        }
        thread::sleep(left.min(STEP));
    }
}
