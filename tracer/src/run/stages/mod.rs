//! The stages from facts to bytes: `track -> select -> view`. They do no I/O, and their only time is that of
//! the facts.
//!
//! # Layout
//! - here: what the stages are made of, and what is known of them
//! - `facts`: what each type of fact does; `wants`: what they want to be told
//! - `acts`: what the view does by itself; `lines`: the lines that it appends

mod acts;
mod facts;
mod lines;
mod wants;

use crate::{
    facts::{
        checkpoint::Checkpoint, context::Context, kernel::KernelInfo, names::Names, playback::Playback,
        snapshot::TimewaitByNetns,
    },
    filter::Filter,
    output::merge::LineStart,
    run::stages::lines::{LineCounter, LineStarts, showing},
    select::{Select, spec::Filters},
    time::{
        clock::{Anchor, Clock},
        span::{RecordedTime, TimeSpan},
    },
    track::Tracker,
    view::{View, reload::ReloadedView},
};

/// How long after its end lines may still come about what was in a part of a recording: the end of a socket in TIME_WAIT is
/// found by looking. In nanoseconds.
const LATE_NS: u64 = 300_000_000_000;

/// The stages behind the source, and their shared state.
pub struct Stages {
    tracker: Tracker,
    select: Select,
    view: Box<dyn View>,
    /// Whether events become transitions with their connections' history. If not, the view gets the raw
    /// events (`--raw`).
    has_stories: bool,
    /// Whether lines show names of cgroups and network namespaces.
    shows_names: bool,
    context: Context,
    /// Whether the source has sent a clock anchor.
    has_clock: bool,
    /// The watermark in nanoseconds: all events up to this time have been processed.
    now_ns: u64,
    /// When a transition was last processed.
    last_event_ns: u64,
    /// Whether the source tells who holds which sockets.
    has_holders: bool,
    /// Transitions lost so far; `None` if the count cannot be read.
    lost: Option<u64>,
    /// The part of a recording that is shown.
    span: TimeSpan,
    /// Transitions lost before it.
    lost_before: Option<u64>,
    /// Maximum number of lines (`--count`).
    limit: Option<u64>,
    counts: Counts,
    /// Lines that the view has appended since the last [`Self::take_lines`].
    lines: u64,
    starts: LineStarts,
}

/// Counts of what was processed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Lines made so far, or transitions taken by a view without lines.
    pub shown: u64,
    /// Of those, transitions that do not come from an event of the tracepoint.
    pub sampled: u64,
    /// Lines that were dropped because of the limit.
    pub beyond: u64,
    /// Transitions that were dropped because they are not in the part of a recording that is shown.
    pub outside: u64,
    /// Events other than transitions: those of all other hooks.
    pub hook_events_seen: u64,
    /// Lines made of resets and retransmissions.
    pub incidents_shown: u64,
    /// Lines about stuck connections.
    pub stuck_shown: u64,
}

/// What a view may use when it acts, besides the stages.
pub struct ActContext<'a> {
    /// Looks up names.
    pub names: &'a mut dyn Names,
    /// Returns the last message on standard error while a view has the whole screen.
    pub message: fn() -> Option<String>,
    /// How a recording is played, if that can be chosen.
    pub playback: Option<Playback>,
}

/// What [`Stages`] are made of.
pub struct StagesOptions<'a> {
    /// The view that shows the events.
    pub view: Box<dyn View>,
    /// The filters before it.
    pub filters: Filters,
    /// The kernel that the events come from.
    pub kernel: &'a KernelInfo,
    /// The name of the host.
    pub host: String,
    /// Whether timewait sockets are tracked until they end.
    pub follows_timewait: bool,
    /// The most lines to make (`--count`).
    pub limit: Option<u64>,
}

impl Stages {
    /// Creates the stages.
    #[must_use]
    pub fn new(options: StagesOptions<'_>) -> Self {
        let StagesOptions { view, filters, kernel, host, follows_timewait, limit } = options;
        let needs = view.needs();
        Self {
            tracker: Tracker::new(follows_timewait)
                .with_timewait_hook(kernel.hooks.has_timewait_hook())
                .with_holders(kernel.has_holders)
                .with_tick(kernel.tick_ns),
            select: Select::new(&filters.constant, filters.story),
            has_stories: needs.stories,
            shows_names: needs.names,
            view,
            context: Context { tick_ns: kernel.tick_ns, host, ..Context::new(Clock::fixed(0, 0)) },
            has_clock: false,
            now_ns: 0,
            last_event_ns: 0,
            has_holders: kernel.has_holders,
            lost: Some(0),
            span: TimeSpan::default(),
            lost_before: Some(0),
            limit,
            counts: Counts::default(),
            lines: 0,
            starts: LineStarts::default(),
        }
    }

    /// The filters and the view's options may change while it runs, within what `outer` lets pass.
    #[must_use]
    pub fn that_may_change(self, outer: &Filter) -> Self {
        Self { select: self.select.that_may_change(outer), ..self }
    }

