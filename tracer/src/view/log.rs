//! The log: a line for each transition; on request for each connection that is stuck, for each reset
//! and for each retransmission.

use std::time::{Duration, Instant};

use tracer_common::event::kind;

use crate::{
    format::{Format, row::Row},
    tcp::{limits::Limits, reset::Names},
    time::clock::Clock,
    track::Tracked,
    view::{Ending, Scene, View},
};

/// Connections are looked at for stuck ones at most this often: what is due within that time is
/// told together.
const PAUSE: Duration = Duration::from_millis(250);

/// Who watches for connections that are stuck.
#[derive(Clone, Debug)]
pub struct Watch {
    /// How long a connection may stay in a state.
    pub limits: Limits,
    /// The first one ends the capture.
    pub ends: bool,
    /// Nothing else is shown.
    pub is_all: bool,
}

/// What has lines beside transitions.
#[derive(Clone, Copy, Debug, Default)]
pub struct Incidents {
    /// RST segments.
    pub resets: bool,
    /// Retransmissions.
    pub retransmits: bool,
}

impl Incidents {
    /// Whether anything has.
    #[must_use]
    pub fn any(self) -> bool {
        self.resets || self.retransmits
    }

    fn has(self, kind: u8) -> bool {
        match kind {
            kind::RESET_SENT | kind::RESET_RECEIVED => self.resets,
            _ => self.retransmits,
        }
    }
}

/// Writes every transition as a line.
pub struct Log {
    format: Box<dyn Format>,
    incidents: Incidents,
    names: Names,
    watch: Option<Watch>,
    due: Option<Instant>,
    is_stuck: bool,
}

impl Log {
    /// In this format, with or without a watch; with the kernel's names of why it sends an RST.
    #[must_use]
    pub fn new(format: Box<dyn Format>, incidents: Incidents, names: Names, watch: Option<Watch>) -> Self {
        let due = watch.as_ref().map(|_| Instant::now());
        Self { format, incidents, names, watch, due, is_stuck: false }
    }
}

impl View for Log {
    fn begin(&mut self, out: &mut Vec<u8>) {
        self.format.begin(out);
    }

    fn shows(&self, tracked: &Tracked) -> bool {
        if tracked.event.kind != kind::TRANSITION {
            return self.incidents.has(tracked.event.kind);
        }
        !tracked.is_silent && !self.watch.as_ref().is_some_and(|watch| watch.is_all)
    }

    fn show(&mut self, tracked: &Tracked, clock: &Clock, out: &mut Vec<u8>) {
        self.format.line(&Row { names: &self.names, ..Row::told(tracked, clock) }, out);
    }

    fn due(&self) -> Option<Instant> {
        self.due
    }

    fn act(&mut self, scene: Scene<'_>, out: &mut Vec<u8>) -> u64 {
        let Some(Watch { limits, ends, .. }) = &self.watch else {
            return 0;
        };
        let mut lines = 0;
        let mut tell = |stuck: &Tracked| {
            let is_shown = lines < scene.room && scene.select.holds(&stuck.connection);
            if is_shown {
                lines += 1;
                let row = Row { names: &self.names, ..Row::told(stuck, scene.clock) };
                self.format.line(&row, out);
            }
            is_shown
        };
        let next_ns = scene.tracker.stuck(limits, scene.now_ns, &mut tell);
        let pause = next_ns.map(|next_ns| Duration::from_nanos(next_ns.saturating_sub(scene.now_ns)));
        self.due = pause.map(|pause| Instant::now() + pause.max(PAUSE));
        self.is_stuck |= *ends && lines > 0;
        lines
    }

    fn ending(&self) -> Option<Ending> {
        self.is_stuck.then_some(Ending::Stuck)
    }
}
