//! The `top` view: connections on the whole screen, those in trouble first.
//!
//! # Layout
//! - here: when it counts and draws
//! - [`model`]: what is shown, and what keys do to it; [`prompt`]: the filter that is typed
//! - [`list`], [`sort`]: the connections in view, and their order; [`groups`]: rows that stand for many; [`cursor`]:
//!   where the cursor is; [`detail`]: the story of one connection; [`explanation`]: what a word means
//! - [`counts`]: numbers by the second and by the minute
//! - [`draw`]: draws the model

pub mod counts;
pub mod cursor;
pub mod detail;
pub mod draw;
pub mod explanation;
pub mod groups;
pub mod list;
pub mod model;
pub mod prompt;
pub mod sort;

use std::{
    cell::RefCell,
    io::{self, Write},
    rc::Rc,
    time::Duration,
};

use jiff::tz::TimeZone;
use ratatui::{Terminal, TerminalOptions, Viewport, backend::CrosstermBackend, layout::Rect};

use crate::{
    aggregate::{
        By, SOCKET_PAUSE_NS,
        findings::{Moment, Thresholds},
    },
    explain::texts::Language,
    facts::playback::PlayCommand,
    facts::{context::Context, kernel::KernelInfo},
    tcp::limits::Limits,
    track::Transition,
    view::{
        Ending, Needs, Scene, View,
        input::Input,
        top::{
            draw::{DrawContext, draw},
            groups::Grouping,
            model::{Model, TypedFilter},
        },
    },
};

/// Interval of the per-second numbers, in nanoseconds.
const SECOND_NS: u64 = 1_000_000_000;

/// Seconds that are drawn one by one, at most, after a time in which nothing was drawn.
const MOST_TICKS: u32 = 4096;

/// Clears the screen: after a resize the old content does not fit.
const CLEAR: &[u8] = b"\x1b[0m\x1b[H\x1b[J";

/// Options of `top`.
pub struct TopOptions {
    /// How long a connection may stay in each state before it counts as stuck.
    pub limits: Limits,
    /// From which value on something is a finding.
    pub thresholds: Thresholds,
    /// What the rows are at the beginning, if not connections or processes.
    pub by: Option<By>,
    /// Time between two drawings.
    pub refresh: Duration,
    /// Use colours.
    pub colour: bool,
    /// Time zone of times of day.
    pub zone: TimeZone,
    /// The filters that users type.
    pub words: TypedFilter,
    /// The language of explanations.
    pub language: Language,
}

/// Maximum size of the drawing, whatever size the terminal reports.
const WIDEST: u16 = 1000;
const HIGHEST: u16 = 500;

/// Minimum time between two drawings. Nobody would see more of them.
const FASTEST: Duration = Duration::from_millis(10);

