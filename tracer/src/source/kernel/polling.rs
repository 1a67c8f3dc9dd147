//! Polling for facts that no event reports: when to ask the survey thread for snapshots and samples, and how
//! often.

use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::{
    facts::snapshot::{Snapshot, TimewaitByNetns},
    source::kernel::{
        sockets::Error,
        survey::{Refresh, Survey, TimewaitPoll},
    },
    time::wait::at,
};

/// How often timewait sockets are sampled: at most every second, and for at most 1/150 of a CPU's time.
const SAMPLES: PollRate = PollRate { min_pause: Duration::from_secs(1), cost_factor: 150 };

/// The same for the counters of full sockets.
const REFRESHES: PollRate = PollRate { min_pause: Duration::from_secs(1), cost_factor: 200 };

/// The same for snapshots after losses.
const SNAPSHOTS: PollRate = PollRate { min_pause: Duration::from_secs(2), cost_factor: 20 };

/// How long to pause after a poll.
#[derive(Clone, Copy, Debug)]
struct PollRate {
    /// The shortest pause.
    min_pause: Duration,
    /// The pause is at least this many times what the poll took.
    cost_factor: u32,
}

impl PollRate {
    fn pause_after(self, cost: Duration) -> Duration {
        self.min_pause.max(cost * self.cost_factor)
    }
}

/// A question that is asked repeatedly: when it is due next, and the answer that is awaited.
#[derive(Debug)]
struct Poll<T> {
    due: Option<Instant>,
    pending: Option<oneshot::Receiver<Result<T, Error>>>,
}

impl<T> Default for Poll<T> {
    fn default() -> Self {
        Self { due: None, pending: None }
    }
}

impl<T> Poll<T> {
    /// Whether it is neither scheduled nor waiting for an answer.
    fn is_idle(&self) -> bool {
        self.due.is_none() && self.pending.is_none()
    }

    /// Waits until it is due, asks, and waits for the answer. On failure it logs a warning and returns
    /// `None`. Dropping the future loses nothing.
    async fn next(&mut self, ask: impl FnOnce() -> oneshot::Receiver<Result<T, Error>>) -> Option<T> {
        if self.pending.is_none() {
            at(self.due).await;
            self.due = None;
            self.pending = Some(ask());
        }
        let answer = match &mut self.pending {
            Some(pending) => pending.await,
            None => return None,
        };
        self.pending = None;
        match answer {
            Ok(Ok(answer)) => Some(answer),
            Ok(Err(error)) => {
                log::warn!("{error}");
                None
            }
            // The survey thread has ended.
            Err(_) => None,
        }
    }
}

/// The answer to a poll.
pub(super) enum Answer {
    /// The sockets that are there.
    Snapshot(Snapshot),
    /// The timewait sockets.
    Timewait(TimewaitPoll),
    /// The counters of full sockets.
    Refresh(Refresh),
}

/// Polls the survey thread.
pub(super) struct Polling {
    survey: Survey,
    /// Whether timewait sockets are sampled at all.
    samples: bool,
    snapshots: Poll<Snapshot>,
    snapshot_pause: Duration,
    snapshot_asked: Option<Instant>,
    timewait: Poll<TimewaitPoll>,
    timewait_pause: Duration,
    refreshes: Poll<Refresh>,
}

impl Polling {
    /// `samples`: whether to sample timewait sockets while some are followed. `refreshes`: whether to poll
    /// the counters of full sockets.
    pub(super) fn new(survey: Survey, samples: bool, refreshes: bool) -> Self {
        let mut polling = Self {
            survey,
            samples,
            snapshots: Poll::default(),
            snapshot_pause: SNAPSHOTS.min_pause,
            snapshot_asked: None,
            timewait: Poll::default(),
            timewait_pause: SAMPLES.min_pause,
            refreshes: Poll::default(),
        };
        polling.refreshes.due = refreshes.then(Instant::now);
        polling
    }

    /// The survey thread.
    pub(super) fn survey(&self) -> &Survey {
        &self.survey
    }

    /// Schedules a snapshot: at once, but not more often than [`SNAPSHOTS`] allows.
    pub(super) fn ask_for_snapshot(&mut self) {
        // One that is under way is not enough: it may have passed the sockets of the lost events already.
        if self.snapshots.due.is_none() {
            let last = self.snapshot_asked;
            self.snapshots.due = Some(last.map_or_else(Instant::now, |last| last + self.snapshot_pause));
        }
    }

    /// Schedules a sample of timewait sockets, as long as some are followed.
    fn schedule_samples(&mut self, timewait: &TimewaitByNetns) {
        if timewait.is_empty() {
            self.timewait.due = None;
        } else if self.samples && self.timewait.is_idle() {
            self.timewait.due = Some(Instant::now() + self.timewait_pause);
        }
    }

    /// Waits for the next answer; for ever if `polling` is `None`. Dropping the future loses nothing.
    pub(super) async fn next(polling: &mut Option<Self>, timewait: &TimewaitByNetns) -> Answer {
        match polling {
            Some(polling) => polling.answer(timewait).await,
            None => std::future::pending().await,
        }
    }

    async fn answer(&mut self, timewait: &TimewaitByNetns) -> Answer {
        loop {
            self.schedule_samples(timewait);
            let Self { survey, snapshots, timewait: samples, refreshes, snapshot_asked, .. } = self;
            let ask_for_snapshot = || {
                *snapshot_asked = Some(Instant::now());
                survey.snapshot()
            };
            tokio::select! {
                answer = snapshots.next(ask_for_snapshot) => {
                    if let Some(snapshot) = answer {
                        let (from_ns, to_ns) = snapshot.during_ns;
                        let cost = Duration::from_nanos(to_ns.saturating_sub(from_ns));
                        self.snapshot_pause = SNAPSHOTS.pause_after(cost);
                        return Answer::Snapshot(snapshot);
                    }
                }
                answer = samples.next(|| survey.timewait(timewait.keys().copied().collect())) => {
                    if let Some(poll) = answer {
                        self.timewait_pause = SAMPLES.pause_after(poll.cost);
                        return Answer::Timewait(poll);
                    }
                }
                answer = refreshes.next(|| survey.refresh()) => {
                    let cost = answer.as_ref().map_or(Duration::ZERO, |refresh| refresh.cost);
                    refreshes.due = Some(Instant::now() + REFRESHES.pause_after(cost));
                    if let Some(refresh) = answer {
                        return Answer::Refresh(refresh);
                    }
                }
            }
        }
    }
}
