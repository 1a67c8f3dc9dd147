//! What is made of transitions: a file or a folder for each view.

pub mod input;
pub mod life;
pub mod log;
pub mod summary;
pub mod top;

use std::time::Instant;

use crate::{
    select::Select,
    time::clock::Clock,
    track::{Tracked, Tracker},
    view::input::Input,
};

/// What a view may look at when it acts by itself.
pub struct Scene<'a> {
    /// All connections.
    pub tracker: &'a mut Tracker,
    /// The filters.
    pub select: &'a Select,
    /// To translate times with.
    pub clock: &'a Clock,
    /// Up to when events have been told.
    pub now_ns: u64,
    /// Events lost so far; `None` if that cannot be read.
    pub lost: Option<u64>,
    /// Lines that may still be shown.
    pub room: u64,
    /// What was said last, while the screen is a view's.
    pub message: Option<&'a str>,
}

/// Why a view wants to end the capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It has shown as much as was asked for.
    Enough,
    /// The user wants to leave.
    Quit,
    /// A connection is stuck, and that was what was waited for.
    Stuck,
}

/// A view turns what has passed the filters into bytes; it does no I/O.
pub trait View {
    /// What comes before everything else.
    fn begin(&mut self, out: &mut Vec<u8>);
    /// Whether a transition is of interest here.
    fn shows(&self, tracked: &Tracked) -> bool;
    /// Takes it.
    fn show(&mut self, tracked: &Tracked, clock: &Clock, out: &mut Vec<u8>);
    /// Whether each transition taken is a line of output.
    fn has_lines(&self) -> bool {
        true
    }
    /// When it wants to act by itself.
    fn due(&self) -> Option<Instant> {
        None
    }
    /// Acts by itself; gives how many lines it appended.
    fn act(&mut self, _: Scene<'_>, _: &mut Vec<u8>) -> u64 {
        0
    }
    /// The last word, when all events have been taken.
    fn end(&mut self, _: Scene<'_>, _: &mut Vec<u8>) {}
    /// A key was pressed, or the screen has another size.
    fn input(&mut self, _: Input, _: Scene<'_>) {}
    /// Whether the capture shall end.
    fn ending(&self) -> Option<Ending> {
        None
    }
}
