//! The stages from facts to bytes: `track -> select -> view`. They do no I/O, and their only time is that of
//! the facts.

use tracer_common::{
    Event,
    event::{Holder, flag, kind},
};

use crate::{
    facts::{
        Batch,
        checkpoint::Checkpoint,
        context::Context,
        gauges::Gauges,
        holders::Holders,
        interfaces::Interfaces,
        kernel::KernelInfo,
        names::Names,
        playback::{PlayCommand, Playback},
        snapshot::{Snapshot, TimewaitByNetns, TimewaitSample},
    },
    filter::Filter,
    output::merge::LineStart,
    select::{Select, spec::Filters},
    tcp::state::State,
    time::{
        clock::{Anchor, Clock},
        span::{RecordedTime, TimeSpan},
    },
    track::{Tracker, Transition, prefetch_groups},
    view::{
        ClosingReceipt, Ending, Scene, View,
        input::Input,
        page::{Itself, ServedPage},
        reload::ReloadedView,
    },
};

/// Time between two searches for holders that no line waits for, in nanoseconds.
const HOLDERS_INTERVAL_NS: u64 = 1_000_000_000;

/// How often a view acts by itself in one batch, at most: every second for an hour. Someone may have written a
/// recording whose time leaps by centuries.
const MOST_ACTS: usize = 4096;

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

/// Where lines begin in the bytes that the view has appended, if somebody wants to know.
#[derive(Default)]
struct LineStarts {
    is_wanted: bool,
    starts: Vec<LineStart>,
}

impl LineStarts {
    /// Each line that was appended behind this offset is about this time.
    fn add_lines(&mut self, at: usize, out: &[u8], time_ns: u64, context: &Context) {
        let mut begin = at;
        for line in out[at..].split_inclusive(|byte| *byte == b'\n') {
            self.add(begin, out, time_ns, context);
            begin += line.len();
        }
    }

    /// What was appended behind this offset is about this time.
    fn add(&mut self, at: usize, out: &[u8], time_ns: u64, context: &Context) {
        if self.is_wanted && out.len() > at {
            self.starts.push(LineStart { at, wall_ns: context.clock.wall_ns(time_ns) });
        }
    }
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
        self.count(&counter);
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

    /// Takes a clock anchor. The first one starts the run; later ones follow changes of the wall clock.
    pub fn clock(&mut self, anchor: Anchor) {
        if self.has_clock {
            self.context.clock.set(anchor);
        } else {
            (self.context.clock, self.has_clock) = (Clock::new(anchor), true);
        }
    }

    /// Takes a batch of events. If the view is due before the end of the batch, it acts in between, at its
    /// due time, provided that `may_act` accepts the bytes made so far. After a great leap of time it does so once more,
    /// at the end, and what was due in between is left out.
    pub fn events(
        &mut self,
        batch: &Batch,
        may_act: impl Fn(&[u8]) -> bool,
        around: &mut ActContext<'_>,
        out: &mut Vec<u8>,
    ) {
        let (mut events, until_ns) = (&batch.events[..], batch.until_ns);
        self.learn_names(events, around.names);
        let mut acts = 0;
        while let Some(due_ns) = self.due().filter(|due_ns| *due_ns <= until_ns)
            && acts <= MOST_ACTS
            && may_act(out)
            && self.ending().is_none()
        {
            let due_ns = if acts == MOST_ACTS { until_ns } else { due_ns };
            acts += 1;
            let before = events.partition_point(|event| event.time_ns <= due_ns);
            self.show(&events[..before], around.names, out);
            events = &events[before..];
            // An action may be late, but time never goes back.
            self.now_ns = self.now_ns.max(due_ns);
            self.act(around, out);
        }
        self.show(events, around.names, out);
        self.now_ns = self.now_ns.max(until_ns);
    }

    fn learn_names(&mut self, events: &[Event], names: &mut dyn Names) {
        if self.shows_names {
            for event in events {
                self.context.names.learn(event, names);
            }
        }
    }

    fn show(&mut self, events: &[Event], names: &mut dyn Names, out: &mut Vec<u8>) {
        self.last_event_ns = events.last().map_or(self.last_event_ns, |event| event.time_ns);
        let mut counter = LineCounter::new(&self.counts, self.limit, self.span);
        if self.has_stories {
            self.show_stories(events, &mut counter, names, out);
        } else {
            self.show_raw(events, &mut counter, out);
        }
        self.count(&counter);
    }

