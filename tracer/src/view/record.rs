//! The view of `record`: it shows nothing, needs what the others need, and says when what is recorded must be kept.

use std::{collections::VecDeque, time::Duration};

use crate::{
    facts::{context::Context, kernel::KernelInfo},
    tcp::{limits::Limits, reasons::Rate, state::State},
    track::Transition,
    view::{Needs, Scene, View},
};

/// How often stuck connections are looked for, in nanoseconds.
const LOOK_NS: u64 = 1_000_000_000;

/// When the last parts of a recording must be kept.
#[derive(Clone, Debug, Default)]
pub struct Triggers {
    /// A connection is stuck in a state.
    pub stuck: Limits,
    /// Many connections end for a reason.
    pub rates: Vec<Rate>,
    /// After one, no other for so long.
    pub pause: Duration,
}

/// Shows nothing.
pub struct Record {
    /// Only events are wanted, and nothing that stories are made of.
    raw: bool,
    triggers: Triggers,
    /// When what each rate counts happened, in nanoseconds: as far back as its time, and not more than it needs.
    counted: Vec<VecDeque<u64>>,
    /// How many connections were stuck in each state when that was last looked at.
    stuck: [u64; 16],
    due_ns: Option<u64>,
    /// Why it must be kept, and since when, in nanoseconds.
    trigger: Option<(String, u64)>,
    /// There is no other trigger before this time.
    paused_until_ns: u64,
}

impl Record {
    /// With `raw` only events are recorded.
    #[must_use]
    pub fn new(raw: bool, triggers: Triggers) -> Self {
        Self {
            raw,
            counted: vec![VecDeque::new(); triggers.rates.len()],
            triggers,
            stuck: [0; 16],
            due_ns: None,
            trigger: None,
            paused_until_ns: 0,
        }
    }

    fn pull(&mut self, why: String, at_ns: u64) {
        if at_ns >= self.paused_until_ns {
            let pause_ns = u64::try_from(self.triggers.pause.as_nanos()).unwrap_or(u64::MAX);
            self.paused_until_ns = at_ns.saturating_add(pause_ns);
            self.trigger = Some((why, at_ns));
        }
    }

    /// A rate that this end of a connection completes.
    fn completed(&mut self, transition: &Transition) -> Option<String> {
        let reason = transition.reason?;
        let at_ns = transition.time_ns;
        let rates = self.triggers.rates.iter().zip(&mut self.counted);
        let mut completed = None;
        for (rate, counted) in rates.filter(|(rate, _)| rate.reasons.contains(reason)) {
            let is_old = |time_ns: &u64| u128::from(at_ns.saturating_sub(*time_ns)) >= rate.time.as_nanos();
            while counted.front().is_some_and(is_old) {
                counted.pop_front();
            }
            counted.push_back(at_ns);
            if counted.len() as u64 >= rate.count {
                counted.clear();
                completed = Some(reason.name().to_owned());
            }
        }
        completed
    }
}

impl View for Record {
    fn needs(&self) -> Needs {
        let stories = !self.raw;
        Needs { stories, refreshes: stories, gauges: stories, stray_resets: stories, ..Needs::default() }
    }

    fn begin(&mut self, _: &KernelInfo, at_ns: u64, _: &mut Vec<u8>) {
        self.due_ns = (!self.triggers.stuck.is_empty()).then_some(at_ns);
    }

    fn shows(&self, transition: &Transition) -> bool {
        transition.is_transition()
    }

    fn show(&mut self, transition: &Transition, _: &Context, _: &mut Vec<u8>) {
        if let Some(why) = self.completed(transition) {
            self.pull(why, transition.time_ns);
        }
    }

    fn has_lines(&self) -> bool {
        false
    }

    fn due(&self) -> Option<u64> {
        self.due_ns
    }

    fn act(&mut self, scene: Scene<'_>, _: &mut Vec<u8>) -> u64 {
        // Nothing is noted in the connections: a replay finds for itself which ones are stuck.
        let mut stuck = [0; 16];
        let (now_ns, gap_ns) = (scene.now_ns, scene.tracker.loss_gap_ns());
        let limits = &self.triggers.stuck;
        for connection in scene.tracker.iter().filter(|one| one.stuck_ns(limits, now_ns, gap_ns).is_some()) {
            if let Some(count) = stuck.get_mut(usize::from(connection.state)) {
                *count += 1;
            }
        }
        let grown = stuck.iter().zip(&self.stuck).zip(0..).find(|((now, before), _)| now > before);
        let grown = grown.map(|(_, state)| State::from_kernel(state));
        match grown {
            // What happens during the pause is told after it.
            Some(_) if now_ns < self.paused_until_ns => {
                self.stuck.iter_mut().zip(stuck).for_each(|(before, now)| *before = now.min(*before));
            }
            Some(state) => {
                self.stuck = stuck;
                self.pull(format!("stuck-{state}"), now_ns);
            }
            None => self.stuck = stuck,
        }
        self.due_ns = Some(now_ns.saturating_add(LOOK_NS));
        0
    }

    fn trigger(&mut self) -> Option<(String, u64)> {
        self.trigger.take()
    }
}
