//! From events to lines: exactly as they are, or as stories.

use std::time::Instant;

use tracer_common::{Event, event::kind, member::Member};

use crate::{
    config::{Config, Wanted},
    format::{Format, row::Row},
    select::Select,
    source::kernel::survey::Census,
    tcp::reset::Names,
    time::clock::Clock,
    track::{Sample, Tracked, Tracker, with_next},
    view::{Ending, Scene, View, input::Input, life::Life, log::Log, summary::Summary, top::Top},
};

/// What becomes of events.
pub struct Show {
    teller: Teller,
    shown: u64,
    sampled: u64,
    incidents: Incidents,
    beyond: u64,
}

/// What is reported and no transition.
#[derive(Clone, Copy, Debug, Default)]
pub struct Incidents {
    /// Taken.
    pub seen: u64,
    /// Lines made of them.
    pub shown: u64,
}

enum Teller {
    /// `--raw`: events are lines.
    Raw(Box<dyn Format>),
    /// `track -> select -> view`
    Story(Box<Story>),
}

/// The moment at which a view acts by itself.
pub struct Now<'a> {
    /// To translate times with.
    pub clock: &'a Clock,
    /// Up to when events have been told.
    pub now_ns: u64,
    /// Events lost so far; `None` if that cannot be read.
    pub lost: Option<u64>,
    /// Lines that may still be shown.
    pub room: u64,
    /// What was said last, while the screen is a view's.
    pub message: Option<String>,
}

impl Now<'_> {
    fn scene<'a>(&'a self, tracker: &'a mut Tracker, select: &'a Select) -> Scene<'a> {
        let message = self.message.as_deref();
        Scene {
            tracker,
            select,
            clock: self.clock,
            now_ns: self.now_ns,
            lost: self.lost,
            room: self.room,
            message,
        }
    }
}

struct Story {
    tracker: Tracker,
    select: Select,
    view: Box<dyn View>,
}

impl Show {
    /// As the configuration says, on a kernel that does not tell `absent` and has these names of why it
    /// sends an RST.
    #[must_use]
    pub fn new(config: Config, absent: &[Member], names: Names, is_told_of_waiting: bool) -> Self {
        let view: Box<dyn View> = match config.wanted {
            Wanted::Raw(plan) => return Self::of(Teller::Raw(plan.format(absent))),
            Wanted::Log(plan, incidents, watch) => {
                Box::new(Log::new(plan.format(absent), incidents, names, watch))
            }
            Wanted::Life(plan) => Box::new(Life::new(plan.format(absent), names)),
            Wanted::Summary(options) => Box::new(Summary::new(&options)),
            Wanted::Top(options) => Box::new(Top::new(options)),
        };
        Self::of(Teller::Story(Box::new(Story {
            tracker: Tracker::new(config.follows_waiting).told_of_waiting(is_told_of_waiting),
            select: Select::new(&config.kernel.filter, config.story),
            view,
        })))
    }

    fn of(teller: Teller) -> Self {
        Self { teller, shown: 0, sampled: 0, incidents: Incidents::default(), beyond: 0 }
    }

    /// What comes before the first line.
    pub fn begin(&mut self, out: &mut Vec<u8>) {
        match &mut self.teller {
            Teller::Raw(format) => format.begin(out),
            Teller::Story(story) => story.view.begin(out),
        }
    }

    /// Shows these events, up to so many lines in all; gives how many lines it appended.
    pub fn events(&mut self, events: &[Event], clock: &Clock, limit: Option<u64>, out: &mut Vec<u8>) -> u64 {
        let mut counter = Counter::new(self.shown, limit);
        match &mut self.teller {
            Teller::Raw(format) => {
                for event in events {
                    if event.kind != kind::TRANSITION {
                        self.incidents.seen += 1;
                    } else if counter.next() {
                        format.line(&Row::raw(event, clock), out);
                    }
                }
            }
            Teller::Story(story) => {
                let Story { tracker, select, view } = &mut **story;
                for [group, next, after] in with_next(events) {
                    tracker.warm(next, after);
                    for event in group {
                        self.incidents.seen += u64::from(event.kind != kind::TRANSITION);
                        if select.refuses(event) {
                            tracker.disown(event.cookie);
                            continue;
                        }
                        let before = counter.shown;
                        {
                            let mut show = showing(&mut **view, &mut counter, clock, out);
                            tracker.event(event, &mut |tracked| select.pass(tracked, &mut show));
                        }
                        // Transitions of which the tracepoint does not tell.
                        if event.kind >= kind::ACCEPTED {
                            self.sampled += counter.shown - before;
                        }
                    }
                }
            }
        }
        self.incidents.shown += counter.incidents;
        self.count(&counter)
    }

    /// Shows what a sample proves; gives how many lines it appended.
    pub fn sample(&mut self, sample: &Sample, clock: &Clock, limit: Option<u64>, out: &mut Vec<u8>) -> u64 {
        let Teller::Story(story) = &mut self.teller else {
            return 0;
        };
        let Story { tracker, select, view } = &mut **story;
        let mut counter = Counter::new(self.shown, limit);
        {
            let mut show = showing(&mut **view, &mut counter, clock, out);
            tracker.sample(sample, &mut |tracked| select.pass(tracked, &mut show));
        }
        self.sampled += counter.shown - self.shown;
        self.count(&counter)
    }

