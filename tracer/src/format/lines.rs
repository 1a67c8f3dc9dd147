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
    /// Transitions whose lines are not appended yet, because the format wants several at once.
    held: Vec<Transition>,
}

impl Lines {
    /// Creates the lines for a kernel that lacks nothing.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        Self::with(plan.format(&[]), plan)
    }

    fn with(format: Box<dyn Format>, plan: Plan) -> Self {
        Self { plan, format, reset_reasons: ResetReasons::default(), held: Vec::new() }
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

    /// Appends a line for an event of a connection. It may be held back until [`Self::flush`].
    pub fn transition(&mut self, transition: &Transition, context: &Context, out: &mut Vec<u8>) {
        let rows_at_once = self.format.rows_at_once();
        if rows_at_once == 1 {
            self.format.line(&Row::transition(transition, context, &self.reset_reasons), out);
            return;
        }
        self.held.push(*transition);
        if self.held.len() == rows_at_once {
            self.flush(context, out);
        }
    }

    /// Appends the lines that were held back. The context is that of their transitions.
    pub fn flush(&mut self, context: &Context, out: &mut Vec<u8>) {
        if !self.held.is_empty() {
            let row = |transition| Row::transition(transition, context, &self.reset_reasons);
            let rows: Vec<_> = self.held.iter().map(row).collect();
            self.format.lines(&rows, out);
            self.held.clear();
        }
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
        Self::with(format, plan)
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::state;
    use zerocopy::FromZeros as _;

    use super::*;
    use crate::{time::clock::Clock, track::Tracker};

    /// Tells how many rows it gets at once, and when they were.
    struct Pairs;

    impl Format for Pairs {
        fn begin(&mut self, _: &mut Vec<u8>) {}
        fn rows_at_once(&self) -> usize {
            2
        }
        fn line(&mut self, row: &Row<'_>, out: &mut Vec<u8>) {
            out.extend(row.time_ns.to_string().bytes());
        }
        fn lines(&mut self, rows: &[Row<'_>], out: &mut Vec<u8>) {
            for row in rows {
                self.line(row, out);
            }
            out.push(b' ');
        }
    }

    #[test]
    fn rows_are_held_back_until_there_are_enough_or_the_context_changes() {
        let (mut lines, context) = (Lines::of(Box::new(Pairs)), Context::new(Clock::fixed(0, 0)));
        let (mut tracker, mut out) = (Tracker::new(false), Vec::new());
        for time_ns in 1..=5 {
            let (cookie, new_state) = (time_ns, state::SYN_SENT);
            let event = Event { time_ns, cookie, old_state: state::CLOSE, new_state, ..Event::new_zeroed() };
            tracker.event(&event, &mut |transition| lines.transition(transition, &context, &mut out));
        }
        assert_eq!(out, b"12 34 ");
        lines.flush(&context, &mut out);
        lines.flush(&context, &mut out);
        assert_eq!(out, b"12 34 5 ");
    }
}
