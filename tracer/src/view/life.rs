//! The `life` view: a line for each connection when it has ended for its processes.

use crate::{
    facts::{context::Context, kernel::KernelInfo},
    format::lines::Lines,
    track::Transition,
    view::{Needs, Scene, View},
};

/// Writes a line when a connection ends.
pub struct Life {
    lines: Lines,
}

impl Life {
    /// Creates the view, which writes these lines.
    #[must_use]
    pub fn new(lines: Lines) -> Self {
        Self { lines }
    }
}

impl View for Life {
    fn needs(&self) -> Needs {
        Needs { stories: true, names: self.lines.show_names(), ..Needs::default() }
    }

    fn begin(&mut self, kernel: &KernelInfo, _: u64, out: &mut Vec<u8>) {
        self.lines.begin(kernel, out);
    }

    fn shows(&self, transition: &Transition) -> bool {
        transition.reason.is_some()
    }

    fn show(&mut self, transition: &Transition, context: &Context, out: &mut Vec<u8>) {
        self.lines.transition(transition, context, out);
    }

    fn flush(&mut self, context: &Context, out: &mut Vec<u8>) {
        self.lines.flush(context, out);
    }

    fn end(&mut self, _: Scene<'_>, out: &mut Vec<u8>) {
        self.lines.end(out);
    }
}
