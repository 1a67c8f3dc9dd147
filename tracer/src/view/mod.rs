//! The views: each one turns transitions into output.
//!
//! # Layout
//! Each view has its own file or folder, and no view imports another:
//! - [`log`]: a line for each transition; [`raw`]: a line for each event of the tracepoint
//! - [`diff`]: what has changed between two spans
//! - [`life`]: a line for each connection that has ended
//! - [`list`]: a line for each socket that is there now
//! - [`network`]: a line for each network interface or route that is there now
//! - [`record`]: nothing, while facts are recorded
//! - [`report`]: a page about all of a recording
//! - [`serve`]: metrics for as long as it runs, which others ask for
//! - [`summary`]: tables and distributions
//! - [`top`]: a full-screen view
//!
//! [`input`] has the keyboard input that views receive, [`page`] the pages that they are asked for,
//! [`reload`] what they may be told to change.
//!
//! # Example
//! ```
//! use tracer::{
//!     facts::{context::Context, kernel::KernelInfo},
//!     format::{Kind, Plan, columns::{COLUMNS, DefaultIn}, lines::Lines, text::{TextStyle, TimeFormat}},
//!     time::clock::Clock,
//!     track::Tracker,
//!     view::{View as _, life::Life},
//! };
//! use tracer_common::{Event, state};
//! use zerocopy::FromZeros as _;
//!
//! let plan = Plan {
//!     kind: Kind::Csv,
//!     columns: Some(COLUMNS.iter().filter(|column| ["role", "reason"].contains(&column.key)).collect()),
//!     default_in: (DefaultIn::LIFE_TEXT, DefaultIn::LIFE_DATA),
//!     style: TextStyle { time: TimeFormat::Utc, colour: false, precise: false },
//! };
//! let (mut view, mut out) = (Life::new(Lines::new(plan)), Vec::new());
//! view.begin(&KernelInfo::default(), 0, &mut out);
//!
//! let mut tracker = Tracker::new(false);
//! let context = Context::new(Clock::fixed(0, 0));
//! for (old_state, new_state) in [(state::CLOSE, state::SYN_SENT), (state::SYN_SENT, state::CLOSE)] {
//!     let event = Event { cookie: 1, error: 111, old_state, new_state, ..Event::new_zeroed() };
//!     tracker.event(&event, &mut |transition| {
//!         if view.shows(transition) {
//!             view.show(transition, &context, &mut out);
//!         }
//!     });
//! }
//! assert_eq!(String::from_utf8(out).unwrap(), "role,reason\nclient,refused\n");
//! ```

pub mod diff;
pub mod input;
pub mod life;
pub mod list;
pub mod log;
pub mod network;
pub mod page;
pub mod raw;
pub mod record;
pub mod reload;
pub mod report;
pub mod serve;
pub mod summary;
pub mod top;

use tracer_common::Event;

use crate::{
    facts::playback::{PlayCommand, Playback},
    facts::{context::Context, kernel::KernelInfo, names::Names},
    select::Select,
    tcp::state::State,
    track::{Tracker, Transition},
    view::{
        input::Input,
        page::{Itself, ServedPage},
        reload::ReloadedView,
    },
};

/// What a view may use when it acts.
pub struct Scene<'a> {
    /// All connections.
    pub tracker: &'a mut Tracker,
    /// The filters.
    pub select: &'a Select,
    /// What is known about the host.
    pub context: &'a Context,
    /// The time of the action, in nanoseconds of the kernel's monotonic clock. The view has received all
    /// events up to this time, and no later ones.
    pub now_ns: u64,
    /// Whether it is in the part of a recording that is shown.
    pub is_shown: bool,
    /// Transitions lost so far; `None` if the count cannot be read.
    pub lost: Option<u64>,
    /// Lines left below the limit.
    pub room: u64,
    /// How a recording is played, if that can be chosen.
    pub playback: Option<Playback>,
    /// Looks up names.
    pub names: &'a mut dyn Names,
    /// The last message on standard error while the view has the whole screen.
    pub message: Option<&'a str>,
}

/// Why a view ends the capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It has shown as much as was requested.
    Enough,
    /// The user wants to leave.
    Quit,
    /// A connection is stuck (`--exit-on-stuck`).
    Stuck,
}

