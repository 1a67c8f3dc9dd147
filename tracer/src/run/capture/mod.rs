//! The capture loop: it takes facts from a source, passes them to the stages, and writes the bytes that these
//! make.
//!
//! # Layout
//! - [`capture`]: the loop; `ending`: its end, and the receipt
//! - `messages`: what it says meanwhile

mod ending;
mod messages;

use std::time::Duration;

use crate::{
    config::{Config, Reload, ReloadedConfig, ShownSpan},
    facts::{
        Batch, Fact,
        losses::{Losses, SourceTotals},
        snapshot::Snapshot,
    },
    output::{
        http::{PageRequest, PageRequests},
        stderr::{self, message},
        stdout::Output,
        usage,
    },
    run::{
        capture::messages::{LossMessages, Speaker},
        console::{Console, IdleConsole},
        error::Error,
        otlp,
        receipt::{Comparison, Receipt},
        serve,
        service_manager::ServiceManager,
        stages::{ActContext, Stages, StagesOptions},
        stop::{Heard, Stop},
    },
    source::{self, Demand, Source, kernel::host},
    time::duration::after,
    view::{Ending, input::Input, page::Itself},
};

/// Bytes of lines that are collected before a write while more events are ready. A write hands them to
/// another thread and back, which costs two context switches.
const WRITTEN_AT_ONCE: usize = 1 << 20;

/// The same for one of several captures, each of which collects.
const MERGED_AT_ONCE: usize = 1 << 16;

/// The screen size that is assumed if there is no console: 80 columns by 24 lines.
const DEFAULT_SCREEN: Input = Input::Screen(80, 24);

/// The result of a capture.
#[derive(Debug)]
pub struct Outcome {
    /// The counts of the capture, compared with the kernel's own counters.
    pub receipt: Receipt,
    /// Why the view ended the capture, if it did.
    pub ending: Option<Ending>,
    /// An error of the source, of the output or of the console.
    pub result: Result<(), Error>,
}

/// A source, the stages behind it, and the output for their bytes.
pub struct Capture<S> {
    source: S,
    stages: Stages,
    output: Output,
    out: Vec<u8>,
    /// Bytes that are collected before a write.
    at_once: usize,
    /// Lines in `out`.
    lines: u64,
    /// `--count` limits the number of lines.
    is_limited: bool,
    /// What part of a recording is shown.
    span: ShownSpan,
    /// The view has the whole screen.
    needs_screen: bool,
    /// The terminal of a full-screen view.
    console: Option<Console>,
    /// Events read from the source.
    read: u64,
    /// Transitions that were not shown because standard output no longer accepted data.
    unread: u64,
    /// Transitions that were not shown because the limit on lines had been reached.
    past_limit: u64,
    losses: LossMessages,
    latest_losses: Losses,
    /// Pages that are asked for.
    requests: Option<PageRequests>,
    manager: ServiceManager,
    /// Reads options again.
    reload: Option<Reload>,
    /// How often it has done so, and how often they were faulty.
    reloads: (u64, u64),
    speaker: Speaker,
    totals: Option<SourceTotals>,
    /// How long to capture, from [`Fact::Ready`] on.
    duration: Option<Duration>,
    /// When the capture ends, on the kernel's monotonic clock.
    end_ns: Option<u64>,
    /// When the part of a recording ends that a view without late lines shows.
    until_ns: Option<u64>,
    /// That time has come.
    has_ended: bool,
    comparison: Comparison,
    /// Namespaces that no snapshot has yet.
    unvisited: usize,
    /// It was said that there was no time to search all processes.
    has_told_cut_off: bool,
    /// What was known where a part of a recording begins cannot be read.
    is_damaged: bool,
}

/// Runs a capture from the first fact to the last. Without a console a full-screen view is drawn for 80
/// columns by 24 lines.
///
/// # Errors
/// The source does not know a name in the filters.
pub async fn capture(
    source: impl Source,
    config: Config,
    output: Output,
    console: Option<IdleConsole>,
    stop: &mut Stop,
) -> Result<Outcome, Error> {
    let mut capture = Capture::new(source, config, output)?;
    let result = match capture.begin(stop).await {
        Ok(true) => {
            capture.speaker.say("ready");
            capture.requests.iter().for_each(PageRequests::is_ready);
            capture.manager.ready();
            let opened = if capture.needs_screen { capture.open_screen(console) } else { Ok(()) };
            match opened {
                Ok(()) => capture.flow(stop).await,
                error => error,
            }
        }
        Ok(false) => Ok(()),
        Err(error) => Err(error),
    };
    let result = capture.finish(result, stop).await;
    Ok(Outcome { receipt: capture.receipt(), ending: capture.stages.ending(), result })
}

