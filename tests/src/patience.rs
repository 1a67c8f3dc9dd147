//! Waiting for something that happens.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

/// Longer than anything takes, also on a host that is busy with other things; only a failure waits so long.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Waits until `probe` answers.
pub fn until<T>(what: &str, probe: impl FnMut() -> Option<T>) -> T {
    until_or(what, probe, String::new)
}

/// Waits until `probe` answers; if it never does, `explain` helps to see why.
pub fn until_or<T>(what: &str, mut probe: impl FnMut() -> Option<T>, explain: impl Fn() -> String) -> T {
    let started = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(answer) = probe() {
            return answer;
        }
        assert!(started.elapsed() < LIMIT, "waited {LIMIT:?} for {what}\n{}", explain());
        thread::sleep(pause);
        // A look may be dear; what has taken long may take a little longer.
        pause = (pause * 5 / 4).min(Duration::from_millis(50));
    }
}

/// Sets a flag when it goes out of scope, also when a test fails: what goes on until then ends.
pub struct Stops<'a>(pub &'a AtomicBool);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
