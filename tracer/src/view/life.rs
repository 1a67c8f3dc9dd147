//! Life: a line for each connection, when it has ended for its processes.

use crate::{clock::Clock, format::Format, row::Row, track::Tracked, view::View};

/// Writes every connection's end as a line.
pub struct Life {
    format: Box<dyn Format>,
}

impl Life {
    /// In this format.
    #[must_use]
    pub fn new(format: Box<dyn Format>) -> Self {
        Self { format }
    }
}

impl View for Life {
    fn begin(&mut self, out: &mut Vec<u8>) {
        self.format.begin(out);
    }

    fn shows(&self, tracked: &Tracked) -> bool {
        tracked.reason.is_some()
    }

    fn show(&mut self, tracked: &Tracked, clock: &Clock, out: &mut Vec<u8>) {
        self.format.line(&Row::told(tracked, clock), out);
    }
}
