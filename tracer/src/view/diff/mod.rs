//! The views of `diff`: one counts a side, and shows nothing; the comparison of both is written when there are two.
//!
//! # Layout
//! - here: the view that counts a side
//! - [`text`]: a comparison as tables; [`data`]: as JSON and CSV

pub mod data;
pub mod text;

use std::sync::mpsc::Sender;

use jiff::Timestamp;

use crate::{
    aggregate::diff::side::{DiffSide, NamedSide},
    facts::{context::Context, kernel::KernelInfo},
    track::Transition,
    view::{Needs, Scene, View},
};

/// What was counted of a host.
#[derive(Debug)]
pub struct CountedSide {
    /// The counts.
    pub side: NamedSide,
    /// When the span began.
    pub from: Timestamp,
    /// When it ended.
    pub to: Timestamp,
}

/// Counts one side of a comparison.
#[derive(Debug)]
pub struct DiffCounter {
    side: DiffSide,
    since_ns: u64,
    /// Where the counts go at the end.
    to: Sender<CountedSide>,
}

impl DiffCounter {
    /// Nothing is counted yet.
    #[must_use]
    pub fn new(to: Sender<CountedSide>) -> Self {
        Self { side: DiffSide::default(), since_ns: 0, to }
    }
}

impl View for DiffCounter {
    fn needs(&self) -> Needs {
        Needs { stories: true, names: true, ..Needs::default() }
    }

    fn begin(&mut self, _: &KernelInfo, at_ns: u64, _: &mut Vec<u8>) {
        self.since_ns = at_ns;
        self.side.begin(at_ns);
    }

    /// Silent transitions count, too, because they end connections.
    fn shows(&self, transition: &Transition) -> bool {
        transition.is_transition()
    }

    fn show(&mut self, transition: &Transition, context: &Context, _: &mut Vec<u8>) {
        self.side.add(transition, &context.names);
    }

    fn has_lines(&self) -> bool {
        false
    }

    fn end(&mut self, scene: Scene<'_>, _: &mut Vec<u8>) {
        let names = &scene.context.names;
        let mut side = std::mem::take(&mut self.side);
        let left = scene.tracker.iter().filter(|connection| scene.select.holds(connection));
        side.end(left, names, scene.now_ns);
        let at = |time_ns| scene.context.clock.wall(time_ns);
        let counted = CountedSide { side: side.named(names), from: at(self.since_ns), to: at(scene.now_ns) };
        // Nobody may be waiting any more.
        let _ = self.to.send(counted);
    }
}
