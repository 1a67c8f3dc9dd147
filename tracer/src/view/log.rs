//! The log: a line for each transition.

use bytes::BytesMut;

use crate::{format::Format, row::Row, track::Tracked, view::View};

/// Writes every transition as a line.
pub struct Log {
    format: Box<dyn Format>,
}

impl Log {
    /// In this format.
    #[must_use]
    pub fn new(format: Box<dyn Format>) -> Self {
        Self { format }
    }
}

impl View for Log {
    fn begin(&mut self, out: &mut BytesMut) {
        self.format.begin(out);
    }

    fn shows(&self, tracked: &Tracked) -> bool {
        !tracked.is_silent
    }

    fn show(&mut self, row: &Row<'_>, out: &mut BytesMut) {
        self.format.line(row, out);
    }
}
