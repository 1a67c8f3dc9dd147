//! Trouble that stands out: what is wrong, whose it is, since when, and how to see more of it.
//!
//! # Layout
//! - [`kinds`]: the table of findings with their thresholds
//! - [`Findings`]: takes transitions, looks at the sockets, and makes the list
//! - [`place`]: whose a finding is
//! - `sockets`, `queues`: what the present sockets show; `counted`: what the kernel counts; `minute`: what has happened
//!   in the last minute
//! - `history`: since when, and where it goes; [`episodes`]: findings over a longer time
//! - `words`: a finding in words

mod counted;
pub mod episodes;
mod history;
pub mod kinds;
mod minute;
pub mod place;
mod queues;
mod sockets;
mod words;

use hashbrown::HashMap;
use serde::{Serialize, Serializer};
use tracer_common::state as number;

pub use history::Tendency;
pub use kinds::{FindingKind, Threshold, Thresholds};

use crate::{
    aggregate::SOCKET_PAUSE_NS,
    aggregate::findings::{
        counted::{COUNTERS, Counted, explain_overflows},
        history::{History, Past},
        minute::Minute,
        place::{Place, Whom, task},
        queues::Queues,
        sockets::{Dropping, Group, Pass, PassResult},
    },
    aggregate::report::as_maybe_micros,
    facts::{
        context::Context,
        gauges::{Gauges, NetnsGauges},
    },
    tcp::{
        endpoint::Task,
        limits::Limits,
        netns::{NetnsFilter, NetnsId},
        reason::Reason,
    },
    track::{Tracker, Transition, connection::Connection},
};

/// How many slow handshakes with a target in a minute are a finding.
const SLOW_HANDSHAKES: u64 = 3;

/// What has happened for longer than this is no rate of the last minute.
const MINUTE_NS: u64 = 60_000_000_000;

/// How many sockets of a service are a finding whose queues do not move: a peer that has vanished is none.
const SERVED: u64 = 3;

/// How many findings are listed at most.
const MOST: usize = 100;

/// The shortest time between two surveys, in nanoseconds.
const SURVEY_PAUSE_NS: u64 = 1_000_000_000;

/// A finding. Field names are those in JSON.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// What is wrong.
    #[serde(rename = "finding", serialize_with = "by_name")]
    pub kind: FindingKind,
    /// How many: sockets, or events in the last minute.
    pub count: u64,
    /// Whose.
    #[serde(flatten)]
    pub whom: Whom,
    /// How long it has been so, in nanoseconds; `None` if only a bound is known.
    #[serde(rename = "age_us", serialize_with = "as_maybe_micros")]
    pub age_ns: Option<u64>,
    /// How long at least.
    #[serde(rename = "age_at_least_us", serialize_with = "as_maybe_micros")]
    pub age_at_least_ns: Option<u64>,
    /// Where the count goes.
    pub trend: Tendency,
    /// The facts that show it.
    pub evidence: String,
    /// The command that shows more.
    pub command: String,
    /// The same as a filter typed in `top`.
    #[serde(skip)]
    pub filter: String,
    /// The count in each of the last seconds.
    #[serde(skip)]
    pub samples: Vec<u64>,
    /// What tells it from others of its kind.
    #[serde(skip)]
    pub place: Place,
}

/// A moment at which the sockets are looked at.
#[derive(Clone, Copy)]
pub struct Moment<'a> {
    /// The time in nanoseconds of the kernel's monotonic clock.
    pub now_ns: u64,
    /// Knows when queues were read, and events lost.
    pub tracker: &'a Tracker,
    /// Events lost so far, if that is known.
    pub lost: Option<u64>,
    /// What the kernel counts in each namespace.
    pub gauges: &'a Gauges,
    /// The namespaces that are asked for.
    pub netns: &'a NetnsFilter,
}

impl<'a> Moment<'a> {
    /// The moment `now_ns`, with what is known then.
    #[must_use]
    pub fn of(
        tracker: &'a Tracker,
        context: &'a Context,
        netns: &'a NetnsFilter,
        lost: Option<u64>,
        now_ns: u64,
    ) -> Self {
        Self { now_ns, tracker, lost, gauges: &context.gauges, netns }
    }

    /// The namespaces that are asked for, with what the kernel counts there.
    fn gauges(&self) -> impl Iterator<Item = (&'a NetnsId, &'a NetnsGauges)> {
        let netns = self.netns;
        self.gauges.by_netns.iter().filter(move |(id, _)| netns.selects(**id))
    }
}