    fn show_raw(&mut self, events: &[Event], counter: &mut LineCounter, out: &mut Vec<u8>) {
        for event in events {
            if event.kind != kind::TRANSITION {
                self.counts.hook_events_seen += 1;
            } else if counter.next(event.time_ns, true) {
                let at = out.len();
                self.view.event(event, &self.context, out);
                self.starts.add(at, out, event.time_ns, &self.context);
            }
        }
    }

    fn show_stories(
        &mut self,
        events: &[Event],
        counter: &mut LineCounter,
        names: &mut dyn Names,
        out: &mut Vec<u8>,
    ) {
        let Self { tracker, select, view, context, counts, starts, .. } = self;
        for [group, next, after] in prefetch_groups(events) {
            tracker.prefetch(next, after);
            for event in group {
                counts.hook_events_seen += u64::from(event.kind != kind::TRANSITION);
                if select.refuses(event) {
                    tracker.drop_filtered(event.cookie);
                    continue;
                }
                let before = counter.shown;
                {
                    let mut show = showing(&mut **view, counter, context, (out, starts));
                    tracker.event(event, &mut |transition| {
                        select.learn_cgroups(&transition.connection, names);
                        select.pass(transition, &mut show);
                    });
                }
                // Other hooks report these transitions, not the tracepoint.
                if kind::implies_transition(event.kind) {
                    counts.sampled += counter.shown - before;
                }
            }
        }
    }

    /// Shows the transitions that follow from a sample of timewait sockets.
    pub fn sample(&mut self, sample: &TimewaitSample, out: &mut Vec<u8>) {
        if !self.has_stories {
            return;
        }
        let mut counter = LineCounter::new(&self.counts, self.limit, self.span);
        let Self { tracker, select, view, context, now_ns, starts, .. } = self;
        {
            let mut show = showing(&mut **view, &mut counter, context, (out, starts));
            tracker.sample(sample, *now_ns, &mut |transition| select.pass(transition, &mut show));
        }
        self.counts.sampled += counter.shown - self.counts.shown;
        self.count(&counter);
    }

    /// Merges a snapshot: adds the sockets that the filters select, and retires connections that are not in
    /// it, because they ended without an event. Returns the number of retired connections.
    pub fn snapshot(&mut self, mut snapshot: Snapshot, names: &mut dyn Names) -> u64 {
        if !self.has_stories {
            return 0;
        }
        let retired = if self.tracker.is_empty() { 0 } else { self.tracker.retire(&snapshot) };
        let holders = Holders::in_snapshot(&snapshot);
        // Listeners need their owners first, because their connections inherit them.
        for sockets in [&mut snapshot.holders, &mut snapshot.sockets] {
            sockets.retain(|socket| socket.flags & flag::BARE == 0 && self.select.wants(socket));
            self.tracker.merge_snapshot(sockets);
            self.learn_names(sockets, names);
        }
        if let Some(holders) = holders {
            self.tracker.count_holders(&holders);
            self.context.holders = holders;
        }
        self.context.interfaces.extend(snapshot.interfaces);
        retired as u64
    }

    /// Takes over what was known at a checkpoint, and returns whether it could be read.
    pub fn restore(&mut self, checkpoint: &Checkpoint, names: &mut dyn Names) -> bool {
        self.now_ns = self.now_ns.max(checkpoint.at_ns);
        let restored = if self.has_stories { self.tracker.restore(checkpoint) } else { Ok(()) };
        if let Err(error) = &restored {
            log::warn!("{error}");
        }
        if self.shows_names {
            for connection in self.tracker.iter() {
                self.context.names.learn_ids(connection.cgroup, connection.tuple.netns_id(), names);
                self.context.names.learn_process(connection.owner.pid, checkpoint.at_ns, names);
            }
        }
        restored.is_ok()
    }

