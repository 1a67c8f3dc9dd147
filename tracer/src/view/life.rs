//! Life: a line for each connection, when it has ended for its processes.

use crate::{
    format::{Format, row::Row},
    tcp::reset::Names,
    time::clock::Clock,
    track::Tracked,
    view::View,
};

/// Writes every connection's end as a line.
pub struct Life {
    format: Box<dyn Format>,
    names: Names,
}

impl Life {
    /// In this format, with the kernel's names of why it sends an RST.
    #[must_use]
    pub fn new(format: Box<dyn Format>, names: Names) -> Self {
        Self { format, names }
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
        self.format.line(&Row { names: &self.names, ..Row::told(tracked, clock) }, out);
    }
}
