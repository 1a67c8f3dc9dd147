//! Lines as views write them: a format, and what it has to know of the kernel.

use tracer_common::Event;

use crate::{
    facts::kernel::KernelInfo,
    format::{Format, Plan, row::Row},
    tcp::reset::ResetReasons,
    time::clock::Clock,
    track::Transition,
};

/// Writes rows as lines of one format.
pub struct Lines {
    plan: Plan,
    format: Box<dyn Format>,
    reset_reasons: ResetReasons,
}

impl Lines {
    /// As planned, for a kernel that tells everything.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        Self { format: plan.format(&[]), plan, reset_reasons: ResetReasons::default() }
    }

    /// Makes the first bytes, for this kernel.
    pub fn begin(&mut self, kernel: &KernelInfo, out: &mut Vec<u8>) {
        self.format = self.plan.format(&kernel.absent);
        self.reset_reasons = kernel.reset_reasons.clone();
        self.format.begin(out);
    }

    /// A line for what happened to a connection.
    pub fn transition(&mut self, transition: &Transition, clock: &Clock, out: &mut Vec<u8>) {
        self.format.line(&Row::transition(transition, clock, &self.reset_reasons), out);
    }

    /// A line for exactly what the tracepoint said.
    pub fn raw(&mut self, event: &Event, clock: &Clock, out: &mut Vec<u8>) {
        self.format.line(&Row::raw(event, clock), out);
    }

    /// Makes the last bytes.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        self.format.end(out);
    }
}
