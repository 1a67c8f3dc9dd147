//! A repeated activity, and how often it was done.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

pub(crate) struct Activity<'a> {
    name: &'static str,
    count: AtomicU64,
    stops: &'a AtomicBool,
}

impl<'a> Activity<'a> {
    pub(crate) fn new(name: &'static str, stops: &'a AtomicBool) -> Self {
        Self { name, count: AtomicU64::new(0), stops }
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Counts one repetition.
    pub(crate) fn done(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.stops.load(Ordering::Relaxed)
    }
}
