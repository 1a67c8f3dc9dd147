//! The `log` view: a line for each transition and, on request, for each stuck connection, reset and
//! retransmission.
//!
//! # Layout
//! - here: [`Log`]; `groups`: stuck connections by process

mod groups;

use std::mem;

use tracer_common::{event::kind, state};

use crate::{
    facts::{context::Context, hooks::REQUEST_HOOK, kernel::KernelInfo},
    format::lines::Lines,
    tcp::{limits::Limits, state::State},
    track::Transition,
    view::{Ending, Needs, Scene, View, log::groups::ProcessGroups},
};

/// Minimum time between two searches for stuck connections, in nanoseconds. Connections that become stuck
/// within this time are reported together.
const PAUSE_NS: u64 = 250_000_000;

/// Options for stuck connections.
#[derive(Clone, Debug)]
pub struct Watch {
    /// How long a connection may stay in a state.
    pub limits: Limits,
    /// The first stuck connection ends the capture.
    pub ends: bool,
    /// Only stuck connections are shown.
    pub is_all: bool,
    /// One line per process instead of one per connection.
    pub groups: bool,
}

/// Events other than transitions that get lines.
#[derive(Clone, Copy, Debug, Default)]
pub struct Incidents {
    /// RST segments.
    pub resets: bool,
    /// Retransmitted segments.
    pub retransmits: bool,
}

impl Incidents {
    /// Whether any of them gets lines.
    #[must_use]
    pub fn any(self) -> bool {
        self.resets || self.retransmits
    }

    fn has(self, kind: u8) -> bool {
        self.resets && kind::is_reset(kind) || self.retransmits && kind::is_retransmit(kind)
    }
}

/// Writes a line for each transition.
pub struct Log {
    lines: Lines,
    incidents: Incidents,
    watch: Option<Watch>,
    groups: ProcessGroups,
    due_ns: Option<u64>,
    is_stuck: bool,
    /// States that connections were stuck in, as bits, and those of them that were not asked for yet.
    stuck_in: u32,
    newly_stuck_in: u32,
}

impl Log {
    /// Creates the view, which writes these lines. `watch` also searches for stuck connections.
    #[must_use]
    pub fn new(lines: Lines, incidents: Incidents, watch: Option<Watch>) -> Self {
        Self {
            lines,
            incidents,
            watch,
            groups: ProcessGroups::default(),
            due_ns: None,
            is_stuck: false,
            stuck_in: 0,
            newly_stuck_in: 0,
        }
    }
}

impl View for Log {
    fn needs(&self) -> Needs {
        let limits = self.watch.as_ref().map(|watch| &watch.limits);
        let half_open = limits.is_some_and(|limits| limits.of(state::NEW_SYN_RECV).is_some());
        let hooks: [(_, _, &[_]); 3] = [
            (self.incidents.resets, "--resets", &["tcp_send_reset", "tcp_receive_reset"]),
            (self.incidents.retransmits, "--retransmits", &["tcp_retransmit_skb", "tcp_retransmit_synack"]),
            (half_open, "--stuck NEW_SYN_RECV", &[REQUEST_HOOK]),
        ];
        let asked = hooks.into_iter().filter(|(is_asked, ..)| *is_asked);
        Needs {
            stories: true,
            stray_resets: self.incidents.resets,
            names: self.lines.show_names(),
            hooks: asked.map(|(_, option, hooks)| (option, hooks)).collect(),
            ..Needs::default()
        }
    }

    fn begin(&mut self, kernel: &KernelInfo, at_ns: u64, out: &mut Vec<u8>) {
        self.due_ns = self.watch.as_ref().map(|_| at_ns);
        self.lines.begin(kernel, out);
    }

    fn shows(&self, transition: &Transition) -> bool {
        if !transition.is_transition() {
            return self.incidents.has(transition.kind);
        }
        !transition.is_silent && !self.watch.as_ref().is_some_and(|watch| watch.is_all)
    }

    fn show(&mut self, transition: &Transition, context: &Context, out: &mut Vec<u8>) {
        self.lines.transition(transition, context, out);
    }

    fn flush(&mut self, context: &Context, out: &mut Vec<u8>) {
        self.lines.flush(context, out);
    }

    fn due(&self) -> Option<u64> {
        self.due_ns
    }

    fn act(&mut self, scene: Scene<'_>, out: &mut Vec<u8>) -> u64 {
        let Some(Watch { limits, ends, groups, .. }) = &self.watch else {
            return 0;
        };
        let room = if *ends { scene.room.min(1) } else { scene.room };
        // A group may have any number of connections.
        let most = if *groups { u64::MAX } else { room };
        let mut shown = 0;
        let mut states = 0;
        let mut tell = |stuck: &Transition| {
            let is_shown = shown < most && scene.select.holds(&stuck.connection);
            if is_shown {
                shown += 1;
            }
            if is_shown && scene.is_shown {
                states |= 1_u32.checked_shl(stuck.connection.state.into()).unwrap_or_default();
                if !groups {
                    self.lines.transition(stuck, scene.context, out);
                }
            }
            is_shown
        };
        let next_ns = scene.tracker.stuck(limits, scene.now_ns, &mut tell);
        if *groups && shown > 0 {
            let told = self.groups.next(scene.tracker.told_stuck(limits, scene.now_ns), room);
            for group in told.iter().filter(|_| scene.is_shown) {
                self.lines.group(&group.oldest, group.count, scene.context, out);
            }
            shown = told.len() as u64;
        }
        self.due_ns = next_ns.map(|next_ns| next_ns.max(scene.now_ns.saturating_add(PAUSE_NS)));
        if !scene.is_shown {
            return 0;
        }
        self.is_stuck |= *ends && shown > 0;
        self.newly_stuck_in |= states & !self.stuck_in;
        self.stuck_in |= states;
        shown
    }

    fn newly_stuck(&mut self) -> Vec<State> {
        let states = mem::take(&mut self.newly_stuck_in);
        let numbers = state::ESTABLISHED..=state::NEW_SYN_RECV;
        numbers.filter(|number| states & 1 << number != 0).map(State::from_kernel).collect()
    }

    fn end(&mut self, _: Scene<'_>, out: &mut Vec<u8>) {
        self.lines.end(out);
    }

    fn ending(&self) -> Option<Ending> {
        self.is_stuck.then_some(Ending::Stuck)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_asked_for_gets_lines() {
        let shown = |resets, retransmits| {
            let incidents = Incidents { resets, retransmits };
            (0..=u8::MAX).filter(|kind| incidents.has(*kind)).collect::<Vec<_>>()
        };
        assert_eq!(shown(true, false), [kind::RESET_SENT, kind::RESET_RECEIVED]);
        assert_eq!(shown(false, true), [kind::RETRANSMIT, kind::RETRANSMIT_SYNACK]);
        assert!(shown(false, false).is_empty());
    }
}
