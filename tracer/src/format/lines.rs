//! Output lines as views write them: a format, and the kernel's properties that it depends on.

use tracer_common::Event;

use crate::{
    facts::{context::Context, kernel::KernelInfo},
    format::{Format, Plan, row::Row},
    tcp::reset::ResetReasons,
    track::Transition,
};

/// Writes rows as lines of one format.
pub struct Lines {
    plan: Plan,
    format: Box<dyn Format>,
    reset_reasons: ResetReasons,
}

impl Lines {
    /// Creates the lines for a kernel that lacks nothing.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        Self { format: plan.format(&[]), plan, reset_reasons: ResetReasons::default() }
    }

    /// Whether they have names that have to be looked up.
    #[must_use]
    pub fn show_names(&self) -> bool {
        self.plan.shows_names()
    }

    /// Appends the beginning of the output, for this kernel.
    pub fn begin(&mut self, kernel: &KernelInfo, out: &mut Vec<u8>) {
        self.format = self.plan.format(&kernel.absent);
        self.reset_reasons = kernel.reset_reasons.clone();
        self.format.begin(out);
    }

    /// Appends a line for an event of a connection.
    pub fn transition(&mut self, transition: &Transition, context: &Context, out: &mut Vec<u8>) {
        self.format.line(&Row::transition(transition, context, &self.reset_reasons), out);
    }

    /// Appends a line for a group of stuck connections: about this one, and how many there are.
    pub fn group(&mut self, oldest: &Transition, count: u64, context: &Context, out: &mut Vec<u8>) {
        let mut row = Row::transition(oldest, context, &self.reset_reasons);
        row.group = Some(count);
        self.format.line(&row, out);
    }

    /// Appends a line for an event of the tracepoint, with its values unchanged.
    pub fn raw(&mut self, event: &Event, context: &Context, out: &mut Vec<u8>) {
        self.format.line(&Row::raw(event, context), out);
    }

    /// Appends the end of the output.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        self.format.end(out);
    }
}

#[cfg(test)]
impl Lines {
    /// Lines of a format that the command line does not have.
    pub(crate) fn of(format: Box<dyn Format>) -> Self {
        use crate::format::{Kind, columns::DefaultIn, text};
        let style = text::TextStyle { time: text::TimeFormat::Utc, colour: false, precise: false };
        let default_in = (DefaultIn::LOG_TEXT, DefaultIn::LOG_DATA);
        let plan = Plan { kind: Kind::Text, columns: None, default_in, style };
        Self { plan, format, reset_reasons: ResetReasons::default() }
    }
}