/// What the stages ask while they act.
fn around<S: Source>(source: &mut S) -> ActContext<'_> {
    ActContext { playback: source.playback(), names: source.names(), message: stderr::held }
}

impl<S: Source> Capture<S> {
    fn new(mut source: S, config: Config, mut output: Output) -> Result<Self, source::Error> {
        let Config { view, filters, follows_timewait, count, duration, span, host: named, reload, .. } =
            config;
        let (needs_screen, speaker) = (view.needs().screen, Speaker(named));
        let mut filters = filters.resolve(source.names())?;
        let mut follows_timewait = follows_timewait && source.kernel().has_cookies;
        if let Some(header) = source.header() {
            filters.constant = filters.constant.within(&header.filter)?;
            follows_timewait &= header.follows_timewait;
        }
        let outer = reload.as_ref().map(|reload| reload.outer.clone().resolve(source.names()));
        let outer = outer.transpose()?.map(|outer| outer.constant);
        if let Some(outer) = &outer {
            filters = filters.narrowed(outer)?;
        }
        filters.absent(source.names()).iter().for_each(|absent| speaker.say(absent));
        let host = source.header().map_or_else(host::name, |header| header.host.clone());
        let kernel = source.kernel();
        let comparison = Comparison::new(outer.as_ref().unwrap_or(&filters.constant));
        let mut stages =
            Stages::new(StagesOptions { view, filters, kernel, host, follows_timewait, limit: count });
        if let Some(outer) = &outer {
            stages = stages.that_may_change(outer);
        }
        let mut at_once = WRITTEN_AT_ONCE;
        if output.merge_input().is_some() {
            stages.note_starts();
            at_once = MERGED_AT_ONCE;
        }
        let requests = output.take_requests();
        Ok(Self {
            comparison,
            stages,
            source,
            manager: ServiceManager::new(requests.is_some()),
            requests,
            reload,
            reloads: (0, 0),
            output,
            out: Vec::new(),
            at_once,
            lines: 0,
            is_limited: count.is_some(),
            span,
            needs_screen,
            console: None,
            read: 0,
            unread: 0,
            past_limit: 0,
            losses: LossMessages::default(),
            latest_losses: Losses::NONE,
            speaker,
            totals: None,
            duration,
            end_ns: None,
            until_ns: None,
            has_ended: false,
            unvisited: 0,
            has_told_cut_off: false,
            is_damaged: false,
        })
    }

    /// Takes the facts that precede the events. Returns false if a signal ends the capture before it has
    /// begun.
    async fn begin(&mut self, stop: &mut Stop) -> Result<bool, Error> {
        loop {
            let demand = Demand::all(self.stages.timewait_by_netns());
            let fact = tokio::select! {
                fact = self.source.next(demand) => fact?,
                () = stop.wait() => return Ok(false),
            };
            let begin_ns = match fact {
                Fact::Ready(begin_ns) => Some(begin_ns),
                Fact::End(_) => Some(self.stages.now_ns()),
                _ => None,
            };
            self.take(fact);
            if let Some(begin_ns) = begin_ns {
                let begin_ns = begin_ns.max(self.stages.span().since_ns.unwrap_or_default());
                self.output.begin_files((begin_ns, self.stages.wall_ns(begin_ns)));
                return Ok(true);
            }
        }
    }

    /// Takes over the terminal's screen and keyboard for a full-screen view.
    fn open_screen(&mut self, console: Option<IdleConsole>) -> Result<(), Error> {
        self.console = console.map(IdleConsole::open).transpose()?;
        self.input(self.console.as_ref().map_or(DEFAULT_SCREEN, Console::screen));
        Ok(())
    }

    /// Processes facts until the capture ends.
    async fn flow(&mut self, stop: &mut Stop) -> Result<(), Error> {
        while !self.is_over() {
            let collects = self.out.len() < self.at_once && self.source.has_more();
            if !self.output.is_busy() && !collects {
                self.write();
            }
            let is_busy = self.output.is_busy();
            let may_show = self.may_show();
            let due = [
                self.stages.due().filter(|_| may_show),
                self.stages.holders_due(),
                self.losses.due_ns,
                self.output.next_file_due(),
            ];
            let demand = Demand {
                // A full-screen view goes on counting live events while a drawing is being written.
                events: may_show || (self.source.is_live() && !self.stages.has_lines()),
                due_ns: due.into_iter().flatten().min(),
                end_ns: self.end_ns.into_iter().chain(self.until_ns).min(),
                since_ns: self.stages.span().since_ns,
                holders_ns: self.stages.wants_holders(),
                look_ns: self.stages.wants_look(),
                timewait: self.stages.timewait_by_netns(),
            };
            tokio::select! {
                biased;
                heard = stop.heard() => match heard {
                    Heard::End => break,
                    Heard::Mark => {
                        let why = self.stages.named("signal");
                        let kept = self.source.checkpoint(self.stages.checkpoint(), Some(&why));
                        kept.into_iter().for_each(message);
                    }
                    Heard::Reload => {
                        self.manager.reloading();
                        self.reload();
                        self.manager.ready();
                    }
                },
                () = self.manager.watches() => self.manager.goes_on(),
                written = self.output.turn() => written?,
                request = PageRequests::next(self.requests.as_mut()) => self.answer(request),
                input = Console::next(self.console.as_mut(), is_busy) => self.input(input),
                fact = self.source.next(demand) => {
                    self.requests.iter().for_each(PageRequests::goes_on);
                    self.take(fact?);
                }
            }
            let now_ns = self.stages.now_ns();
            if self.stages.span().has(now_ns) && self.output.is_next_file_due(|| self.stages.now()) {
                self.next_file().await?;
            }
            self.rotate();
        }
        Ok(())
    }

