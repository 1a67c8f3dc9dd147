//! Top: where is it stuck? Connections on the whole screen.

pub mod counts;
pub mod draw;
pub mod drill;
pub mod line;
pub mod list;
pub mod model;
pub mod sort;

use std::{
    cell::RefCell,
    io::{self, Write},
    rc::Rc,
    time::{Duration, Instant},
};

use jiff::tz::TimeZone;
use ratatui::{Terminal, TerminalOptions, Viewport, backend::CrosstermBackend, layout::Rect};

use tracer_common::event::kind;

use crate::{
    source::kernel::cgroups::Cgroups,
    tcp::limits::Limits,
    time::clock::Clock,
    track::Tracked,
    view::{
        Ending, Scene, View,
        input::Input,
        top::{
            draw::{Around, draw},
            model::{Model, Words},
        },
    },
};

/// Looking at all connections may cost one part in so many of a processor. What is in view is
/// brought up to date at every drawing all the same.
const SHARE: u32 = 200;

/// How often numbers that go by the second are taken.
const SECOND: Duration = Duration::from_secs(1);

/// Clears the screen: what was there is another size's.
const CLEAR: &[u8] = b"\x1b[0m\x1b[H\x1b[J";

/// How it looks and works.
pub struct Options {
    /// How long is too long.
    pub limits: Limits,
    /// Time between two drawings.
    pub refresh: Duration,
    /// With colours.
    pub colour: bool,
    /// Filters that are typed.
    pub words: Words,
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
    refresh: Duration,
    colour: bool,
    zone: TimeZone,
    sink: Sink,
    screen: Option<Terminal<CrosstermBackend<Sink>>>,
    due: Instant,
    survey_at: Instant,
    tick_at: Instant,
    cgroups: Cgroups,
}

impl Top {
    /// As asked for. It draws once it is told how large the screen is.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let now = Instant::now();
        Self {
            model: Model::new(options.limits, options.words),
            refresh: options.refresh.max(FASTEST),
            colour: options.colour,
            zone: TimeZone::system(),
            sink: Sink::default(),
            screen: None,
            due: now,
            survey_at: now,
            tick_at: now + SECOND,
            cgroups: Cgroups::default(),
        }
    }

    fn resize(&mut self, width: u16, height: u16) {
        self.sink.0.borrow_mut().extend_from_slice(CLEAR);
        let viewport = Viewport::Fixed(Rect::new(0, 0, width.min(WIDEST), height.min(HIGHEST)));
        let backend = CrosstermBackend::new(self.sink.clone());
        // Memory does not refuse bytes.
        self.screen = Terminal::with_options(backend, TerminalOptions { viewport }).ok();
    }

    fn survey(&mut self, scene: &Scene<'_>) {
        let begun = Instant::now();
        self.model.survey(scene.tracker, scene.select, scene.now_ns);
        self.survey_at = begun + begun.elapsed() * SHARE;
    }
}

impl View for Top {
    fn begin(&mut self, _: &mut Vec<u8>) {}

    fn shows(&self, tracked: &Tracked) -> bool {
        tracked.event.kind == kind::TRANSITION
    }

    fn show(&mut self, tracked: &Tracked, _: &Clock, _: &mut Vec<u8>) {
        self.model.note(tracked);
    }

    fn has_lines(&self) -> bool {
        false
    }

    fn due(&self) -> Option<Instant> {
        Some(self.due)
    }

    fn act(&mut self, scene: Scene<'_>, out: &mut Vec<u8>) -> u64 {
        let now = Instant::now();
        if now >= self.survey_at {
            self.survey(&scene);
        } else {
            self.model.refresh(scene.tracker, scene.now_ns);
        }
        while now >= self.tick_at {
            self.model.tick();
            self.tick_at += SECOND;
        }
        let height = self.model.list.height;
        if let Some(screen) = &mut self.screen {
            let mut around = Around {
                clock: scene.clock,
                zone: &self.zone,
                lost: scene.lost,
                message: scene.message,
                cgroups: &mut self.cgroups,
                colour: self.colour,
            };
            // Memory does not refuse bytes.
            let _ = screen.draw(|frame| draw(frame, &mut self.model, &mut around));
        }
        out.extend_from_slice(&std::mem::take(&mut *self.sink.0.borrow_mut()));
        let has_more_room = self.model.list.height > height;
        if has_more_room {
            self.survey_at = now;
        }
        self.due = if has_more_room { now } else { now + self.refresh };
        0
    }

    fn input(&mut self, input: Input, scene: Scene<'_>) {
        if let Input::Screen(width, height) = input {
            self.resize(width, height);
        }
        self.model.input(input, scene.tracker, scene.select);
        self.survey_at = Instant::now();
        self.due = self.survey_at;
    }

    fn ending(&self) -> Option<Ending> {
        self.model.quits.then_some(Ending::Quit)
    }
}