/// Finds trouble.
#[derive(Clone, Debug)]
pub struct Findings {
    limits: Limits,
    thresholds: Thresholds,
    /// Ends of connections that did not close in order.
    ends: Minute<(Place, Reason), Option<Task>>,
    /// Slow handshakes, each with its owner and duration in microseconds.
    slow: Minute<Place, (Option<Task>, u32)>,
    /// What the kernel's counters have counted.
    counted: Minute<(Counted, Place), Option<Task>>,
    queues: Queues,
    /// Listeners whose accept queue was full at the last survey, and since when, by cookie.
    full: HashMap<u64, u64>,
    /// When the last survey was.
    surveyed_ns: u64,
    /// How many connections each listener had dropped at the last survey, by its cookie.
    drops: HashMap<u64, u32>,
    /// The counters of each namespace at the last survey.
    counters: HashMap<NetnsId, ([u64; COUNTERS.len()], u64)>,
    /// The namespaces in which a destination may run out of ports.
    crowded: Vec<NetnsId>,
    history: History,
    /// Events lost up to the last survey.
    lost: Option<u64>,
    /// When the next survey is due.
    due_ns: u64,
    /// What the last survey has found.
    found: Vec<Finding>,
}

impl Findings {
    /// Nothing is known yet. `limits`: how long a connection may stay in a state.
    #[must_use]
    pub fn new(limits: Limits, thresholds: Thresholds) -> Self {
        Self {
            limits,
            thresholds,
            ends: Minute::default(),
            slow: Minute::default(),
            counted: Minute::default(),
            queues: Queues::default(),
            full: HashMap::new(),
            surveyed_ns: 0,
            drops: HashMap::new(),
            counters: HashMap::new(),
            crowded: Vec::new(),
            history: History::default(),
            lost: Some(0),
            due_ns: 0,
            found: Vec::new(),
        }
    }

    /// Goes on with other limits and thresholds.
    pub fn adjust(&mut self, limits: Limits, thresholds: Thresholds) {
        (self.limits, self.thresholds) = (limits, thresholds);
    }

    /// When the next survey is due, in nanoseconds of the kernel's monotonic clock.
    #[must_use]
    pub fn due_ns(&self) -> u64 {
        self.due_ns
    }

    /// The next survey is the last one: it is due at once.
    pub fn hurry(&mut self) {
        self.due_ns = 0;
    }

    /// What the last survey has found, the heaviest first.
    #[must_use]
    pub fn found(&self) -> &[Finding] {
        &self.found
    }

    /// Whether it was known at the last survey how many events were lost.
    #[must_use]
    pub fn is_loss_known(&self) -> bool {
        self.lost.is_some()
    }

    /// Takes a transition.
    pub fn note(&mut self, transition: &Transition) {
        let connection = &transition.connection;
        if let Some(reason) = transition.reason
            && let Some(kind) = FindingKind::of(reason)
        {
            let place = match kind {
                FindingKind::Resets => Place::service(connection),
                FindingKind::Timeouts => Place::peer(connection),
                _ => Place::target(connection),
            };
            self.ends.add((place, reason), task(connection), transition.time_ns, 1);
        }
        if (transition.old_state, transition.new_state) == (number::SYN_SENT, number::ESTABLISHED) {
            let handshake_us = connection.handshake_us();
            if self.thresholds.are_reached(FindingKind::SlowHandshakes, u64::from(handshake_us) * 1000) {
                let example = (task(connection), handshake_us);
                self.slow.add(Place::target(connection), example, transition.time_ns, 1);
            }
        }
    }

    /// Looks at the sockets, and lists what is wrong, if that is due.
    pub fn survey<'a>(&mut self, connections: impl Iterator<Item = &'a Connection>, moment: &Moment<'_>) {
        if moment.now_ns < self.due_ns {
            return;
        }
        self.queues.begin(moment.tracker.refreshed_ns());
        let mut pass = Pass::new(
            (&self.limits, &self.thresholds),
            moment,
            (&mut self.queues, &self.full),
            &self.crowded,
        );
        let mut sockets = 0_u64;
        for connection in connections {
            pass.take(connection);
            sockets += 1;
        }
        let pause_ns = SURVEY_PAUSE_NS.max(sockets.saturating_mul(SOCKET_PAUSE_NS));
        self.due_ns = moment.now_ns.saturating_add(pause_ns);
        let PassResult { groups, listeners, crowded, full } = pass.end();
        (self.crowded, self.full) = (crowded, full);
        // After a pause it is not known when it happened.
        let is_recent = moment.now_ns.saturating_sub(self.surveyed_ns) < MINUTE_NS;
        self.surveyed_ns = moment.now_ns;
        self.note_drops(&listeners, moment.now_ns, is_recent);
        self.note_counters(moment, is_recent);

