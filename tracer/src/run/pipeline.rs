//! The stages that an event passes, and the loop that moves it: `rings -> show -> output`.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use tokio::time::timeout;
use tracer_common::{Event, helper::Helper};

use crate::{
    config::{Config, Wanted},
    output::{
        stderr::{self, say},
        stdout::Output,
    },
    run::{
        console::Console,
        error::Error,
        receipt::{Comparison, Receipt},
        stages::{Now, Show},
        stop::Stop,
    },
    source::{
        kernel::{
            load::Attached,
            polling::{Answer, Follow},
            rings::Rings,
            survey::Survey,
        },
        older::{cookies::Identity, unfilled::Births},
    },
    time::{
        clock::{Clock, monotonic_ns},
        wait::at,
    },
    view::{Ending, input::Input},
};

/// How often losses are told while they go on.
const LOSS_INTERVAL: Duration = Duration::from_secs(1);

/// How long the kernel's counters may take to be read at the end.
const LAST_COUNTERS: Duration = Duration::from_secs(2);

/// Bytes of lines that collect, while there are more events, before they are written: to hand them
/// over takes two changes of threads.
const WRITTEN_AT_ONCE: usize = 1 << 20;

/// The stages, and the buffers between them.
pub struct Pipeline {
    rings: Rings,
    /// Not with `--raw`, which shows what the tracepoint says.
    births: Option<Births>,
    /// Where the kernel does not tell who is who.
    identity: Option<Identity>,
    show: Show,
    follow: Option<Follow>,
    output: Output,
    clock: Clock,
    batch: Vec<Event>,
    out: Vec<u8>,
    /// Lines in `out`.
    lines: u64,
    limit: Option<u64>,
    read: u64,
    /// Events that were not read because standard output took nothing any more.
    unread: u64,
    /// Events that were not read because there were lines enough.
    past_limit: u64,
    lost: u64,
    /// That count as it was read last; `None` if it could not be.
    lost_read: Option<u64>,
    lost_told: u64,
    /// When a loss is to be told that is not told yet.
    tell_at: Option<Instant>,
    comparison: Comparison,
    /// For a view that has the whole screen.
    console: Option<Console>,
}

impl Pipeline {
    /// Builds the stages around what is attached. Needs a tokio runtime around it.
    pub fn new(mut attached: Attached, survey: Option<Survey>, mut config: Config) -> Result<Self, Error> {
        let absent = attached.layout.absent();
        let has_cookies = attached.layout.has(Helper::SocketCookie);
        // Nothing else ties a timewait socket to the connection that it comes from.
        config.follows_waiting &= has_cookies;
        let names = std::mem::take(&mut attached.reset_names);
        let comparison = Comparison::new(&config.kernel.filter);
        let mut follow =
            survey.map(|survey| Follow::new(survey, config.takes_snapshot, config.follows_waiting));
        if matches!(config.wanted, Wanted::Top(_))
            && let Some(follow) = &mut follow
        {
            follow.refresh();
        }
        Ok(Self {
            births: (!matches!(config.wanted, Wanted::Raw(_))).then(Births::default),
            identity: (!has_cookies).then(Identity::default),
            follow,
            limit: config.count,
            show: Show::new(config, &absent, names, attached.hooks.tells_of_timewait()),
            rings: Rings::new(attached)?,
            output: Output::new().map_err(Error::system("taking standard output"))?,
            clock: Clock::new(),
            batch: Vec::new(),
            out: Vec::new(),
            lines: 0,
            read: 0,
            unread: 0,
            past_limit: 0,
            lost: 0,
            lost_read: Some(0),
            lost_told: 0,
            tell_at: None,
            comparison,
            console: None,
        })
    }

    /// Takes the kernel's counters and the sockets that exist already. Events collect meanwhile;
    /// they come after.
    pub async fn begin(&mut self) {
        if let (Some(follow), Some(tracker)) = (&mut self.follow, self.show.tracker()) {
            self.comparison.at_start(follow.counters().await, tracker.tally_mut());
            if let Some(mut census) = follow.first_census().await {
                if let Some(identity) = &mut self.identity {
                    identity.found(census.sockets.iter_mut().chain(&mut census.holders));
                }
                log::info!(
                    "found {} sockets in {} network namespaces, {} out of reach",
                    census.sockets.len(),
                    census.netns.len(),
                    census.unreached.len()
                );
                self.comparison.unreached = census.unreached.len();
                self.show.sighted(census);
            }
        }
        if let (Some(follow), Some(tracker)) = (&mut self.follow, self.show.tracker()) {
            follow.has_waiting(tracker.has_waiting());
        }
        self.show.begin(&mut self.out);
    }

