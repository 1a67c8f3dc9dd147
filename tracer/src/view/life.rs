//! Life: a line for each connection, when it has ended for its processes.

use bytes::BytesMut;

use crate::{format::Format, row::Row, track::Tracked, view::View};

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
    fn begin(&mut self, out: &mut BytesMut) {
        self.format.begin(out);
    }

    fn shows(&self, tracked: &Tracked) -> bool {
        tracked.reason.is_some()
    }

    fn show(&mut self, row: &Row<'_>, out: &mut BytesMut) {
        self.format.line(row, out);
    }
}