        let mut drafts = Drafts::new();
        for ((kind, place), group) in groups {
            drafts.entry((kind, place)).or_default().group = group;
        }
        self.add_counts(moment, &mut drafts);
        self.add_gauges(moment, &mut drafts);
        drafts.retain(|(kind, place), draft| draft.is_finding(*kind, *place, &self.thresholds));
        self.found = self.list(drafts, moment);
    }

    /// Notes the connections that listeners have dropped since the last survey.
    fn note_drops(&mut self, listeners: &[Dropping], now_ns: u64, is_recent: bool) {
        let mut drops = HashMap::with_capacity(listeners.len());
        for Dropping { cookie, drops: now, place, task } in listeners {
            let new = self.drops.get(cookie).map_or(0, |before| now.wrapping_sub(*before));
            if new > 0 && is_recent {
                self.counted.add((Counted::Dropped, *place), *task, now_ns, new);
            }
            drops.insert(*cookie, *now);
        }
        self.drops = drops;
    }

    /// Notes what the kernel's counters have counted since the last survey.
    fn note_counters(&mut self, moment: &Moment<'_>, is_recent: bool) {
        let lost = moment.lost.zip(self.lost).map_or(0, |(now, before)| now.saturating_sub(before));
        self.lost = moment.lost;
        let mut add = |counted, place, count: u64| {
            if count > 0 && is_recent {
                let count = u32::try_from(count).unwrap_or(u32::MAX);
                self.counted.add((counted, place), None, moment.now_ns, count);
            }
        };
        add(Counted::Lost, Place::Host, lost);
        for (netns, gauges) in moment.gauges() {
            let now = COUNTERS.map(|(_, counter)| counter(gauges));
            let read_ns = gauges.read_ns;
            let is_new = |before_ns: u64| read_ns.saturating_sub(before_ns) < MINUTE_NS;
            if let Some((before, _)) = self.counters.get(netns).filter(|(_, before_ns)| is_new(*before_ns)) {
                for ((counted, _), (now, before)) in COUNTERS.iter().zip(now.iter().zip(before)) {
                    add(*counted, Place::Netns(netns.inum), now.saturating_sub(*before));
                }
            }
            self.counters.insert(*netns, (now, read_ns));
        }
        self.counters.retain(|netns, _| moment.gauges.by_netns.contains_key(netns));
    }

    /// Adds what has been counted in the last minute.
    fn add_counts(&mut self, moment: &Moment<'_>, drafts: &mut Drafts) {
        let now_ns = moment.now_ns;
        for ((place, reason), count, task) in self.ends.counts(now_ns) {
            let Some(kind) = FindingKind::of(reason) else { continue };
            let draft = drafts.entry((kind, place)).or_default();
            draft.ends.push((reason, count));
            draft.task = draft.task.or(task);
        }
        for (place, count, (task, slowest_us)) in self.slow.counts(now_ns) {
            let draft = drafts.entry((FindingKind::SlowHandshakes, place)).or_default();
            draft.slow = (count, slowest_us);
            draft.task = draft.task.or(task);
        }
        for ((counted, place), count, task) in self.counted.counts(now_ns) {
            let draft = drafts.entry((counted.kind(), place)).or_default();
            draft.counted.push((counted, count));
            draft.task = draft.task.or(task);
        }
        explain_overflows(drafts, moment);
    }

    /// Adds limits of namespaces that are near.
    fn add_gauges(&self, moment: &Moment<'_>, drafts: &mut Drafts) {
        for (netns, gauges) in moment.gauges() {
            let (now, Some(most @ 1..)) = (gauges.timewait, gauges.max_timewait) else {
                continue;
            };
            if self.thresholds.are_reached(FindingKind::TimeWait, now.saturating_mul(100) / most) {
                let group =
                    &mut drafts.entry((FindingKind::TimeWait, Place::Netns(netns.inum))).or_default().group;
                (group.count, group.limit) = (now, Some(most));
            }
        }
    }

    /// The findings in order.
    fn list(&mut self, drafts: Drafts, moment: &Moment<'_>) -> Vec<Finding> {
        let now_ns = moment.now_ns;
        let has_namespaces = moment.gauges().nth(1).is_some();
        let mut drafts: Vec<_> = drafts.into_iter().map(|(key, draft)| (draft.count(), key, draft)).collect();
        drafts.sort_unstable_by_key(|(count, (kind, place), _)| (*kind, u64::MAX - count, *place));
        drafts.truncate(MOST);
        self.history.forget(now_ns);
        let findings = drafts.into_iter().map(|(count, (kind, place), draft)| {
            let past = self.history.note((kind, place), (count, draft.group.limit.is_some()), now_ns);
            let whom = Whom::new(place, draft.task.or(draft.group.task));
            let seen_ns = past.map(|past| now_ns.saturating_sub(past.since_ns));
            let group = &draft.group;
            let age = if group.oldest_ns > 0 { Some((group.oldest_ns, group.is_bound)) } else { None };
            let (age_ns, is_bound) = age.or(seen_ns.map(|ns| (ns, true))).unzip();
            let is_bound = is_bound.unwrap_or_default();
            Finding {
                kind,
                count,
                age_ns: age_ns.filter(|_| !is_bound),
                age_at_least_ns: age_ns.filter(|_| is_bound),
                trend: past.map_or(Tendency::Steady, Past::trend),
                evidence: draft.evidence(kind, seen_ns),
                command: words::command(kind, &whom, has_namespaces),
                filter: words::filter(kind, &whom, has_namespaces),
                samples: past.map(|past| past.samples.iter().copied().collect()).unwrap_or_default(),
                whom,
                place,
            }
        });
        findings.collect()
    }
}

