//! Stops the load when it is asked to.

use std::{
    io::{self, Read as _},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

static STOP: AtomicBool = AtomicBool::new(false);

/// Whether to stop.
pub(crate) fn is_requested() -> bool {
    STOP.load(Ordering::Relaxed)
}

/// Asks the load to stop.
pub(crate) fn ask() {
    STOP.store(true, Ordering::Relaxed);
}

/// Asks the load to stop when standard input ends: then the process that started it has ended or wants no
/// more.
pub(crate) fn with_stdin() {
    thread::spawn(|| {
        wait_for_stdin();
        ask();
    });
}

/// Waits for the end of standard input.
pub(crate) fn wait_for_stdin() {
    let mut unread = [0; 64];
    while let Ok(1..) = io::stdin().read(&mut unread) {}
}
