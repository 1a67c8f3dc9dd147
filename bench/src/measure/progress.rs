//! Prints how far a run is to standard error.

use std::time::Instant;

/// A number of measurements, some of which are done.
pub(crate) struct Progress {
    what: String,
    all: u32,
    done: u32,
    started: Instant,
}

impl Progress {
    /// The beginning of `all` measurements.
    pub(crate) fn new(what: &str, all: u32) -> Self {
        Self { what: what.to_owned(), all, done: 0, started: Instant::now() }
    }

    /// Prints what is measured next, and how much time is left.
    pub(crate) fn next(&mut self, name: &str) {
        let left = match self.done {
            0 => String::new(),
            done => {
                let each = self.started.elapsed() / done;
                format!(", {} s left", (each * (self.all - done)).as_secs())
            }
        };
        self.done += 1;
        eprintln!("bench: {}, {} of {}: {name}{left}", self.what, self.done, self.all);
    }
}
