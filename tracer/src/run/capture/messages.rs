//! What a capture says on standard error while it runs.

use std::fmt;

use crate::output::stderr::message;

/// Interval between messages about losses, in nanoseconds.
const LOSS_INTERVAL_NS: u64 = 1_000_000_000;

/// Says which host a message is about, if there are several.
pub(super) struct Speaker(pub(super) Option<String>);

impl Speaker {
    /// Says it on standard error.
    pub(super) fn say(&self, text: impl fmt::Display) {
        match &self.0 {
            Some(host) => message(format_args!("{host}: {text}")),
            None => message(text),
        }
    }
}

/// Reports losses while they happen, at most once per interval.
#[derive(Default)]
pub(super) struct LossMessages {
    lost: u64,
    reported: u64,
    /// When the next message is due, on the kernel's monotonic clock.
    pub(super) due_ns: Option<u64>,
}

impl LossMessages {
    /// Takes how many events are lost by now.
    pub(super) fn grow(&mut self, lost: Option<u64>, now_ns: u64) {
        self.lost = lost.unwrap_or(self.lost);
        if self.lost > self.reported {
            self.due_ns.get_or_insert(now_ns.saturating_add(LOSS_INTERVAL_NS));
        }
    }

    /// Prints the message if it is due.
    pub(super) fn tell(&mut self, now_ns: u64, speaker: &Speaker) {
        if self.due_ns.take_if(|due_ns| *due_ns <= now_ns).is_some() {
            speaker.say(format_args!("lost {} events, {} in all", self.lost - self.reported, self.lost));
            self.reported = self.lost;
        }
    }
}
