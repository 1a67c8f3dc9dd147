//! Polling for facts that no event reports: when to ask the survey thread for snapshots and samples, and how
//! often.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use crate::{
    facts::{
        gauges::Gauges,
        holders::Holders,
        interfaces::{DeviceKey, Interfaces},
        snapshot::{Snapshot, TimewaitByNetns},
    },
    source::{
        Demand,
        kernel::{
            clock::monotonic_ns,
            sockets::Error,
            survey::{GaugePoll, HolderSearch, Refresh, Survey, TimewaitPoll, Tour},
        },
    },
    time::wait::at,
};

/// How often timewait sockets are sampled: at most every second, and for at most 1/150 of a CPU's time.
const SAMPLES: PollRate = PollRate { min_pause: Duration::from_secs(1), cost_factor: 150 };

/// The same for the counters of full sockets.
const REFRESHES: PollRate = PollRate { min_pause: Duration::from_secs(1), cost_factor: 200 };

/// The same for the gauges of namespaces. Each namespace takes about 0.2 ms.
const GAUGES: PollRate = PollRate { min_pause: Duration::from_secs(1), cost_factor: 100 };
/// The same for listeners alone, while full sockets are polled less often than that.
const LISTENERS: PollRate = PollRate { min_pause: Duration::from_secs(1), cost_factor: 200 };

/// The same for snapshots after losses.
const SNAPSHOTS: PollRate = PollRate { min_pause: Duration::from_secs(2), cost_factor: 20 };

/// The same for searches for holders. Lines wait for some of them. Merging an answer takes time, too, on
/// another thread.
const HOLDERS: PollRate = PollRate { min_pause: Duration::from_millis(100), cost_factor: 300 };

/// A search that fails counts as one of this cost.
const FAILED: Duration = Duration::from_millis(200);

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

    /// When the pause is over, if that is before another poll, which would tell the same.
    fn due_before(self, other: Instant, cost: Duration) -> Option<Instant> {
        Some(Instant::now() + self.pause_after(cost)).filter(|due| *due < other)
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
    /// The counters of full sockets, or of listeners alone.
    Refresh(Refresh),
    /// Who holds which sockets.
    Holders(Holders),
    /// Names of devices.
    Interfaces(Interfaces),
    /// What the kernel counts in namespaces.
    Gauges(Gauges),
}

/// Polls the survey thread.
pub(super) struct Polling {
    survey: Survey,
    /// Whether timewait sockets are sampled at all.
    samples: bool,
    snapshots: Poll<Snapshot>,
    snapshot_pause: Duration,
    snapshot_asked: Option<Instant>,
    /// Which namespaces the next snapshot is of.
    tour: Tour,
    timewait: Poll<TimewaitPoll>,
    timewait_pause: Duration,
    refreshes: Poll<Refresh>,
    listeners: Poll<Refresh>,
    /// Whether the counters of full sockets are polled, not only looked at when somebody asks.
    are_polled: bool,
    /// When the next look is allowed.
    next_refresh: Instant,
    /// When the last look was asked for, in nanoseconds of the kernel's monotonic clock.
    refresh_asked_ns: u64,
    holders: Poll<HolderSearch>,
    /// When the next search is allowed.
    next_holders: Instant,
    /// When the last search was asked for, in nanoseconds of the kernel's monotonic clock.
    holders_asked_ns: u64,
    interfaces: Poll<Interfaces>,
    /// Devices whose names are wanted.
    devices: HashSet<DeviceKey>,
    gauges: Poll<GaugePoll>,
    /// Whether gauges are wanted at all.
    wants_gauges: bool,
}

impl Polling {
    /// `samples`: whether to sample timewait sockets while some are followed. `refreshes`: whether to poll
    /// the counters of full sockets. `gauges`: the same for those of namespaces.
    pub(super) fn new(survey: Survey, samples: bool, refreshes: bool, gauges: bool) -> Self {
        let mut polling = Self {
            survey,
            samples,
            snapshots: Poll::default(),
            snapshot_pause: SNAPSHOTS.min_pause,
            snapshot_asked: None,
            tour: Tour::New,
            timewait: Poll::default(),
            // The first one at once: sockets that were there before may be due soon.
            timewait_pause: Duration::ZERO,
            refreshes: Poll::default(),
            listeners: Poll::default(),
            are_polled: refreshes,
            next_refresh: Instant::now(),
            refresh_asked_ns: 0,
            holders: Poll::default(),
            next_holders: Instant::now(),
            holders_asked_ns: 0,
            interfaces: Poll::default(),
            devices: HashSet::new(),
            gauges: Poll::default(),
            wants_gauges: gauges,
        };
        polling.refreshes.due = refreshes.then(Instant::now);
        polling.gauges.due = gauges.then(Instant::now);
        polling
    }

    /// The survey thread.
    pub(super) fn survey(&self) -> &Survey {
        &self.survey
    }

    /// Schedules a snapshot: at once, but not more often than [`SNAPSHOTS`] allows.
    pub(super) fn ask_for_snapshot(&mut self) {
        self.tour = Tour::New;
        self.schedule_snapshot();
    }