/// Collects the bytes of a drawing.
#[derive(Clone, Default)]
struct Sink(Rc<RefCell<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The `top` view.
pub struct Top {
    model: Model,
    refresh_ns: u64,
    colour: bool,
    zone: TimeZone,
    sink: Sink,
    screen: Option<Terminal<CrosstermBackend<Sink>>>,
    /// When to draw next, in nanoseconds; `None` before the capture begins.
    due_ns: Option<u64>,
    /// When to count all connections next, in nanoseconds.
    count_at_ns: u64,
    /// When the current second ends, in nanoseconds.
    tick_at_ns: u64,
}

impl Top {
    /// Creates the view. It draws nothing until it knows the size of the screen.
    #[must_use]
    pub fn new(options: TopOptions) -> Self {
        let refresh = options.refresh.max(FASTEST);
        let mut model = Model::new(options.limits, options.thresholds, options.words);
        model.speak(options.language);
        model.groups.grouping = options.by.map_or(Grouping::Auto, Grouping::By);
        Self {
            model,
            refresh_ns: u64::try_from(refresh.as_nanos()).unwrap_or(u64::MAX),
            colour: options.colour,
            zone: options.zone,
            sink: Sink::default(),
            screen: None,
            due_ns: None,
            count_at_ns: 0,
            tick_at_ns: 0,
        }
    }

    fn resize(&mut self, width: u16, height: u16) {
        self.sink.0.borrow_mut().extend_from_slice(CLEAR);
        let viewport = Viewport::Fixed(Rect::new(0, 0, width.min(WIDEST), height.min(HIGHEST)));
        let backend = CrosstermBackend::new(self.sink.clone());
        // Writing into memory cannot fail.
        self.screen = Terminal::with_options(backend, TerminalOptions { viewport }).ok();
    }

    fn count(&mut self, scene: &Scene<'_>) {
        self.model.count_all(scene.tracker, scene.select, &scene.context.names, scene.now_ns);
        // Visible connections are updated at every drawing regardless.
        let pause_ns = SOCKET_PAUSE_NS.saturating_mul(scene.tracker.len() as u64);
        self.count_at_ns = scene.now_ns.saturating_add(pause_ns);
    }
}

impl View for Top {
    fn needs(&self) -> Needs {
        Needs { stories: true, screen: true, refreshes: true, gauges: true, names: true, ..Needs::default() }
    }

    fn begin(&mut self, _: &KernelInfo, at_ns: u64, _: &mut Vec<u8>) {
        (self.due_ns, self.count_at_ns) = (Some(at_ns), at_ns);
        self.tick_at_ns = at_ns.saturating_add(SECOND_NS);
    }

    fn shows(&self, transition: &Transition) -> bool {
        transition.is_transition()
    }

    fn show(&mut self, transition: &Transition, context: &Context, _: &mut Vec<u8>) {
        self.model.note(transition, &context.names);
    }

    fn has_lines(&self) -> bool {
        false
    }

    fn due(&self) -> Option<u64> {
        self.due_ns
    }

    fn act(&mut self, scene: Scene<'_>, out: &mut Vec<u8>) -> u64 {
        if scene.now_ns >= self.count_at_ns {
            self.count(&scene);
        } else {
            self.model.refresh(scene.tracker, scene.now_ns);
        }
        self.model.survey(
            scene.tracker,
            scene.select,
            &Moment::of(scene.tracker, scene.context, scene.select.netns(), scene.lost, scene.now_ns),
        );
        // Somebody may have written a recording whose time leaps by centuries.
        for _ in 0..MOST_TICKS {
            if scene.now_ns < self.tick_at_ns {
                break;
            }
            self.model.tick();
            self.tick_at_ns = self.tick_at_ns.saturating_add(SECOND_NS);
        }
        self.tick_at_ns = self.tick_at_ns.max(scene.now_ns);
        self.model.playback = scene.playback;
        let height = self.model.list.cursor.height;
        if let Some(screen) = &mut self.screen {
            let mut around = DrawContext {
                context: scene.context,
                zone: &self.zone,
                lost: scene.lost,
                message: scene.message,
                names: scene.names,
                colour: self.colour,
            };
            // Writing into memory cannot fail.
            let _ = screen.draw(|frame| draw(frame, &mut self.model, &mut around));
        }
        out.extend_from_slice(&std::mem::take(&mut *self.sink.0.borrow_mut()));
        let has_more_room = self.model.list.cursor.height > height;
        let now_ns = scene.now_ns;
        if has_more_room {
            self.count_at_ns = now_ns;
        }
        self.due_ns = Some(if has_more_room { now_ns } else { now_ns.saturating_add(self.refresh_ns) });
        0
    }

    fn input(&mut self, input: Input, scene: Scene<'_>) {
        let scene_ns = scene.now_ns;
        self.model.playback = scene.playback;
        if let Input::Screen(width, height) = input {
            // The size of the screen comes before the first event.
            if self.screen.is_none() {
                self.model.begin(scene.names);
            }
            self.resize(width, height);
        }
        self.model.input(input, scene.tracker, scene.select, scene.names);
        (self.count_at_ns, self.due_ns) = (scene_ns, Some(scene_ns));
    }

    fn play(&mut self) -> Option<PlayCommand> {
        self.model.play.take()
    }

    fn ending(&self) -> Option<Ending> {
        self.model.quits.then_some(Ending::Quit)
    }
}