    /// When the view wants to act by itself.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        self.view().and_then(View::due)
    }

    /// Lets the view act by itself; gives how many lines it appended.
    pub fn act(&mut self, now: &Now<'_>, out: &mut Vec<u8>) -> u64 {
        let Teller::Story(story) = &mut self.teller else {
            return 0;
        };
        let Story { tracker, select, view } = &mut **story;
        let lines = view.act(now.scene(tracker, select), out);
        self.shown += lines;
        self.sampled += lines;
        lines
    }

    /// Hands a key to the view.
    pub fn input(&mut self, input: Input, now: &Now<'_>) {
        if let Teller::Story(story) = &mut self.teller {
            let Story { tracker, select, view } = &mut **story;
            view.input(input, now.scene(tracker, select));
        }
    }

    /// The view's last word.
    pub fn end(&mut self, now: &Now<'_>, out: &mut Vec<u8>) {
        if let Teller::Story(story) = &mut self.teller {
            let Story { tracker, select, view } = &mut **story;
            view.end(now.scene(tracker, select), out);
        }
    }

    /// Why the view wants to end the capture, if it does.
    #[must_use]
    pub fn ending(&self) -> Option<Ending> {
        self.view().and_then(View::ending)
    }

    /// Whether what is shown are lines of output.
    #[must_use]
    pub fn has_lines(&self) -> bool {
        self.view().is_none_or(View::has_lines)
    }

    fn view(&self) -> Option<&dyn View> {
        match &self.teller {
            Teller::Raw(_) => None,
            Teller::Story(story) => Some(&*story.view),
        }
    }

    /// Merges the sockets that were found, as far as they are of interest.
    pub fn sighted(&mut self, mut census: Census) {
        if let Teller::Story(story) = &mut self.teller {
            let Story { tracker, select, .. } = &mut **story;
            // Who holds the listeners has to be known before their connections inherit it.
            for sightings in [&mut census.holders, &mut census.sockets] {
                sightings.retain(|sighting| select.wants(sighting));
                tracker.sighted(sightings);
            }
        }
    }

    fn count(&mut self, counter: &Counter) -> u64 {
        let shown = counter.shown - self.shown;
        self.shown = counter.shown;
        self.beyond += counter.beyond;
        if self.has_lines() { shown } else { 0 }
    }

    /// Lines made so far, or transitions taken by a view without lines.
    #[must_use]
    pub fn shown(&self) -> u64 {
        self.shown
    }

    /// Of those, the ones that tell of no event, but of a look at the sockets.
    #[must_use]
    pub fn sampled(&self) -> u64 {
        self.sampled
    }

    /// What was no transition.
    #[must_use]
    pub fn incidents(&self) -> Incidents {
        self.incidents
    }

    /// What would have been lines past the limit.
    #[must_use]
    pub fn beyond(&self) -> u64 {
        self.beyond
    }

    /// Transitions kept back here.
    #[must_use]
    pub fn filtered(&self) -> u64 {
        match &self.teller {
            Teller::Raw(_) => 0,
            Teller::Story(story) => story.select.filtered(),
        }
    }

    /// Beginnings that were forgotten before they could be decided.
    #[must_use]
    pub fn given_up(&self) -> u64 {
        match &self.teller {
            Teller::Raw(_) => 0,
            Teller::Story(story) => story.select.given_up(),
        }
    }

    /// The table of connections, if stories are told.
    pub fn tracker(&mut self) -> Option<&mut Tracker> {
        match &mut self.teller {
            Teller::Raw(_) => None,
            Teller::Story(story) => Some(&mut story.tracker),
        }
    }
}

/// Shows what is of interest to the view, as far as there may be more.
fn showing<'a>(
    view: &'a mut dyn View,
    counter: &'a mut Counter,
    clock: &'a Clock,
    out: &'a mut Vec<u8>,
) -> impl FnMut(&Tracked) + 'a {
    move |tracked| {
        if view.shows(tracked) && counter.next() {
            counter.incidents += u64::from(tracked.event.kind != kind::TRANSITION);
            view.show(tracked, clock, out);
        }
    }
}

/// Counts lines, up to a limit and beyond.
struct Counter {
    shown: u64,
    beyond: u64,
    /// Of those shown, the ones that are no transitions.
    incidents: u64,
    limit: Option<u64>,
}

impl Counter {
    fn new(shown: u64, limit: Option<u64>) -> Self {
        Self { shown, beyond: 0, incidents: 0, limit }
    }

    /// Whether there may be another line.
    fn next(&mut self) -> bool {
        let is_full = self.limit.is_some_and(|limit| self.shown >= limit);
        let count = if is_full { &mut self.beyond } else { &mut self.shown };
        *count += 1;
        !is_full
    }
}
