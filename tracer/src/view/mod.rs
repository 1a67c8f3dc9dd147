//! What is made of transitions.
//!
//! # Layout
//! A file or a folder for each view; none imports another:
//! - [`log`]: a line for each transition; [`raw`]: for each hit of the tracepoint
//! - [`life`]: a line for each connection that has ended
//! - [`summary`]: tables and distributions
//! - [`top`]: the whole screen
//!
//! [`input`] is what the user does at the keyboard, as views see it.

pub mod input;
pub mod life;
pub mod log;
pub mod raw;
pub mod summary;
pub mod top;

use tracer_common::Event;

use crate::{
    facts::{kernel::KernelInfo, names::Names},
    select::Select,
    time::clock::Clock,
    track::{Tracker, Transition},
    view::input::Input,
};

/// What a view may use when it acts by itself.
pub struct Scene<'a> {
    /// All connections.
    pub tracker: &'a mut Tracker,
    /// The filters.
    pub select: &'a Select,
    /// To translate times with.
    pub clock: &'a Clock,
    /// The moment at which it acts, in nanoseconds of the kernel's monotonic clock. All events up to it have
    /// been told, and none behind it.
    pub now_ns: u64,
    /// Transitions lost so far; `None` if that cannot be read.
    pub lost: Option<u64>,
    /// Lines that may still be shown.
    pub room: u64,
    /// To look names up.
    pub names: &'a mut dyn Names,
    /// The last message on standard error, while the screen is a view's.
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

/// What a view needs of everybody else.
#[derive(Clone, Debug, Default)]
pub struct Needs {
    /// Transitions with their connections' stories; else events as they are.
    pub stories: bool,
    /// The whole screen, and the keyboard.
    pub screen: bool,
    /// What sockets count while nothing happens to them.
    pub refreshes: bool,
    /// RSTs that belong to no connection.
    pub stray_resets: bool,
    /// Hooks that a kernel may lack, each with the option that asks for it.
    pub hooks: Vec<(&'static str, &'static [&'static str])>,
}

/// A view turns what has passed the filters into bytes. It does no I/O, and knows no time but that of what
/// it is handed.
pub trait View {
    /// What it needs.
    fn needs(&self) -> Needs;
    /// The capture begins at this time, on this kernel: makes what comes before everything else.
    fn begin(&mut self, kernel: &KernelInfo, at_ns: u64, out: &mut Vec<u8>);
    /// Whether a transition is of interest here.
    fn shows(&self, transition: &Transition) -> bool;
    /// Takes a transition.
    fn show(&mut self, transition: &Transition, clock: &Clock, out: &mut Vec<u8>);
    /// Takes an event as it is, if the view needs no stories.
    fn event(&mut self, _: &Event, _: &Clock, _: &mut Vec<u8>) {}
    /// Whether each transition that it takes is a line of output.
    fn has_lines(&self) -> bool {
        true
    }
    /// When it wants to act by itself, in nanoseconds of the kernel's monotonic clock.
    fn due(&self) -> Option<u64> {
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
