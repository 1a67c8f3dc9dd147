//! The view of `record`: it shows nothing, and needs what the others need.

use tracer_common::Event;

use crate::{
    facts::{context::Context, kernel::KernelInfo},
    track::Transition,
    view::{Needs, View},
};

/// Shows nothing.
#[derive(Clone, Copy, Debug)]
pub struct Silent {
    /// Only events are wanted, and nothing that stories are made of.
    pub raw: bool,
}

impl View for Silent {
    fn needs(&self) -> Needs {
        let stories = !self.raw;
        Needs { stories, refreshes: stories, gauges: stories, stray_resets: stories, ..Needs::default() }
    }

    fn begin(&mut self, _: &KernelInfo, _: u64, _: &mut Vec<u8>) {}

    fn shows(&self, transition: &Transition) -> bool {
        transition.is_transition()
    }

    fn show(&mut self, _: &Transition, _: &Context, _: &mut Vec<u8>) {}

    fn event(&mut self, _: &Event, _: &Context, _: &mut Vec<u8>) {}

    fn has_lines(&self) -> bool {
        false
    }
}