    /// Takes over the terminal's screen and keyboard.
    pub fn open_console(&mut self) -> Result<(), Error> {
        let console = self.console.insert(Console::open()?);
        let screen = console.screen();
        self.input(screen);
        Ok(())
    }

    /// Lets events flow until something ends it.
    pub async fn flow(&mut self, stop: &mut Stop) -> Result<(), Error> {
        while !self.is_full() && self.show.ending().is_none() {
            let collects = self.out.len() < WRITTEN_AT_ONCE && self.rings.has_more();
            if !self.output.is_busy() && !collects {
                self.output.start(&mut self.out, std::mem::take(&mut self.lines));
            }
            let is_busy = self.output.is_busy();
            let may_show = !is_busy || (self.may_run_ahead() && self.out.len() < WRITTEN_AT_ONCE);
            let tell_at = self.tell_at;
            let due = self.show.due();
            tokio::select! {
                biased;
                () = stop.wait() => break,
                written = self.output.turn() => written.map_err(Error::Output)?,
                answer = Follow::next(&mut self.follow) => self.take_answer(answer),
                () = at(tell_at) => self.tell_losses(),
                () = at(due), if may_show => self.act(),
                input = Console::next(self.console.as_mut(), is_busy) => self.input(input),
                ready = self.rings.ready(), if may_show || !self.show.has_lines() => {
                    ready.map_err(Error::system("waiting for events"))?;
                    self.rings.take(&mut self.batch);
                    self.show_batch();
                }
            }
        }
        Ok(())
    }

    /// Whether lines may collect while others are being written. Where they are counted, the last one
    /// is the end of all, which must not come before they are read. A drawing is not worth keeping.
    fn may_run_ahead(&self) -> bool {
        self.show.has_lines() && self.limit.is_none()
    }

    fn is_full(&self) -> bool {
        self.limit.is_some_and(|limit| self.show.shown() >= limit)
    }

    fn take_answer(&mut self, answer: Answer) {
        let Some(tracker) = self.show.tracker() else {
            return;
        };
        match answer {
            Answer::Census(mut census) => {
                // It speaks of what events tell up to its end: they come first.
                if self.rings.complete_ns() < census.during_ns.1 {
                    self.rings.look_soon();
                    if let Some(follow) = &mut self.follow {
                        follow.put_back(census);
                    }
                    return;
                }
                if let Some(identity) = &mut self.identity {
                    identity.found(census.sockets.iter_mut().chain(&mut census.holders));
                }
                let found: HashSet<u64> =
                    census.sockets.iter().chain(&census.holders).map(|event| event.cookie).collect();
                let retired = tracker.retire(census.during_ns.0, |netns| census.speaks_of(netns), &found);
                log::info!("after a loss: {retired} connections had ended unseen");
                self.comparison.retired += retired as u64;
                self.show.sighted(census);
            }
            Answer::Sample(mut sample) => {
                sample.told_ns = self.rings.complete_ns();
                self.lines += self.show.sample(&sample, &self.clock, self.limit, &mut self.out);
            }
            Answer::Fresh(mut sockets) => {
                if let Some(identity) = &self.identity {
                    identity.known(&mut sockets);
                }
                tracker.refresh(&sockets);
            }
            Answer::Due => {
                let netns = tracker.namespaces_waiting();
                if let Some(follow) = &mut self.follow {
                    follow.ask_for_waiting(netns);
                }
            }
        }
    }

    /// Lets the view act by itself, once all that has happened up to now is told.
    fn act(&mut self) {
        self.rings.take(&mut self.batch);
        self.show_batch();
        let now = now(&self.clock, self.rings.complete_ns(), self.lost_read, self.room());
        self.lines += self.show.act(&now, &mut self.out);
    }

    fn input(&mut self, input: Input) {
        let now = now(&self.clock, self.rings.complete_ns(), self.lost_read, self.room());
        self.show.input(input, &now);
    }

    /// Lines that may still be shown.
    fn room(&self) -> u64 {
        self.limit.map_or(u64::MAX, |limit| limit.saturating_sub(self.show.shown()))
    }

