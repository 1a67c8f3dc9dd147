//! The view of `record`: it shows nothing, needs what the others need, and says when what is recorded must be kept.

use crate::{
    aggregate::triggers::{TriggerWatch, Triggers},
    facts::{context::Context, kernel::KernelInfo},
    track::Transition,
    view::{Needs, Scene, View},
};

/// Shows nothing.
pub struct Record {
    /// Only events are wanted, and nothing that stories are made of.
    raw: bool,
    triggers: TriggerWatch,
}

impl Record {
    /// With `raw` only events are recorded.
    #[must_use]
    pub fn new(raw: bool, triggers: Triggers) -> Self {
        Self { raw, triggers: TriggerWatch::new(triggers) }
    }
}

impl View for Record {
    fn needs(&self) -> Needs {
        let stories = !self.raw;
        Needs { stories, refreshes: stories, gauges: stories, stray_resets: stories, ..Needs::default() }
    }

    fn begin(&mut self, _: &KernelInfo, at_ns: u64, _: &mut Vec<u8>) {
        self.triggers.begin(at_ns);
    }

    fn shows(&self, transition: &Transition) -> bool {
        transition.is_transition()
    }

    fn show(&mut self, transition: &Transition, _: &Context, _: &mut Vec<u8>) {
        self.triggers.note(transition);
    }

    fn has_lines(&self) -> bool {
        false
    }

    fn due(&self) -> Option<u64> {
        self.triggers.due()
    }

    fn act(&mut self, scene: Scene<'_>, _: &mut Vec<u8>) -> u64 {
        self.triggers.look(scene.tracker, scene.now_ns);
        0
    }

    fn trigger(&mut self) -> Option<(String, u64)> {
        self.triggers.take()
    }
}
