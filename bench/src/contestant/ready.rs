//! When a contestant is attached.

use std::time::Instant;

use crate::{child::Child, programs};

/// How to know that a contestant is attached.
pub(super) enum Ready {
    /// It writes a line with this beginning to standard error.
    Line(&'static str),
    /// Its first BPF program is loaded; for contestants that print nothing.
    Loaded,
}

impl Ready {
    /// When it was attached; `None` if it is not yet.
    pub(super) fn at(&self, child: &Child) -> Option<Instant> {
        match self {
            Self::Line(start) => child.line_at(start),
            Self::Loaded => (!programs::of(child.pid()).is_empty()).then(Instant::now),
        }
    }
}