    /// Goes on with other filters, and with other options of the view.
    pub fn change(&mut self, filters: Filters, options: ReloadedView, out: &mut Vec<u8>) {
        let mut counter = LineCounter::new(&self.counts, self.limit, self.span);
        let Self { select, view, context, starts, .. } = self;
        {
            let mut show = showing(&mut **view, &mut counter, context, (out, starts));
            select.change(&filters.constant, filters.story, &mut show);
        }
        self.shown(&counter, out);
        self.view.reload(options);
        self.shows_names = self.view.needs().names;
    }

    /// From now on, takes note of where lines begin: [`Self::take_starts`].
    pub fn note_starts(&mut self) {
        self.starts.is_wanted = true;
    }

    /// Where lines begin in the bytes that were appended since the last call.
    pub fn take_starts(&mut self) -> Vec<LineStart> {
        std::mem::take(&mut self.starts.starts)
    }

    /// Shows only this part of a recording. What is before it is processed all the same.
    pub fn show_only(&mut self, span: TimeSpan) {
        self.span = span;
    }

    /// The part of a recording that is shown.
    #[must_use]
    pub fn span(&self) -> TimeSpan {
        self.span
    }

    /// When the recording was made that begins at this time, as far as is known now.
    #[must_use]
    pub fn time_so_far(&self, begin_ns: u64) -> RecordedTime {
        let begin = Anchor { monotonic_ns: begin_ns, wall_ns: self.wall_ns(begin_ns) };
        RecordedTime { begin, end: None, anchors: vec![begin] }
    }

    /// Whether lines may be about what was some time ago. A view without lines ends with what is known then.
    #[must_use]
    pub fn has_late_lines(&self) -> bool {
        self.has_stories && self.has_lines()
    }

    /// Whether no line can come any more about the part of a recording that is shown.
    #[must_use]
    pub fn is_past(&self) -> bool {
        let is_past = |until_ns: u64| self.now_ns > until_ns.saturating_add(LATE_NS);
        self.span.until_ns.is_some_and(is_past) && self.has_late_lines() && !self.select.has_undecided()
    }

    /// The capture begins at this time, in nanoseconds of the kernel's monotonic clock.
    pub fn begin(&mut self, kernel: &KernelInfo, at_ns: u64, out: &mut Vec<u8>) {
        self.now_ns = self.now_ns.max(at_ns);
        // Lines are made from the beginning on, and are not shown yet: some are told once.
        let first_ns = if self.has_lines() { 0 } else { self.span.since_ns.unwrap_or_default() };
        self.view.begin(kernel, at_ns.max(first_ns), out);
    }

    /// A name made of the time now and a cause.
    #[must_use]
    pub fn named(&self, why: &str) -> String {
        self.named_after(why, self.now_ns)
    }

    fn named_after(&self, why: &str, at_ns: u64) -> String {
        format!("{}-{why}", self.context.clock.wall(at_ns).strftime("%Y%m%dT%H%M%SZ"))
    }

    /// All that is known now, for a part of a recording that begins here.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        self.tracker.checkpoint(self.now_ns)
    }

    /// The time now by the kernel's monotonic clock and by the wall clock, in nanoseconds.
    #[must_use]
    pub fn now(&self) -> (u64, i64) {
        (self.now_ns, self.wall_ns(self.now_ns))
    }

    /// The time of day at a time of the kernel's monotonic clock, in nanoseconds since 1970.
    #[must_use]
    pub fn wall_ns(&self, time_ns: u64) -> i64 {
        self.context.clock.wall_ns(time_ns)
    }

    /// Whether the limit on lines has been reached.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.limit.is_some_and(|limit| self.counts.shown >= limit)
    }

    /// Ends what [`showing`] has begun: counts the lines, and has the view append those that it holds back.
    fn shown(&mut self, counter: &LineCounter, out: &mut Vec<u8>) {
        self.view.flush(&self.context, out);
        self.lines += if self.has_lines() { counter.shown - self.counts.shown } else { 0 };
        self.counts.shown = counter.shown;
        self.counts.beyond += counter.beyond;
        self.counts.outside += counter.outside;
        self.counts.incidents_shown += counter.incidents;
    }

    /// Returns the number of lines appended since the last call.
    pub fn take_lines(&mut self) -> u64 {
        std::mem::take(&mut self.lines)
    }

    /// Counts of what was processed.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// What is known about the host.
    #[must_use]
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The filters.
    #[must_use]
    pub fn select(&self) -> &Select {
        &self.select
    }

    /// The table of connections; `None` with `--raw`.
    #[must_use]
    pub fn tracker(&self) -> Option<&Tracker> {
        self.has_stories.then_some(&self.tracker)
    }

    /// The table of connections, mutable.
    pub fn tracker_mut(&mut self) -> Option<&mut Tracker> {
        self.has_stories.then_some(&mut self.tracker)
    }

    /// Number of tracked timewait sockets in each network namespace.
    #[must_use]
    pub fn timewait_by_netns(&self) -> &TimewaitByNetns {
        self.tracker.timewait_by_netns()
    }

    /// The watermark in nanoseconds: all events up to this time have been processed.
    #[must_use]
    pub fn now_ns(&self) -> u64 {
        self.now_ns
    }
}