impl FindingKind {
    /// The kind of trouble that an end for this reason belongs to.
    #[must_use]
    pub fn of(reason: Reason) -> Option<Self> {
        Some(match reason {
            Reason::Refused | Reason::TimeoutConnect | Reason::Unanswered | Reason::Unreachable => {
                Self::ConnectFailures
            }
            Reason::NoFreePort => Self::EphemeralPorts,
            Reason::TimeoutRetransmit | Reason::TimeoutKeepalive => Self::Timeouts,
            reason if reason.is_reset() => Self::Resets,
            _ => return None,
        })
    }
}

/// The findings before they are put in words.
type Drafts = HashMap<(FindingKind, Place), Draft>;

/// What has been found of a kind in a place.
#[derive(Clone, Debug, Default)]
struct Draft {
    /// The present sockets.
    group: Group,
    /// Connections that have ended in the last minute, by reason.
    ends: Vec<(Reason, u64)>,
    /// Slow handshakes in the last minute, and the duration of the last, in microseconds.
    slow: (u64, u32),
    /// What counters have counted in the last minute.
    counted: Vec<(Counted, u64)>,
    task: Option<Task>,
}

impl Draft {
    fn ended(&self) -> u64 {
        self.ends.iter().map(|(_, count)| count).sum()
    }

    fn counted(&self) -> u64 {
        self.counted.iter().map(|(_, count)| count).sum()
    }

    /// The number that stands for it.
    fn count(&self) -> u64 {
        if self.group.limit.is_some() {
            self.group.count
        } else {
            self.group.count + self.ended() + self.slow.0 + self.counted()
        }
    }

    /// Whether it is enough to be told. Sockets are there only if they have passed their threshold.
    fn is_finding(&self, kind: FindingKind, place: Place, thresholds: &Thresholds) -> bool {
        if thresholds.of(kind).is_none() {
            return false;
        }
        let is_queue = matches!(kind, FindingKind::ZeroWindow | FindingKind::Stalled);
        let least = if is_queue && matches!(place, Place::Served(..)) { SERVED } else { 1 };
        if kind == FindingKind::SlowHandshakes {
            return self.count() >= SLOW_HANDSHAKES;
        }
        self.group.count >= least
            || match kind {
                // None of these happens on a healthy host.
                FindingKind::EphemeralPorts | FindingKind::AcceptQueue | FindingKind::TimeWait => {
                    self.group.count == 0
                }
                kind => thresholds.are_reached(kind, self.ended() + self.counted()),
            }
    }
}

// serde passes references.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn by_name<S: Serializer>(kind: &FindingKind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.name())
}
