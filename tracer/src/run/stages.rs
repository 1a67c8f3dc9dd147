//! From facts to bytes: `track -> select -> view`. No I/O, and no time but that of the facts.

use tracer_common::{Event, event::kind};

use crate::{
    facts::{
        Batch,
        kernel::KernelInfo,
        names::Names,
        snapshot::{Snapshot, TimewaitByNetns, TimewaitSample},
    },
    filter::Filter,
    select::{Select, story::StoryFilter},
    time::clock::{Anchor, Clock},
    track::{Tracker, Transition, prefetch_groups},
    view::{Ending, Scene, View, input::Input},
};

/// The steps behind the source, and what passes between them.
pub struct Stages {
    tracker: Tracker,
    select: Select,
    view: Box<dyn View>,
    /// Whether events are told as stories; if not, they are handed to the view as they are (`--raw`).
    has_stories: bool,
    clock: Clock,
    /// Whether the source has told what time it is.
    has_clock: bool,
    /// The watermark: up to when events have been told.
    now_ns: u64,
    /// Transitions that were lost so far; `None` if that cannot be read.
    lost: Option<u64>,
    /// Lines at most.
    limit: Option<u64>,
    counts: Counts,
    /// Lines that the view has appended since they were last asked for.
    lines: u64,
}

/// What went through.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Lines made so far, or transitions taken by a view without lines.
    pub shown: u64,
    /// Of those, the ones that tell of no event of the tracepoint.
    pub sampled: u64,
    /// Lines that would have been past the limit.
    pub beyond: u64,
    /// Events that were no transitions.
    pub incidents_seen: u64,
    /// Lines made of them.
    pub incidents_shown: u64,
}

/// What there is beside the stages when something is due.
pub struct ActContext<'a> {
    /// To look names up.
    pub names: &'a mut dyn Names,
    /// Gives the last message on standard error, while the screen is a view's.
    pub message: fn() -> Option<String>,
}

impl Stages {
    /// Of a view and filters, for events of this kernel.
    #[must_use]
    pub fn new(
        view: Box<dyn View>,
        (filter, story): (&Filter, StoryFilter),
        (kernel, follows_timewait): (&KernelInfo, bool),
        limit: Option<u64>,
    ) -> Self {
        Self {
            tracker: Tracker::new(follows_timewait).with_timewait_hook(kernel.hooks.has_timewait_hook()),
            select: Select::new(filter, story),
            has_stories: view.needs().stories,
            view,
            clock: Clock::fixed(0, 0),
            has_clock: false,
            now_ns: 0,
            lost: Some(0),
            limit,
            counts: Counts::default(),
            lines: 0,
        }
    }

    /// The capture begins at this time.
    pub fn begin(&mut self, kernel: &KernelInfo, at_ns: u64, out: &mut Vec<u8>) {
        self.now_ns = self.now_ns.max(at_ns);
        self.view.begin(kernel, at_ns, out);
    }

    /// What the wall clock says; the first time the run starts.
    pub fn clock(&mut self, anchor: Anchor) {
        if self.has_clock {
            self.clock.set(anchor);
        } else {
            (self.clock, self.has_clock) = (Clock::new(anchor), true);
        }
    }

    /// Takes a batch of events. What is due before its end acts in between, at its own time, as long as
    /// `may_act` says of the bytes so far that it may.
    pub fn events(
        &mut self,
        batch: &Batch,
        may_act: impl Fn(&[u8]) -> bool,
        around: &mut ActContext<'_>,
        out: &mut Vec<u8>,
    ) {
        let (mut events, until_ns) = (&batch.events[..], batch.until_ns);
        while let Some(due_ns) = self.due().filter(|due_ns| *due_ns <= until_ns)
            && may_act(out)
            && self.ending().is_none()
        {
            let before = events.partition_point(|event| event.time_ns <= due_ns);
            self.show(&events[..before], out);
            events = &events[before..];
            // What could not act in time acts later.
            self.now_ns = self.now_ns.max(due_ns);
            self.act(around, out);
        }
        self.show(events, out);
        self.now_ns = self.now_ns.max(until_ns);
    }

