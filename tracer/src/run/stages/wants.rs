//! What the stages want to be told, and when.

use crate::{run::stages::Stages, time::span::TimeSpan};

/// Time between two searches for holders that no line waits for, in nanoseconds.
const HOLDERS_INTERVAL_NS: u64 = 1_000_000_000;

impl Stages {
    /// When holders will be wanted because something has happened since the last search, even if nothing happens
    /// until then.
    #[must_use]
    pub fn holders_due(&self) -> Option<u64> {
        let due_ns = self.tracker.holders_ns().saturating_add(HOLDERS_INTERVAL_NS);
        let is_wanted =
            self.has_stories && self.has_holders && self.last_event_ns > self.tracker.holders_ns();
        (is_wanted && due_ns > self.now_ns).then_some(due_ns)
    }

    /// The time for which the holders of sockets are wanted, if they are: at once for a line that waits for them;
    /// else now and then, if something has happened since the last search or the view shows what is there now.
    #[must_use]
    pub fn wants_holders(&self) -> Option<u64> {
        if !self.has_stories || !self.has_holders {
            return None;
        }
        let shown_ns = if self.view.needs().refreshes { self.now_ns } else { self.last_event_ns };
        let is_due = self.now_ns >= self.tracker.holders_ns().saturating_add(HOLDERS_INTERVAL_NS);
        self.tracker.wants_holders().or(is_due.then_some(shown_ns))
    }

    /// The time for which the present facts of full sockets are wanted, if a line waits for them.
    #[must_use]
    pub fn wants_look(&self) -> Option<u64> {
        self.tracker.wants_look()
    }

    /// When the view is due to act, in nanoseconds of the kernel's monotonic clock.
    #[must_use]
    pub fn due(&self) -> Option<u64> {
        let TimeSpan { since_ns, until_ns } = self.span;
        let first_ns = if self.has_lines() { 0 } else { since_ns.unwrap_or_default() };
        let due_ns = self.view.due().map(|due_ns| due_ns.max(first_ns));
        due_ns.filter(|due_ns| until_ns.is_none_or(|until_ns| *due_ns <= until_ns))
    }
}
