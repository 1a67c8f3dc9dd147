//! The lines that the view appends: how many, where they begin, and which of them are shown.

use crate::{
    facts::context::Context, output::merge::LineStart, run::stages::Counts, time::span::TimeSpan,
    track::Transition, view::View,
};

/// Where lines begin in the bytes that the view has appended, if somebody wants to know.
#[derive(Default)]
pub(super) struct LineStarts {
    pub(super) is_wanted: bool,
    pub(super) starts: Vec<LineStart>,
}

impl LineStarts {
    /// Each line that was appended behind this offset is about this time.
    pub(super) fn add_lines(&mut self, at: usize, out: &[u8], time_ns: u64, context: &Context) {
        let mut begin = at;
        for line in out[at..].split_inclusive(|byte| *byte == b'\n') {
            self.add(begin, out, time_ns, context);
            begin += line.len();
        }
    }

    /// What was appended behind this offset is about this time.
    pub(super) fn add(&mut self, at: usize, out: &[u8], time_ns: u64, context: &Context) {
        if self.is_wanted && out.len() > at {
            self.starts.push(LineStart { at, wall_ns: context.clock.wall_ns(time_ns) });
        }
    }
}

/// Returns a function that passes transitions to the view if it shows them and the limit allows it.
pub(super) fn showing<'a>(
    view: &'a mut dyn View,
    counter: &'a mut LineCounter,
    context: &'a Context,
    (out, starts): (&'a mut Vec<u8>, &'a mut LineStarts),
) -> impl FnMut(&Transition) + 'a {
    move |transition| {
        let is_transition = transition.is_transition();
        let is_counted = is_transition && !transition.is_silent;
        if view.shows(transition) && counter.next(transition.time_ns, is_counted) {
            counter.incidents += u64::from(!is_transition);
            let at = out.len();
            view.show(transition, context, out);
            starts.add(at, out, transition.time_ns, context);
        }
    }
}

/// Counts lines up to the limit, those beyond it, and those that are not in the part of a recording that is shown.
pub(super) struct LineCounter {
    span: TimeSpan,
    pub(super) shown: u64,
    pub(super) beyond: u64,
    pub(super) outside: u64,
    /// Of the lines shown, those that are no transitions.
    pub(super) incidents: u64,
    limit: Option<u64>,
}

impl LineCounter {
    pub(super) fn new(counts: &Counts, limit: Option<u64>, span: TimeSpan) -> Self {
        Self { span, shown: counts.shown, beyond: 0, outside: 0, incidents: 0, limit }
    }

    /// Counts a line about this time. Returns whether it is to be shown.
    pub(super) fn next(&mut self, time_ns: u64, is_transition: bool) -> bool {
        if !self.span.has(time_ns) {
            self.outside += u64::from(is_transition);
            return false;
        }
        let is_full = self.limit.is_some_and(|limit| self.shown >= limit);
        let count = if is_full { &mut self.beyond } else { &mut self.shown };
        *count += 1;
        !is_full
    }
}