    fn show(&mut self, events: &[Event], out: &mut Vec<u8>) {
        let mut counter = LineCounter::new(&self.counts, self.limit);
        if self.has_stories {
            self.show_stories(events, &mut counter, out);
        } else {
            self.show_raw(events, &mut counter, out);
        }
        self.count(&counter);
    }

    fn show_raw(&mut self, events: &[Event], counter: &mut LineCounter, out: &mut Vec<u8>) {
        for event in events {
            if event.kind != kind::TRANSITION {
                self.counts.incidents_seen += 1;
            } else if counter.next() {
                self.view.event(event, &self.clock, out);
            }
        }
    }

    fn show_stories(&mut self, events: &[Event], counter: &mut LineCounter, out: &mut Vec<u8>) {
        let Self { tracker, select, view, clock, counts, .. } = self;
        for [group, next, after] in prefetch_groups(events) {
            tracker.prefetch(next, after);
            for event in group {
                counts.incidents_seen += u64::from(event.kind != kind::TRANSITION);
                if select.refuses(event) {
                    tracker.drop_filtered(event.cookie);
                    continue;
                }
                let before = counter.shown;
                {
                    let mut show = showing(&mut **view, counter, clock, out);
                    tracker.event(event, &mut |transition| select.pass(transition, &mut show));
                }
                // Transitions of which the tracepoint does not tell.
                if event.kind >= kind::ACCEPTED {
                    counts.sampled += counter.shown - before;
                }
            }
        }
    }

    /// Shows what a sample of timewait sockets proves.
    pub fn sample(&mut self, sample: &TimewaitSample, out: &mut Vec<u8>) {
        if !self.has_stories {
            return;
        }
        let mut counter = LineCounter::new(&self.counts, self.limit);
        let Self { tracker, select, view, clock, now_ns, .. } = self;
        {
            let mut show = showing(&mut **view, &mut counter, clock, out);
            tracker.sample(sample, *now_ns, &mut |transition| select.pass(transition, &mut show));
        }
        self.counts.sampled += counter.shown - self.counts.shown;
        self.count(&counter);
    }

    /// Merges a snapshot: the sockets that filters select are known from now on, and connections that are
    /// not in it have ended unseen. Gives how many.
    pub fn snapshot(&mut self, mut snapshot: Snapshot) -> u64 {
        if !self.has_stories {
            return 0;
        }
        let retired = if self.tracker.is_empty() { 0 } else { self.tracker.retire(&snapshot) };
        // Who holds the listeners has to be known before their connections inherit it.
        for sockets in [&mut snapshot.holders, &mut snapshot.sockets] {
            sockets.retain(|socket| self.select.wants(socket));
            self.tracker.merge_snapshot(sockets);
        }
        retired as u64
    }

    /// Takes over what full sockets count by now.
    pub fn refresh(&mut self, sockets: &[Event]) {
        self.tracker.refresh(sockets);
    }

    /// So many transitions were lost so far: durations across the gap are not known.
    pub fn losses(&mut self, lost: Option<u64>, until_ns: u64) {
        if lost.is_some() && lost != self.lost {
            self.tracker.lost(until_ns);
        }
        self.lost = lost;
    }

    /// When the view wants to act by itself, in nanoseconds of the kernel's monotonic clock.
    #[must_use]
    pub fn due(&self) -> Option<u64> {
        self.view.due()
    }

    fn act(&mut self, around: &mut ActContext<'_>, out: &mut Vec<u8>) {
        let message = (around.message)();
        let (view, scene) = self.scene(around, message.as_deref());
        let lines = view.act(scene, out);
        self.counts.shown += lines;
        self.counts.sampled += lines;
        self.lines += lines;
    }

