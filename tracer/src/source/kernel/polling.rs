//! What no event tells: when to ask for snapshots and samples, and how often.

use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::{
    facts::snapshot::{Snapshot, TimewaitByNetns},
    source::kernel::{
        sockets::Error,
        survey::{Costly, Refresh, Survey},
    },
    time::wait::at,
};

/// How often timewait sockets are sampled, and the share of a processor that this may take.
const SAMPLES: Pace = Pace { pause: Duration::from_secs(1), share: 150 };

/// The same for what full sockets count.
const REFRESHES: Pace = Pace { pause: Duration::from_secs(1), share: 200 };

/// The same for snapshots after losses.
const SNAPSHOTS: Pace = Pace { pause: Duration::from_secs(2), share: 20 };

/// How long to pause between two polls.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// At least this long.
    pause: Duration,
    /// And so many times what the last poll took.
    share: u32,
}

impl Pace {
    fn pause(self, took: Duration) -> Duration {
        self.pause.max(took * self.share)
    }
}

/// One question that is asked again and again: when it is due, and the answer that is awaited.
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
    /// Whether it is neither due at some time nor being answered.
    fn is_idle(&self) -> bool {
        self.due.is_none() && self.pending.is_none()
    }

    /// Asks when it is due and waits for the answer; `None` if it failed, which is said. Cancelling loses
    /// nothing.
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
            // The thread is gone.
            Err(_) => None,
        }
    }
}

/// What came of a poll.
pub(super) enum Answer {
    /// The sockets that are there.
    Snapshot(Snapshot),
    /// The timewait sockets.
    Timewait(Costly),
    /// What full sockets count by now.
    Refresh(Refresh),
}

/// Polls the survey thread.
pub(super) struct Polling {
    survey: Survey,
    samples: bool,
    snapshots: Poll<Snapshot>,
    snapshot_pause: Duration,
    snapshot_asked: Option<Instant>,
    timewait: Poll<Costly>,
    timewait_pause: Duration,
    refreshes: Poll<Refresh>,
}

impl Polling {
    /// `samples`: timewait sockets are sampled while some are followed; `refreshes`: what full sockets
    /// count is asked for, too.
    pub(super) fn new(survey: Survey, samples: bool, refreshes: bool) -> Self {
        let mut polling = Self {
            survey,
            samples,
            snapshots: Poll::default(),
            snapshot_pause: SNAPSHOTS.pause,
            snapshot_asked: None,
            timewait: Poll::default(),
            timewait_pause: SAMPLES.pause,
            refreshes: Poll::default(),
        };
        polling.refreshes.due = refreshes.then(Instant::now);
        polling
    }

    /// The thread that is polled.
    pub(super) fn survey(&self) -> &Survey {
        &self.survey
    }

    /// Wants a snapshot: soon, but not all the time.
    pub(super) fn ask_for_snapshot(&mut self) {
        // One that is under way may have passed what was lost.
        if self.snapshots.due.is_none() {
            let last = self.snapshot_asked;
            self.snapshots.due = Some(last.map_or_else(Instant::now, |last| last + self.snapshot_pause));
        }
    }

    /// Samples timewait sockets as long as some are followed.
    fn follow(&mut self, timewait: &TimewaitByNetns) {
        if timewait.is_empty() {
            self.timewait.due = None;
        } else if self.samples && self.timewait.is_idle() {
            self.timewait.due = Some(Instant::now() + self.timewait_pause);
        }
    }

    /// Waits for the next answer; for ever without polling. Cancelling loses nothing.
    pub(super) async fn next(polling: &mut Option<Self>, timewait: &TimewaitByNetns) -> Answer {
        match polling {
            Some(polling) => polling.answer(timewait).await,
            None => std::future::pending().await,
        }
    }

    async fn answer(&mut self, timewait: &TimewaitByNetns) -> Answer {
        loop {
            self.follow(timewait);
            let Self { survey, snapshots, timewait: samples, refreshes, snapshot_asked, .. } = self;
            let ask_for_snapshot = || {
                *snapshot_asked = Some(Instant::now());
                survey.snapshot()
            };
            tokio::select! {
                answer = snapshots.next(ask_for_snapshot) => {
                    if let Some(snapshot) = answer {
                        let (from_ns, to_ns) = snapshot.during_ns;
                        let took = Duration::from_nanos(to_ns.saturating_sub(from_ns));
                        self.snapshot_pause = SNAPSHOTS.pause(took);
                        return Answer::Snapshot(snapshot);
                    }
                }
                answer = samples.next(|| survey.timewait(timewait.keys().copied().collect())) => {
                    if let Some(costly) = answer {
                        self.timewait_pause = SAMPLES.pause(costly.cost);
                        return Answer::Timewait(costly);
                    }
                }
                answer = refreshes.next(|| survey.refresh()) => {
                    let took = answer.as_ref().map_or(Duration::ZERO, |refresh| refresh.cost);
                    refreshes.due = Some(Instant::now() + REFRESHES.pause(took));
                    if let Some(refresh) = answer {
                        return Answer::Refresh(refresh);
                    }
                }
            }
        }
    }
}