/// What a view requires from the other parts.
#[derive(Clone, Debug, Default)]
pub struct Needs {
    /// Transitions with their connections' history. Without it, the view receives raw events.
    pub stories: bool,
    /// The whole screen and the keyboard.
    pub screen: bool,
    /// Current socket counters, even for sockets without events.
    pub refreshes: bool,
    /// What the kernel counts in network namespaces.
    pub gauges: bool,
    /// RSTs that belong to no socket.
    pub stray_resets: bool,
    /// Names of cgroups and network namespaces.
    pub names: bool,
    /// The receipt, before the last output.
    pub receipt: bool,
    /// Hooks that a kernel may lack, each with the option that needs it.
    pub hooks: Vec<(&'static str, &'static [&'static str])>,
}

/// What a capture says of itself at its end.
#[derive(Clone, Debug, Default)]
pub struct ClosingReceipt {
    /// The lines of its receipt.
    pub lines: Vec<String>,
    /// Nothing is missing.
    pub is_complete: bool,
}

/// A view turns transitions that have passed the filters into bytes. It does no I/O, and its only time is
/// that of the events it receives.
pub trait View {
    /// What this view requires.
    fn needs(&self) -> Needs;
    /// Starts the capture at this time, in nanoseconds, on this kernel, and appends any header.
    fn begin(&mut self, kernel: &KernelInfo, at_ns: u64, out: &mut Vec<u8>);
    /// Whether this view shows the transition.
    fn shows(&self, transition: &Transition) -> bool;
    /// Takes a transition.
    fn show(&mut self, transition: &Transition, context: &Context, out: &mut Vec<u8>);
    /// Appends lines that it has held back, before the context changes.
    fn flush(&mut self, _: &Context, _: &mut Vec<u8>) {}
    /// Takes a raw event. Used only if the view does not need stories.
    fn event(&mut self, _: &Event, _: &Context, _: &mut Vec<u8>) {}
    /// Whether each transition that it shows is a line of output.
    fn has_lines(&self) -> bool {
        true
    }
    /// When the view is due to act, in nanoseconds of the kernel's monotonic clock.
    fn due(&self) -> Option<u64> {
        None
    }
    /// Acts at its due time. Returns the number of lines appended.
    fn act(&mut self, _: Scene<'_>, _: &mut Vec<u8>) -> u64 {
        0
    }
    /// States that it has shown a connection stuck in since it was asked last, each once in a capture.
    fn newly_stuck(&mut self) -> Vec<State> {
        Vec::new()
    }
    /// Takes the receipt, before the last output.
    fn receipt(&mut self, _: ClosingReceipt) {}
    /// Appends the last output, after all events.
    fn end(&mut self, _: Scene<'_>, _: &mut Vec<u8>) {}
    /// Appends a page that somebody has asked for.
    fn page(&mut self, _: ServedPage, _: &Itself, _: Scene<'_>, _: &mut Vec<u8>) {}
    /// Goes on with other options.
    fn reload(&mut self, _: ReloadedView) {}
    /// Handles a key or a change of the screen size.
    fn input(&mut self, _: Input, _: Scene<'_>) {}
    /// How the user wants a recording to be played. Says so once.
    fn play(&mut self) -> Option<PlayCommand> {
        None
    }
    /// Why the last parts of a recording must be kept, and when that came up, in nanoseconds. Says so once.
    fn trigger(&mut self) -> Option<(String, u64)> {
        None
    }
    /// Why the capture should end, if it should.
    fn ending(&self) -> Option<Ending> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::clock::Clock;
    use crate::{
        filter::Filter,
        format::{Format, lines::Lines, row::Row},
        select::story::StoryFilter,
        source::script::Script,
        view::{
            life::Life,
            log::{Incidents, Log},
            raw::Raw,
        },
    };

    /// A format with a footer, as files of columns have one.
    struct Footer;

    impl Format for Footer {
        fn begin(&mut self, _: &mut Vec<u8>) {}
        fn line(&mut self, _: &Row<'_>, _: &mut Vec<u8>) {}
        fn end(&mut self, out: &mut Vec<u8>) {
            out.extend_from_slice(b"footer");
        }
    }

    #[test]
    fn views_with_lines_end_their_format() {
        let lines = || Lines::of(Box::new(Footer));
        let incidents = Incidents { resets: false, retransmits: false };
        let views: [Box<dyn View>; 3] = [
            Box::new(Log::new(lines(), incidents, None)),
            Box::new(Life::new(lines())),
            Box::new(Raw::new(lines())),
        ];
        let (mut tracker, context) = (Tracker::new(false), Context::new(Clock::fixed(0, 0)));
        let select = Select::new(&Filter::default(), StoryFilter::default());
        for mut view in views {
            let mut out = Vec::new();
            let scene = Scene {
                tracker: &mut tracker,
                select: &select,
                context: &context,
                now_ns: 0,
                is_shown: true,
                lost: None,
                room: 1,
                playback: None,
                names: &mut Script::starting_at(0, 0),
                message: None,
            };
            view.end(scene, &mut out);
            assert_eq!(out, b"footer");
        }
    }
}
