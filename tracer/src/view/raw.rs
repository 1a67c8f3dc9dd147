//! The `raw` view: a line for each event of the tracepoint, with its values unchanged.

use tracer_common::Event;

use crate::{
    facts::{context::Context, kernel::KernelInfo},
    format::lines::Lines,
    track::Transition,
    view::{Needs, Scene, View},
};

/// Writes a line for each event of the tracepoint.
pub struct Raw {
    lines: Lines,
}

impl Raw {
    /// Creates the view, which writes these lines.
    #[must_use]
    pub fn new(lines: Lines) -> Self {
        Self { lines }
    }
}

impl View for Raw {
    fn needs(&self) -> Needs {
        Needs { names: self.lines.show_names(), ..Needs::default() }
    }

    fn begin(&mut self, kernel: &KernelInfo, _: u64, out: &mut Vec<u8>) {
        self.lines.begin(kernel, out);
    }

    fn shows(&self, _: &Transition) -> bool {
        false
    }

    fn show(&mut self, _: &Transition, _: &Context, _: &mut Vec<u8>) {}

    fn event(&mut self, event: &Event, context: &Context, out: &mut Vec<u8>) {
        self.lines.raw(event, context, out);
    }

    fn end(&mut self, _: Scene<'_>, out: &mut Vec<u8>) {
        self.lines.end(out);
    }
}
