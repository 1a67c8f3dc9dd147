//! The stages that an event passes, and the loop that moves it: `ring -> show -> output`.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use tokio::time::{sleep, timeout};
use tracer_common::Event;

use crate::{
    clock::Clock,
    config::Config,
    error::Error,
    follow::{Answer, Follow},
    receipt::{Comparison, Receipt},
    say::say,
    show::Show,
    source::kernel::{load::Attached, ring::Ring, survey::Survey},
    stop::Stop,
    timer::at,
    write::Output,
};

/// How often losses are told while they go on.
const LOSS_INTERVAL: Duration = Duration::from_secs(1);

/// How long standard output may take nothing, once the capture has ended, before it is given up.
const LAST_WRITE: Duration = Duration::from_secs(5);

/// How long the kernel's counters may take to be read at the end.
const LAST_COUNTERS: Duration = Duration::from_secs(2);

/// The stages, and the buffers between them.
pub struct Pipeline {
    ring: Ring,
    show: Show,
    follow: Option<Follow>,
    output: Output,
    clock: Clock,
    batch: Vec<Event>,
    out: BytesMut,
    /// Lines in `out`.
    lines: u64,
    limit: Option<u64>,
    read: u64,
    /// Events that were not read because standard output took nothing any more.
    unread: u64,
    /// Events that were not read because there were lines enough.
    past_limit: u64,
    lost: u64,
    lost_told: u64,
    /// When a loss is to be told that is not told yet.
    tell_at: Option<Instant>,
    comparison: Comparison,
}

impl Pipeline {
    /// Builds the stages around what is attached. Needs a tokio runtime around it.
    pub fn new(attached: Attached, survey: Option<Survey>, config: Config) -> Result<Self, Error> {
        let absent = attached.layout.absent();
        let comparison = Comparison::new(&config.kernel.filter);
        Ok(Self {
            follow: survey.map(|survey| Follow::new(survey, config.takes_snapshot, config.follows_waiting)),
            limit: config.count,
            show: Show::new(config, &absent),
            ring: Ring::new(attached)?,
            output: Output::new().map_err(Error::system("taking standard output"))?,
            clock: Clock::new(),
            batch: Vec::new(),
            out: BytesMut::new(),
            lines: 0,
            read: 0,
            unread: 0,
            past_limit: 0,
            lost: 0,
            lost_told: 0,
            tell_at: None,
            comparison,
        })
    }

