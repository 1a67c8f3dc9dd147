//! From events to lines: exactly as they are, or as stories.

use bytes::BytesMut;
use tracer_common::{Event, member::Member};

use crate::{
    clock::Clock,
    config::{Asked, Config},
    format::Format,
    row::Row,
    select::Select,
    source::kernel::survey::Census,
    track::{Sample, Tracked, Tracker},
    view::{View, life::Life, log::Log},
};

/// Events whose records are brought near together.
const WARM: usize = 16;

/// What becomes of events.
pub struct Show {
    teller: Teller,
    shown: u64,
    sampled: u64,
    beyond: u64,
}

enum Teller {
    /// `--raw`: events are lines.
    Raw(Box<dyn Format>),
    /// `track -> select -> view`
    Story(Box<Story>),
}

struct Story {
    tracker: Tracker,
    select: Select,
    view: Box<dyn View>,
}

impl Show {
    /// As the configuration says, on a kernel that does not tell `absent`.
    #[must_use]
    pub fn new(config: Config, absent: &[Member]) -> Self {
        let format = config.plan.format(absent);
        let view: Box<dyn View> = match config.asked {
            Asked::Raw => return Self { teller: Teller::Raw(format), shown: 0, sampled: 0, beyond: 0 },
            Asked::Log => Box::new(Log::new(format)),
            Asked::Life => Box::new(Life::new(format)),
        };
        let story = Story {
            tracker: Tracker::new(config.follows_waiting),
            select: Select::new(&config.kernel.filter, config.story),
            view,
        };
        Self { teller: Teller::Story(Box::new(story)), shown: 0, sampled: 0, beyond: 0 }
    }

    /// What comes before the first line.
    pub fn begin(&mut self, out: &mut BytesMut) {
        match &mut self.teller {
            Teller::Raw(format) => format.begin(out),
            Teller::Story(story) => story.view.begin(out),
        }
    }

    /// Appends the lines of these events, up to so many lines in all; gives how many it appended.
    pub fn events(&mut self, events: &[Event], clock: &Clock, limit: Option<u64>, out: &mut BytesMut) -> u64 {
        let mut counter = Counter::new(self.shown, limit);
        match &mut self.teller {
            Teller::Raw(format) => {
                for event in events {
                    if counter.next() {
                        format.line(&Row::raw(event, clock), out);
                    }
                }
            }
            Teller::Story(story) => {
                let Story { tracker, select, view } = &mut **story;
                let mut show = |tracked: &Tracked| {
                    if view.shows(tracked) && counter.next() {
                        view.show(&Row::told(tracked, clock), out);
                    }
                };
                for group in events.chunks(WARM) {
                    tracker.warm(group);
                    for event in group {
                        if select.refuses(event) {
                            tracker.disown(event.cookie);
                            continue;
                        }
                        tracker.event(event, &mut |tracked| select.pass(tracked, &mut show));
                    }
                }
            }
        }
        self.count(&counter)
    }

    /// Appends the lines of what a sample proves; gives how many it appended.
    pub fn sample(&mut self, sample: &Sample, clock: &Clock, limit: Option<u64>, out: &mut BytesMut) -> u64 {
        let Teller::Story(story) = &mut self.teller else {
            return 0;
        };
        let Story { tracker, select, view } = &mut **story;
        let mut counter = Counter::new(self.shown, limit);
        let mut show = |tracked: &Tracked| {
            if view.shows(tracked) && counter.next() {
                view.show(&Row::told(tracked, clock), out);
            }
        };
        tracker.sample(sample, &mut |tracked| select.pass(tracked, &mut show));
        let lines = self.count(&counter);
        self.sampled += lines;
        lines
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
        let lines = counter.shown - self.shown;
        self.shown = counter.shown;
        self.beyond += counter.beyond;
        lines
    }

    /// Lines made so far.
    #[must_use]
    pub fn shown(&self) -> u64 {
        self.shown
    }

    /// Of those, the ones that tell of no event, but of a look at the sockets.
    #[must_use]
    pub fn sampled(&self) -> u64 {
        self.sampled
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

/// Counts lines, up to a limit and beyond.
struct Counter {
    shown: u64,
    beyond: u64,
    limit: Option<u64>,
}

impl Counter {
    fn new(shown: u64, limit: Option<u64>) -> Self {
        Self { shown, beyond: 0, limit }
    }

    /// Whether there may be another line.
    fn next(&mut self) -> bool {
        let is_full = self.limit.is_some_and(|limit| self.shown >= limit);
        let count = if is_full { &mut self.beyond } else { &mut self.shown };
        *count += 1;
        !is_full
    }
}