    /// Schedules a snapshot of the namespaces that this one had no time for, and the search that was cut off.
    pub(super) fn ask_for_rest(&mut self, snapshot: &Snapshot) {
        if snapshot.holders_are_cut_off && self.holders.is_idle() {
            self.holders.due = Some(self.next_holders);
        }
        let (from_ns, to_ns) = snapshot.during_ns;
        self.snapshot_pause = SNAPSHOTS.pause_after(Duration::from_nanos(to_ns.saturating_sub(from_ns)));
        if snapshot.unvisited > 0 && self.snapshots.due.is_none() {
            self.tour = Tour::Rest;
            self.snapshot_asked.get_or_insert_with(Instant::now);
            self.schedule_snapshot();
        }
    }

    fn schedule_snapshot(&mut self) {
        // One that is under way is not enough: it may have passed the sockets of the lost events already.
        if self.snapshots.due.is_none() {
            let last = self.snapshot_asked;
            self.snapshots.due = Some(last.map_or_else(Instant::now, |last| last + self.snapshot_pause));
        }
    }

    /// Schedules a question for the name of a device.
    pub(super) fn ask_for_device(&mut self, device: DeviceKey) {
        if self.devices.insert(device) {
            self.interfaces.due.get_or_insert_with(Instant::now);
        }
    }

    /// Schedules a search for the holders that somebody wants to know at this time.
    fn schedule_holders(&mut self, wanted_ns: Option<u64>) {
        if self.holders.is_idle() && wanted_ns.is_some_and(|wanted_ns| wanted_ns > self.holders_asked_ns) {
            self.holders.due = Some(self.next_holders);
        }
    }

    /// Schedules a look at full sockets that somebody wants at this time.
    fn schedule_look(&mut self, wanted_ns: Option<u64>) {
        if self.refreshes.is_idle() && wanted_ns.is_some_and(|wanted_ns| wanted_ns > self.refresh_asked_ns) {
            self.refreshes.due = Some(self.next_refresh);
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

    /// Asks for gauges once more, if they are wanted.
    pub(super) fn last_gauges(&self) -> Option<oneshot::Receiver<Result<GaugePoll, Error>>> {
        self.wants_gauges.then(|| self.survey.gauges())
    }

    /// Waits for the next answer; for ever if `polling` is `None`. Dropping the future loses nothing.
    pub(super) async fn next(polling: &mut Option<Self>, demand: Demand<'_>) -> Answer {
        match polling {
            Some(polling) => polling.answer(demand).await,
            None => std::future::pending().await,
        }
    }

    async fn answer(&mut self, demand: Demand<'_>) -> Answer {
        let timewait = demand.timewait;
        loop {
            self.schedule_samples(timewait);
            self.schedule_holders(demand.holders_ns);
            self.schedule_look(demand.look_ns);
            let Self {
                survey, snapshots, timewait: samples, refreshes, listeners, holders, interfaces, ..
            } = self;
            let Self { snapshot_asked, tour, holders_asked_ns, refresh_asked_ns, devices, gauges, .. } = self;
            let ask_for_snapshot = || {
                *snapshot_asked = Some(Instant::now());
                survey.snapshot(*tour)
            };
            tokio::select! {
                answer = snapshots.next(ask_for_snapshot) => {
                    if let Some(snapshot) = answer {
                        self.ask_for_rest(&snapshot);
                        return Answer::Snapshot(snapshot);
                    }
                }
                answer = samples.next(|| survey.timewait(timewait.keys().copied().collect())) => {
                    if let Some(poll) = answer {
                        self.timewait_pause = SAMPLES.pause_after(poll.cost);
                        return Answer::Timewait(poll);
                    }
                }
                answer = holders.next(|| {
                    *holders_asked_ns = monotonic_ns();
                    survey.holders()
                }) => {
                    // What has failed is not tried all the time.
                    let pause = HOLDERS.pause_after(answer.as_ref().map_or(FAILED, |search| search.cost));
                    self.next_holders = Instant::now() + pause;
                    if let Some(HolderSearch { mut holders, .. }) = answer {
                        let pause_ns = u64::try_from(pause.as_nanos()).unwrap_or(u64::MAX);
                        holders.next_ns = monotonic_ns().saturating_add(pause_ns);
                        return Answer::Holders(holders);
                    }
                }
                answer = interfaces.next(|| survey.interfaces(std::mem::take(devices))) => {
                    if let Some(interfaces) = answer {
                        return Answer::Interfaces(interfaces);
                    }
                }
                answer = gauges.next(|| survey.gauges()) => {
                    if let Some(GaugePoll { gauges: known, cost }) = answer {
                        gauges.due = Some(Instant::now() + GAUGES.pause_after(cost));
                        return Answer::Gauges(known);
                    }
                }
                answer = refreshes.next(|| {
                    *refresh_asked_ns = monotonic_ns();
                    survey.refresh()
                }) => {
                    let cost = answer.as_ref().map_or(Duration::ZERO, |refresh| refresh.cost);
                    self.next_refresh = Instant::now() + REFRESHES.pause_after(cost);
                    refreshes.due = self.are_polled.then_some(self.next_refresh);
                    listeners.due = refreshes.due.and_then(|before| LISTENERS.due_before(before, Duration::ZERO));
                    if let Some(refresh) = answer {
                        return Answer::Refresh(refresh);
                    }
                }
                answer = listeners.next(|| survey.listeners()) => {
                    let cost = answer.as_ref().map_or(Duration::ZERO, |refresh| refresh.cost);
                    listeners.due = LISTENERS.due_before(self.next_refresh, cost);
                    if let Some(refresh) = answer {
                        return Answer::Refresh(refresh);
                    }
                }
            }
        }
    }
}
