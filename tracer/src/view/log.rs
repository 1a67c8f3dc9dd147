//! The log: a line for each transition.

use bytes::BytesMut;
use tracer_common::Event;

use crate::{clock::Clock, format::Format, transition::Transition};

/// Turns events into lines.
pub struct Log {
    format: Box<dyn Format>,
    raw: bool,
    shown: u64,
    limit: Option<u64>,
}

impl Log {
    /// Shows at most `limit` lines; `raw` for exactly what the tracepoint said.
    #[must_use]
    pub fn new(format: Box<dyn Format>, raw: bool, limit: Option<u64>) -> Self {
        Self { format, raw, shown: 0, limit }
    }

    /// What comes before the first line.
    pub fn begin(&mut self, out: &mut BytesMut) {
        self.format.begin(out);
    }

    /// Appends the event's line to `out`; false once the limit is reached.
    pub fn show(&mut self, event: &Event, clock: &Clock, out: &mut BytesMut) -> bool {
        if self.is_full() {
            return false;
        }
        let transition =
            if self.raw { Transition::raw(event, clock) } else { Transition::plain(event, clock) };
        self.format.line(&transition, out);
        self.shown += 1;
        !self.is_full()
    }

    /// Whether the limit is reached.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.limit.is_some_and(|limit| self.shown >= limit)
    }

    /// Lines so far.
    #[must_use]
    pub fn shown(&self) -> u64 {
        self.shown
    }
}