    fn show_batch(&mut self) {
        self.notice_losses();
        self.clock.follow();
        self.read += self.batch.len() as u64;
        if let Some(births) = &mut self.births {
            births.complete(&mut self.batch);
        }
        if let Some(identity) = &mut self.identity {
            identity.events(&mut self.batch);
        }
        self.lines += self.show.events(&self.batch, &self.clock, self.limit, &mut self.out);
        self.batch.clear();
        if let (Some(follow), Some(tracker)) = (&mut self.follow, self.show.tracker()) {
            follow.has_waiting(tracker.has_waiting());
        }
    }

    /// Looks whether anything was lost: durations across it are not known, and the connections
    /// that ended in it are found by looking at those that are there.
    fn notice_losses(&mut self) {
        self.lost_read = self.rings.losses().total();
        let lost = self.lost_read.unwrap_or(self.lost);
        if lost == self.lost {
            return;
        }
        self.lost = lost;
        self.tell_at.get_or_insert(Instant::now() + LOSS_INTERVAL);
        if let Some(tracker) = self.show.tracker() {
            tracker.lost(self.rings.complete_ns());
        }
        if let Some(follow) = &mut self.follow {
            follow.ask_for_census();
        }
    }

    /// A loss is said when it happens, not only in the end.
    fn tell_losses(&mut self) {
        self.tell_at = None;
        if self.lost > self.lost_told {
            say(format_args!("lost {} events, {} in all", self.lost - self.lost_told, self.lost));
            self.lost_told = self.lost;
        }
    }

    /// Ends the capture, and shows what had been reported by then. Somebody who is impatient, or a
    /// reader that does not read, cuts it short; what is not shown then is counted.
    pub async fn finish(&mut self, result: Result<(), Error>, stop: &mut Stop) -> Result<(), Error> {
        if let (Some(follow), Some(tracker)) = (&mut self.follow, self.show.tracker()) {
            // The survey may be in the middle of a look.
            let counters = timeout(LAST_COUNTERS, follow.counters()).await.unwrap_or_default();
            self.comparison.at_end(counters, tracker.tally_mut());
        }
        self.rings.detach().await;
        let result = match result {
            Ok(()) => stop.unless_impatient(self.write_rest()).await,
            error => error,
        };
        if result.is_err() {
            self.output.abandon();
            self.unread = self.rings.drop_rest();
        } else if self.is_full() {
            self.past_limit = self.rings.drop_rest();
        }
        self.lost = self.rings.losses().total().unwrap_or(self.lost);
        result
    }

    async fn write_rest(&mut self) -> Result<(), Error> {
        let mut more = !self.is_full();
        let mut has_ended = false;
        loop {
            self.output.patience().await?;
            if more {
                more = self.rings.take_rest(&mut self.batch);
                self.show_batch();
            }
            if !more && !std::mem::replace(&mut has_ended, true) {
                let now = now(&self.clock, monotonic_ns(), self.lost_read, self.room());
                self.show.end(&now, &mut self.out);
            }
            self.output.start(&mut self.out, std::mem::take(&mut self.lines));
            if !more && !self.output.is_busy() {
                return Ok(());
            }
        }
    }

    /// Why the view has ended the capture, if it has.
    #[must_use]
    pub fn ending(&self) -> Option<Ending> {
        self.show.ending()
    }

    /// What it amounted to.
    pub fn receipt(&mut self) -> Receipt {
        let in_kernel = self.rings.filtered();
        let dropped = self.births.as_ref().map_or(0, Births::dropped);
        let mut receipt = Receipt {
            seen: self.read - self.show.incidents().seen
                + in_kernel.unwrap_or_default()
                + self.unread
                + self.past_limit,
            shown: if self.show.has_lines() { self.output.written() } else { self.show.shown() },
            filtered: in_kernel.map(|in_kernel| in_kernel + self.show.filtered() + dropped),
            beyond: self.show.beyond() + self.past_limit,
            unwritten: self.output.unwritten() + self.lines + self.unread,
            losses: self.rings.losses(),
            sampled: self.show.sampled(),
            incidents: self.show.incidents().shown,
            forgotten: self.show.given_up(),
            connections: None,
            kernel: None,
        };
        self.comparison.is_cut_short = self.is_full() || self.unread > 0;
        if let Some(tracker) = self.show.tracker() {
            self.comparison.conclude(tracker, &mut receipt);
        }
        receipt
    }
}

/// The moment up to which events have been told.
fn now(clock: &Clock, now_ns: u64, lost: Option<u64>, room: u64) -> Now<'_> {
    Now { clock, now_ns, lost, room, message: stderr::held() }
}