    /// The name under which the last parts of a recording must be kept, if they must be: time and cause.
    pub fn trigger(&mut self) -> Option<String> {
        let (why, at_ns) = self.view.trigger()?;
        Some(self.named_after(&why, at_ns))
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

    /// Corrects the owners of sockets by those who hold them now.
    pub fn holders(&mut self, holders: Holders, names: &mut dyn Names) {
        if self.shows_names {
            for first in holders.by_socket().filter_map(<[Holder]>::first) {
                self.context.names.learn_process(first.pid, holders.during_ns.1, names);
            }
        }
        self.tracker.merge_holders(&holders);
        self.context.holders = holders;
    }

    /// Takes names of network devices.
    pub fn interfaces(&mut self, interfaces: Interfaces) {
        self.context.interfaces.extend(interfaces);
    }

    /// Takes what the kernel counts in network namespaces.
    pub fn gauges(&mut self, gauges: Gauges) {
        self.context.gauges = gauges;
    }

    /// When holders will be wanted because something has happened since the last search, even if nothing happens
    /// until then.
    #[must_use]
    pub fn holders_due(&self) -> Option<u64> {
        let due_ns = self.tracker.holders_ns().saturating_add(HOLDERS_INTERVAL_NS);
        let is_wanted =
            self.has_stories && self.has_holders && self.last_event_ns > self.tracker.holders_ns();
        (is_wanted && due_ns > self.now_ns).then_some(due_ns)
    }

    /// The time for which the holders of sockets are wanted, if they are: at once for a line that waits for them;
    /// else now and then, if something has happened since the last search or the view shows what is there now.
    #[must_use]
    pub fn wants_holders(&self) -> Option<u64> {
        if !self.has_stories || !self.has_holders {
            return None;
        }
        let shown_ns = if self.view.needs().refreshes { self.now_ns } else { self.last_event_ns };
        let is_due = self.now_ns >= self.tracker.holders_ns().saturating_add(HOLDERS_INTERVAL_NS);
        self.tracker.wants_holders().or(is_due.then_some(shown_ns))
    }

    /// The time for which the present facts of full sockets are wanted, if a line waits for them.
    #[must_use]
    pub fn wants_look(&self) -> Option<u64> {
        self.tracker.wants_look()
    }

    /// Updates connections from the current counters of full sockets, such as queues and bytes.
    pub fn refresh(&mut self, sockets: &[Event], is_part: bool) {
        self.tracker.refresh(sockets, is_part);
    }

    /// Takes the number of transitions lost so far. If it has changed, durations across the loss gap are
    /// unknown.
    pub fn losses(&mut self, lost: Option<u64>, until_ns: u64) {
        if lost.is_some() && lost != self.lost {
            self.tracker.lost(until_ns);
        }
        self.lost = lost;
        if self.span.is_before(until_ns) {
            self.lost_before = lost;
        }
    }

    /// When the view is due to act, in nanoseconds of the kernel's monotonic clock.
    #[must_use]
    pub fn due(&self) -> Option<u64> {
        let TimeSpan { since_ns, until_ns } = self.span;
        let first_ns = if self.has_lines() { 0 } else { since_ns.unwrap_or_default() };
        let due_ns = self.view.due().map(|due_ns| due_ns.max(first_ns));
        due_ns.filter(|due_ns| until_ns.is_none_or(|until_ns| *due_ns <= until_ns))
    }

    fn act(&mut self, around: &mut ActContext<'_>, out: &mut Vec<u8>) {
        self.show_beginnings(out);
        let message = (around.message)();
        let (at, now_ns) = (out.len(), self.now_ns);
        let (view, scene) = self.scene(around, message.as_deref());
        let lines = view.act(scene, out);
        if lines > 0 {
            self.starts.add_lines(at, out, now_ns, &self.context);
        } else {
            self.starts.add(at, out, now_ns, &self.context);
        }
        self.counts.shown += lines;
        self.counts.stuck_shown += lines;
        self.lines += lines;
        if self.ending() == Some(Ending::Stuck) {
            // Its line is the last one.
            self.limit = Some(self.counts.shown);
        }
    }

    /// States that the view has shown a connection stuck in since this was asked last, each once in a capture.
    pub fn newly_stuck(&mut self) -> Vec<State> {
        self.view.newly_stuck()
    }

    /// Shows the beginnings that were held back, of connections about which enough is known by now: a line that
    /// the view makes by itself comes after them.
    fn show_beginnings(&mut self, out: &mut Vec<u8>) {
        let mut counter = LineCounter::new(&self.counts, self.limit, self.span);
        let Self { tracker, select, view, context, starts, .. } = self;
        {
            let mut show = showing(&mut **view, &mut counter, context, (out, starts));
            for cookie in select.undecided() {
                if let Some(connection) = tracker.get(cookie) {
                    select.release(connection, &mut show);
                }
            }
        }
        self.count(&counter);
    }

    /// Passes a key or a change of screen size to the view.
    pub fn input(&mut self, input: Input, around: &mut ActContext<'_>) {
        let message = (around.message)();
        let (view, scene) = self.scene(around, message.as_deref());
        view.input(input, scene);
    }

    /// Appends a page that somebody has asked for.
    pub fn page(
        &mut self,
        page: ServedPage,
        itself: &Itself,
        around: &mut ActContext<'_>,
        out: &mut Vec<u8>,
    ) {
        let (view, scene) = self.scene(around, None);
        view.page(page, itself, scene, out);
    }

    /// How the user wants a recording to be played, if that has changed.
    pub fn play(&mut self) -> Option<PlayCommand> {
        self.view.play()
    }

    /// Whether the view takes the receipt before it makes its last bytes.
    #[must_use]
    pub fn wants_receipt(&self) -> bool {
        self.view.needs().receipt
    }

    /// Hands the view the receipt.
    pub fn receipt(&mut self, receipt: ClosingReceipt) {
        self.view.receipt(receipt);
    }

    /// Lets the view make its last bytes.
    pub fn end(&mut self, around: &mut ActContext<'_>, out: &mut Vec<u8>) {
        // Nobody answers any more.
        if self.tracker.wants_holders().or(self.tracker.wants_look()).is_some() {
            self.tracker.expect_no_holders();
            self.act(around, out);
        }
        self.end_view(around, out);
    }

    fn end_view(&mut self, around: &mut ActContext<'_>, out: &mut Vec<u8>) {
        let (at, now_ns) = (out.len(), self.now_ns);
        let (view, scene) = self.scene(around, None);
        view.end(scene, out);
        self.starts.add(at, out, now_ns, &self.context);
    }

    /// Lets the view end a file. The next one begins with [`Self::begin`].
    pub fn end_file(&mut self, around: &mut ActContext<'_>, out: &mut Vec<u8>) {
        self.end_view(around, out);
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

    /// Lines left below the limit.
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
            context: &self.context,
            now_ns: self.now_ns,
            is_shown: self.span.has(self.now_ns),
            lost: self.lost.zip(self.lost_before).map(|(lost, before)| lost.saturating_sub(before)),
            room,
            names: around.names,
            playback: around.playback,
            message,
        };
        (&mut *self.view, scene)
    }