    /// Hands a key to the view.
    pub fn input(&mut self, input: Input, around: &mut ActContext<'_>) {
        let message = (around.message)();
        let (view, scene) = self.scene(around, message.as_deref());
        view.input(input, scene);
    }

    /// The view's last word.
    pub fn end(&mut self, around: &mut ActContext<'_>, out: &mut Vec<u8>) {
        let (view, scene) = self.scene(around, None);
        view.end(scene, out);
    }

    /// Lines that may still be shown.
    fn room(&self) -> u64 {
        self.limit.map_or(u64::MAX, |limit| limit.saturating_sub(self.counts.shown))
    }

    fn scene<'a>(
        &'a mut self,
        around: &'a mut ActContext<'_>,
        message: Option<&'a str>,
    ) -> (&'a mut dyn View, Scene<'a>) {
        let room = self.room();
        let scene = Scene {
            tracker: &mut self.tracker,
            select: &self.select,
            clock: &self.clock,
            now_ns: self.now_ns,
            lost: self.lost,
            room,
            names: around.names,
            message,
        };
        (&mut *self.view, scene)
    }

    /// Why the view wants to end the capture, if it does.
    #[must_use]
    pub fn ending(&self) -> Option<Ending> {
        self.view.ending()
    }

    /// Whether what is shown are lines of output.
    #[must_use]
    pub fn has_lines(&self) -> bool {
        self.view.has_lines()
    }

    /// Whether as many lines were made as were asked for.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.limit.is_some_and(|limit| self.counts.shown >= limit)
    }

    fn count(&mut self, counter: &LineCounter) {
        self.lines += if self.has_lines() { counter.shown - self.counts.shown } else { 0 };
        self.counts.shown = counter.shown;
        self.counts.beyond += counter.beyond;
        self.counts.incidents_shown += counter.incidents;
    }

    /// How many lines were appended since this was asked last.
    pub fn take_lines(&mut self) -> u64 {
        std::mem::take(&mut self.lines)
    }

    /// What went through.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The filters.
    #[must_use]
    pub fn select(&self) -> &Select {
        &self.select
    }

    /// The table of connections, if stories are told.
    #[must_use]
    pub fn tracker(&self) -> Option<&Tracker> {
        self.has_stories.then_some(&self.tracker)
    }

    /// The same, to be changed.
    pub fn tracker_mut(&mut self) -> Option<&mut Tracker> {
        self.has_stories.then_some(&mut self.tracker)
    }

    /// How many timewait sockets are followed in each network namespace.
    #[must_use]
    pub fn timewait_by_netns(&self) -> &TimewaitByNetns {
        self.tracker.timewait_by_netns()
    }

    /// The watermark: up to when events have been told.
    #[must_use]
    pub fn now_ns(&self) -> u64 {
        self.now_ns
    }
}

/// Shows what is of interest to the view, as far as there may be more.
fn showing<'a>(
    view: &'a mut dyn View,
    counter: &'a mut LineCounter,
    clock: &'a Clock,
    out: &'a mut Vec<u8>,
) -> impl FnMut(&Transition) + 'a {
    move |transition| {
        if view.shows(transition) && counter.next() {
            counter.incidents += u64::from(!transition.is_transition());
            view.show(transition, clock, out);
        }
    }
}

/// Counts lines, up to a limit and beyond.
struct LineCounter {
    shown: u64,
    beyond: u64,
    /// Of those shown, the ones that are no transitions.
    incidents: u64,
    limit: Option<u64>,
}

impl LineCounter {
    fn new(counts: &Counts, limit: Option<u64>) -> Self {
        Self { shown: counts.shown, beyond: 0, incidents: 0, limit }
    }

    /// Whether there may be another line.
    fn next(&mut self) -> bool {
        let is_full = self.limit.is_some_and(|limit| self.shown >= limit);
        let count = if is_full { &mut self.beyond } else { &mut self.shown };
        *count += 1;
        !is_full
    }
}
