//! Raw: a line for each hit of the tracepoint, exactly as it said.

use tracer_common::Event;

use crate::{
    facts::kernel::KernelInfo,
    format::lines::Lines,
    time::clock::Clock,
    track::Transition,
    view::{Needs, Scene, View},
};

/// Writes every event of the tracepoint as a line.
pub struct Raw {
    lines: Lines,
}

impl Raw {
    /// In these lines.
    #[must_use]
    pub fn new(lines: Lines) -> Self {
        Self { lines }
    }
}

impl View for Raw {
    fn needs(&self) -> Needs {
        Needs::default()
    }

    fn begin(&mut self, kernel: &KernelInfo, _: u64, out: &mut Vec<u8>) {
        self.lines.begin(kernel, out);
    }

    fn shows(&self, _: &Transition) -> bool {
        false
    }

    fn show(&mut self, _: &Transition, _: &Clock, _: &mut Vec<u8>) {}

    fn event(&mut self, event: &Event, clock: &Clock, out: &mut Vec<u8>) {
        self.lines.raw(event, clock, out);
    }

    fn end(&mut self, _: Scene<'_>, out: &mut Vec<u8>) {
        self.lines.end(out);
    }
}