    /// Starts to write what has been made. No write may be in progress.
    fn write(&mut self) {
        let is_last = self.stages.ending() == Some(Ending::Stuck);
        if let Some(merged) = self.output.merge_input() {
            if is_last {
                merged.end_all();
            }
            merged.place(self.stages.take_starts(), self.stages.now().1);
        }
        self.output.start(&mut self.out, std::mem::take(&mut self.lines));
    }

    /// Ends a file of an export, and begins the next one.
    async fn next_file(&mut self) -> Result<(), Error> {
        self.output.patience().await?;
        let mut around = around(&mut self.source);
        self.stages.end_file(&mut around, &mut self.out);
        self.write();
        self.output.patience().await?;
        let now = self.stages.now();
        self.output.next_file(now, |time_ns| self.stages.wall_ns(time_ns))?;
        self.stages.begin(self.source.kernel(), now.0, &mut self.out);
        Ok(())
    }

    /// Lets a recording go on in a new part, if it has to.
    fn rotate(&mut self) {
        let why = self.stages.trigger();
        if why.is_some() || self.source.wants_checkpoint() {
            let kept = self.source.checkpoint(self.stages.checkpoint(), why.as_deref());
            kept.into_iter().for_each(message);
        }
    }

    fn is_over(&self) -> bool {
        self.has_ended
            || self.stages.is_past()
            || self.stages.is_full()
            || self.stages.ending().is_some()
            || self.totals.is_some()
    }

    /// Whether the view may append output while a write is in progress. With a limit on lines, the line that
    /// reaches it ends the capture, so earlier lines must have been read first. A screen waits, too: a
    /// drawing that is queued would be outdated.
    fn may_show(&self) -> bool {
        !self.output.is_busy() || (self.may_run_ahead() && self.out.len() < self.at_once)
    }

    fn may_run_ahead(&self) -> bool {
        self.stages.has_lines() && !self.is_limited
    }

    fn take(&mut self, fact: Fact) {
        match fact {
            Fact::Clock(anchor) => self.stages.clock(anchor),
            Fact::CountersAtStart(counters) => self.comparison.at_start(counters, self.stages.tracker_mut()),
            Fact::CountersAtEnd(counters) => self.comparison.at_end(counters, self.stages.tracker_mut()),
            Fact::Snapshot(snapshot) => {
                log::info!(
                    "found {} sockets in {} network namespaces, {} out of reach",
                    snapshot.sockets.len(),
                    snapshot.netns.len(),
                    snapshot.unreached.len()
                );
                self.tell_unvisited(&snapshot);
                self.comparison.found_unreached(&snapshot.unreached);
                let retired = self.stages.snapshot(snapshot, self.source.names());
                if retired > 0 {
                    log::info!("after a loss: {retired} connections had ended unseen");
                }
                self.comparison.retired += retired;
            }
            Fact::Ready(at_ns) => {
                let span = match &self.span {
                    ShownSpan::Known(span) => *span,
                    ShownSpan::OfFiles(spec) | ShownSpan::OfStream(spec) => {
                        spec.within(&self.stages.time_so_far(at_ns))
                    }
                };
                self.stages.show_only(span);
                let from_ns = span.since_ns.map_or(at_ns, |since_ns| since_ns.max(at_ns));
                let end_ns = self.duration.and_then(|duration| after(from_ns, duration));
                self.until_ns = span.until_ns.filter(|_| !self.stages.has_late_lines());
                self.end_ns = end_ns;
                self.stages.begin(self.source.kernel(), at_ns, &mut self.out);
            }
            Fact::Events(batch) => self.events(batch),
            Fact::Losses(losses, until_ns) => {
                self.latest_losses = losses;
                self.stages.losses(losses.total(), until_ns);
                self.losses.grow(losses.total(), self.stages.now_ns());
            }
            Fact::TimewaitSample(sample) => self.stages.sample(&sample, &mut self.out),
            Fact::Holders(holders) => self.stages.holders(holders, self.source.names()),
            Fact::Interfaces(interfaces) => self.stages.interfaces(interfaces),
            Fact::Gauges(gauges) => self.stages.gauges(gauges),
            Fact::Refresh { sockets, is_part } => self.stages.refresh(&sockets, is_part),
            Fact::Checkpoint(checkpoint) => {
                self.is_damaged |= !self.stages.restore(&checkpoint, self.source.names());
            }
            Fact::Time(now_ns) => self.reach(now_ns),
            Fact::End(totals) => self.totals = Some(totals),
        }
        self.lines += self.stages.take_lines();
    }

