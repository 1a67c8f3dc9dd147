//! Top: where is it stuck? Connections on the whole screen.
//!
//! # Layout
//! - here: the view: when it counts and draws
//! - [`model`]: what is shown, and what keys do to it; [`prompt`]: the filter that is typed
//! - [`list`], [`sort`]: the rows in view, and their order; [`detail`]: one connection's story
//! - [`counts`]: numbers by the second and by the minute
//! - [`draw`]: the model as a screen

pub mod counts;
pub mod detail;
pub mod draw;
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
    facts::kernel::KernelInfo,
    tcp::limits::Limits,
    time::clock::Clock,
    track::Transition,
    view::{
        Ending, Needs, Scene, View,
        input::Input,
        top::{
            draw::{DrawContext, draw},
            model::{Model, TypedFilter},
        },
    },
};

/// Nanoseconds between two counts of all connections, for each connection: counting one takes some 50 ns,
/// and may take one part in 200 of a processor. What is in view is brought up to date at every drawing all
/// the same.
const COUNT_PAUSE_NS: u64 = 50 * 200;

/// How often numbers that go by the second are taken, in nanoseconds.
const SECOND_NS: u64 = 1_000_000_000;

/// Clears the screen: what was there is another size's.
const CLEAR: &[u8] = b"\x1b[0m\x1b[H\x1b[J";

/// How it looks and works.
pub struct TopOptions {
    /// How long is too long.
    pub limits: Limits,
    /// Time between two drawings.
    pub refresh: Duration,
    /// With colours.
    pub colour: bool,
    /// For times of day.
    pub zone: TimeZone,
    /// Filters that are typed.
    pub words: TypedFilter,
}

/// Whatever a terminal says, no larger area is drawn.
const WIDEST: u16 = 1000;
const HIGHEST: u16 = 500;

/// Nobody sees more drawings.
const FASTEST: Duration = Duration::from_millis(10);

/// Takes what is drawn.
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

/// The view.
pub struct Top {
    model: Model,
    refresh_ns: u64,
    colour: bool,
    zone: TimeZone,
    sink: Sink,
    screen: Option<Terminal<CrosstermBackend<Sink>>>,
    /// When to draw; `None` before it begins.
    due_ns: Option<u64>,
    /// When to count all connections.
    count_at_ns: u64,
    /// When the next second is over.
    tick_at_ns: u64,
}

impl Top {
    /// As asked for. It draws once it is told how large the screen is.
    #[must_use]
    pub fn new(options: TopOptions) -> Self {
        let refresh = options.refresh.max(FASTEST);
        Self {
            model: Model::new(options.limits, options.words),
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
        // Memory does not refuse bytes.
        self.screen = Terminal::with_options(backend, TerminalOptions { viewport }).ok();
    }

    fn count(&mut self, scene: &Scene<'_>) {
        self.model.survey(scene.tracker, scene.select, scene.now_ns);
        let pause_ns = COUNT_PAUSE_NS.saturating_mul(scene.tracker.len() as u64);
        self.count_at_ns = scene.now_ns.saturating_add(pause_ns);
    }
}

impl View for Top {
    fn needs(&self) -> Needs {
        Needs { stories: true, screen: true, refreshes: true, ..Needs::default() }
    }

    fn begin(&mut self, _: &KernelInfo, at_ns: u64, _: &mut Vec<u8>) {
        (self.due_ns, self.count_at_ns) = (Some(at_ns), at_ns);
        self.tick_at_ns = at_ns.saturating_add(SECOND_NS);
    }

    fn shows(&self, transition: &Transition) -> bool {
        transition.is_transition()
    }

    fn show(&mut self, transition: &Transition, _: &Clock, _: &mut Vec<u8>) {
        self.model.note(transition);
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
        while scene.now_ns >= self.tick_at_ns {
            self.model.tick();
            self.tick_at_ns = self.tick_at_ns.saturating_add(SECOND_NS);
        }
        let height = self.model.list.height;
        if let Some(screen) = &mut self.screen {
            let mut around = DrawContext {
                clock: scene.clock,
                zone: &self.zone,
                lost: scene.lost,
                message: scene.message,
                names: scene.names,
                colour: self.colour,
            };
            // Memory does not refuse bytes.
            let _ = screen.draw(|frame| draw(frame, &mut self.model, &mut around));
        }
        out.extend_from_slice(&std::mem::take(&mut *self.sink.0.borrow_mut()));
        let has_more_room = self.model.list.height > height;
        let now_ns = scene.now_ns;
        if has_more_room {
            self.count_at_ns = now_ns;
        }
        self.due_ns = Some(if has_more_room { now_ns } else { now_ns.saturating_add(self.refresh_ns) });
        0
    }

    fn input(&mut self, input: Input, scene: Scene<'_>) {
        let scene_ns = scene.now_ns;
        if let Input::Screen(width, height) = input {
            self.resize(width, height);
        }
        self.model.input(input, scene.tracker, scene.select);
        (self.count_at_ns, self.due_ns) = (scene_ns, Some(scene_ns));
    }

    fn ending(&self) -> Option<Ending> {
        self.model.quits.then_some(Ending::Quit)
    }
}
