//! Waits for a condition.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

/// The longest wait. Nothing takes as long even on a busy host, so that only failures reach it.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Waits until `probe` returns a value, and returns that.
pub fn until<T>(what: &str, probe: impl FnMut() -> Option<T>) -> T {
    until_or(what, probe, String::new)
}

/// The same. If `probe` never returns a value, the panic message includes what `explain` returns.
pub fn until_or<T>(what: &str, mut probe: impl FnMut() -> Option<T>, explain: impl Fn() -> String) -> T {
    let started = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(answer) = probe() {
            return answer;
        }
        assert!(started.elapsed() < LIMIT, "waited {LIMIT:?} for {what}\n{}", explain());
        thread::sleep(pause);
        // A probe may be expensive, so pauses grow.
        pause = (pause * 5 / 4).min(Duration::from_millis(50));
    }
}

/// Sets a flag when it is dropped, also when a test panics. Threads that run until the flag is set then end.
pub struct Stops<'a>(pub &'a AtomicBool);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