    /// Why the view wants to end the capture, if it does.
    #[must_use]
    pub fn ending(&self) -> Option<Ending> {
        self.view.ending()
    }

    /// Whether the view makes lines of output.
    #[must_use]
    pub fn has_lines(&self) -> bool {
        self.view.has_lines()
    }

    /// Whether the limit on lines has been reached.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.limit.is_some_and(|limit| self.counts.shown >= limit)
    }

    fn count(&mut self, counter: &LineCounter) {
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

/// Returns a function that passes transitions to the view if it shows them and the limit allows it.
fn showing<'a>(
    view: &'a mut dyn View,
    counter: &'a mut LineCounter,
    context: &'a Context,
    (out, starts): (&'a mut Vec<u8>, &'a mut LineStarts),
) -> impl FnMut(&Transition) + 'a {
    move |transition| {
        let is_transition = transition.is_transition();
        let is_counted = is_transition && !transition.is_silent;
        if view.shows(transition) && counter.next(transition.time_ns, is_counted) {
            counter.incidents += u64::from(!is_transition);
            let at = out.len();
            view.show(transition, context, out);
            starts.add(at, out, transition.time_ns, context);
        }
    }
}

/// Counts lines up to the limit, those beyond it, and those that are not in the part of a recording that is shown.
struct LineCounter {
    span: TimeSpan,
    shown: u64,
    beyond: u64,
    outside: u64,
    /// Of the lines shown, those that are no transitions.
    incidents: u64,
    limit: Option<u64>,
}

impl LineCounter {
    fn new(counts: &Counts, limit: Option<u64>, span: TimeSpan) -> Self {
        Self { span, shown: counts.shown, beyond: 0, outside: 0, incidents: 0, limit }
    }

    /// Counts a line about this time. Returns whether it is to be shown.
    fn next(&mut self, time_ns: u64, is_transition: bool) -> bool {
        if !self.span.has(time_ns) {
            self.outside += u64::from(is_transition);
            return false;
        }
        let is_full = self.limit.is_some_and(|limit| self.shown >= limit);
        let count = if is_full { &mut self.beyond } else { &mut self.shown };
        *count += 1;
        !is_full
    }
}
