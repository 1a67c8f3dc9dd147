//! When a contestant is attached.

use std::time::Instant;

use crate::{child::Child, programs};

/// What tells it.
pub(super) enum Ready {
    /// A line on standard error that starts so.
    Line(&'static str),
    /// Its first BPF program is loaded. For those that say nothing.
    Loaded,
}

impl Ready {
    /// Since when; `None` as long as it is not.
    pub(super) fn at(&self, child: &Child) -> Option<Instant> {
        match self {
            Self::Line(start) => child.line_at(start),
            Self::Loaded => (!programs::of(child.pid()).is_empty()).then(Instant::now),
        }
    }
}