    /// Says if there was no time to search all processes, or to look at all namespaces, and when all have been looked at.
    fn tell_unvisited(&mut self, snapshot: &Snapshot) {
        if snapshot.holders_are_cut_off && !self.has_told_cut_off {
            self.speaker
                .say("no time to search all processes for sockets: who holds older ones is found out later");
            self.has_told_cut_off = true;
        }
        let before = std::mem::replace(&mut self.unvisited, snapshot.unvisited);
        if before == 0 && snapshot.unvisited > 0 {
            self.speaker.say(format_args!(
                "{} network namespaces are looked at later: what is older than tracer there is not known yet",
                snapshot.unvisited
            ));
        } else if before > 0 && snapshot.unvisited == 0 {
            self.speaker.say("all network namespaces have been looked at");
        }
    }

    fn events(&mut self, batch: Batch) {
        self.read += batch.events.len() as u64;
        let (is_busy, may_run_ahead) = (self.output.is_busy(), self.may_run_ahead());
        // However often the view is due, what it has made is written before it makes more.
        let at_once = self.at_once;
        let may_act = |out: &[u8]| (!is_busy || may_run_ahead) && out.len() < at_once;
        let mut around = around(&mut self.source);
        self.stages.events(&batch, may_act, &mut around, &mut self.out);
        self.source.recycle(batch.events);
        self.lead_to_explanations();
        self.losses.tell(self.stages.now_ns(), &self.speaker);
        self.reach(self.stages.now_ns());
    }

    /// Makes a page that somebody has asked for.
    fn answer(&mut self, request: PageRequest) {
        let itself = Itself {
            events: self.read,
            losses: self.latest_losses,
            source: self.source.counts(),
            reloads: self.reload.as_ref().map(|_| self.reloads),
            lost_lines: self.output.lost(),
            cpu_us: usage::cpu_us(),
            memory: usage::memory(),
            exports: self.requests.as_ref().and_then(otlp::exports),
        };
        let mut page = Vec::new();
        if let Some(asked) = serve::page(request.route) {
            let mut around = around(&mut self.source);
            self.stages.page(asked, &itself, &mut around, &mut page);
        }
        if let Some(requests) = &mut self.requests {
            requests.reply(request, page);
        }
    }

    /// Reads options again. Faulty ones change nothing.
    fn reload(&mut self) {
        let Some(Reload { outer, again }) = &self.reload else { return };
        let read = || -> Result<_, Box<dyn std::error::Error>> {
            let ReloadedConfig { filters, view } = again()?;
            Ok((filters, view, outer.clone()))
        };
        let names = self.source.names();
        let reloaded = read().and_then(|(filters, view, outer)| {
            let (filters, outer) = (filters.resolve(names)?, outer.resolve(names)?);
            Ok((filters.narrowed(&outer.constant)?, view))
        });
        match reloaded {
            Ok((filters, view)) => {
                filters.absent(names).iter().for_each(|absent| self.speaker.say(absent));
                self.stages.change(filters, view, &mut self.out);
                self.reloads.0 += 1;
                self.speaker.say("the configuration was read again");
            }
            Err(error) => {
                self.reloads.1 += 1;
                self.speaker.say(format_args!("cannot change: {error}; what was in force stays so"));
            }
        }
    }

    /// Names the words that explain the lines about stuck connections, each once.
    fn lead_to_explanations(&mut self) {
        for state in self.stages.newly_stuck() {
            self.speaker.say(format_args!("stuck in {state}, see: tracer explain {state}"));
        }
    }

    /// Takes note that it is this time.
    fn reach(&mut self, now_ns: u64) {
        self.has_ended |= self.end_ns.is_some_and(|end_ns| end_ns <= now_ns);
    }

    fn input(&mut self, input: Input) {
        let mut around = around(&mut self.source);
        self.stages.input(input, &mut around);
        if let Some(command) = self.stages.play() {
            self.source.play(command);
        }
    }
}