    /// Takes the kernel's counters and the sockets that exist already. Events collect meanwhile;
    /// they come after.
    pub async fn begin(&mut self) {
        if let (Some(follow), Some(tracker)) = (&mut self.follow, self.show.tracker()) {
            self.comparison.at_start(follow.counters().await, tracker.tally_mut());
            if let Some(census) = follow.first_census().await {
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

    /// Lets events flow until something ends it.
    pub async fn flow(&mut self, stop: &mut Stop) -> Result<(), Error> {
        while !self.is_full() {
            if !self.output.is_busy() {
                self.output.start(&mut self.out, std::mem::take(&mut self.lines));
            }
            let is_busy = self.output.is_busy();
            let tell_at = self.tell_at;
            tokio::select! {
                biased;
                () = stop.wait() => break,
                written = self.output.turn() => written.map_err(Error::Output)?,
                answer = Follow::next(&mut self.follow) => self.take_answer(answer),
                () = at(tell_at) => self.tell_losses(),
                ready = self.ring.ready(), if !is_busy => {
                    ready.map_err(Error::system("waiting for events"))?;
                    self.ring.take(&mut self.batch);
                    self.show_batch();
                }
            }
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.limit.is_some_and(|limit| self.show.shown() >= limit)
    }

    fn take_answer(&mut self, answer: Answer) {
        let Some(tracker) = self.show.tracker() else {
            return;
        };
        match answer {
            Answer::Census(census) => {
                // It speaks of what events tell up to its end: they come first.
                if self.ring.complete_ns() < census.during_ns.1 {
                    self.ring.look_soon();
                    if let Some(follow) = &mut self.follow {
                        follow.put_back(census);
                    }
                    return;
                }
                let found: HashSet<u64> =
                    census.sockets.iter().chain(&census.holders).map(|event| event.cookie).collect();
                let retired = tracker.retire(census.during_ns.0, |netns| census.speaks_of(netns), &found);
                log::info!("after a loss: {retired} connections had ended unseen");
                self.comparison.retired += retired as u64;
                self.show.sighted(census);
            }
            Answer::Sample(mut sample) => {
                sample.told_ns = self.ring.complete_ns();
                self.lines += self.show.sample(&sample, &self.clock, self.limit, &mut self.out);
            }
            Answer::Due => {
                let netns = tracker.namespaces_waiting();
                if let Some(follow) = &mut self.follow {
                    follow.ask_for_waiting(netns);
                }
            }
        }
    }

    fn show_batch(&mut self) {
        self.notice_losses();
        self.clock.follow();
        self.read += self.batch.len() as u64;
        self.lines += self.show.events(&self.batch, &self.clock, self.limit, &mut self.out);
        self.batch.clear();
        if let (Some(follow), Some(tracker)) = (&mut self.follow, self.show.tracker()) {
            follow.has_waiting(tracker.has_waiting());
        }
    }

    /// Looks whether anything was lost: durations across it are not known, and the connections
    /// that ended in it are found by looking at those that are there.
    fn notice_losses(&mut self) {
        let lost = self.ring.losses().total().unwrap_or(self.lost);
        if lost == self.lost {
            return;
        }
        self.lost = lost;
        self.tell_at.get_or_insert(Instant::now() + LOSS_INTERVAL);
        if let Some(tracker) = self.show.tracker() {
            tracker.lost(self.ring.complete_ns());
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
        self.ring.detach().await;
        let result = match result {
            Ok(()) => tokio::select! {
                biased;
                written = self.write_rest() => written,
                () = stop.impatience() => Err(Error::CutShort("interrupted again: the rest is not written")),
            },
            error => error,
        };
        if result.is_err() {
            self.output.abandon();
            self.unread = self.ring.drop_rest();
        } else if self.is_full() {
            self.past_limit = self.ring.drop_rest();
        }
        self.lost = self.ring.losses().total().unwrap_or(self.lost);
        result
    }

    async fn write_rest(&mut self) -> Result<(), Error> {
        let mut more = !self.is_full();
        loop {
            self.wait_for_write().await?;
            if more {
                more = self.ring.take_rest(&mut self.batch);
                self.show_batch();
            }
            self.output.start(&mut self.out, std::mem::take(&mut self.lines));
            if !more && !self.output.is_busy() {
                return Ok(());
            }
        }
    }

    /// Waits for the write under way as long as somebody reads.
    async fn wait_for_write(&mut self) -> Result<(), Error> {
        loop {
            let before = self.output.progress();
            tokio::select! {
                written = self.output.idle() => return written.map_err(Error::Output),
                () = sleep(LAST_WRITE) => {}
            }
            if self.output.progress() == before {
                return Err(Error::CutShort(
                    "standard output has taken nothing for five seconds: giving it up",
                ));
            }
        }
    }

    /// What it amounted to.
    pub fn receipt(&mut self) -> Receipt {
        let in_kernel = self.ring.filtered();
        let mut receipt = Receipt {
            seen: self.read + in_kernel.unwrap_or_default() + self.unread + self.past_limit,
            shown: self.output.written(),
            filtered: in_kernel.map(|in_kernel| in_kernel + self.show.filtered()),
            beyond: self.show.beyond() + self.past_limit,
            unwritten: self.output.unwritten() + self.lines + self.unread,
            losses: self.ring.losses(),
            sampled: self.show.sampled(),
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
