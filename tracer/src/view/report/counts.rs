//! What a report counts, in bounded memory.

use tracer_common::{aggregate::BUCKETS, aggregate::bucket, event::kind, state as number};

use crate::{
    aggregate::{
        By,
        bounded::ConnectionCounts,
        growing::CLOSED_BY,
        heavy::{HeavyHitters, Weighted},
        largest::Largest,
        talks::Talks,
        timeline::{Slot, Timeline},
        times::Times,
        totals::{RankingKey, STATES, Totals, begins_connection, ranking_key, state_index},
    },
    facts::known_names::KnownNames,
    tcp::{limits::Limits, reason::Reason, state::is_birth},
    track::{
        Transition,
        connection::{Connection, FirstFin, Role},
    },
    view::{Scene, report::rows::Kept},
};

/// What connections are ranked by.
pub(super) const RANKED: [By; 4] = [By::Service, By::Peer, By::Process, By::Container];

/// Durations that are told apart: those in each state, and handshakes of clients and of servers.
pub(super) const DURATIONS: usize = STATES + 2;

/// Keys of each ranking that a slot has room for.
const SLOT_KEYS: usize = 64;

/// Rows of each table of connections.
const ROWS: usize = 200;

/// Connections of a key in a slot.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SlotKey {
    /// How many began and ended, as far as that is known.
    weight: u64,
    pub(super) counts: ConnectionCounts,
}

impl Weighted for SlotKey {
    fn weight(&self) -> u64 {
        self.weight
    }

    fn subtract(&mut self, weight: u64) {
        self.weight = self.weight.saturating_sub(weight);
    }

    fn add(&mut self, other: &Self) {
        self.weight += other.weight;
        self.counts.add(other.counts);
    }
}

/// What is counted in a span of time.
#[derive(Debug)]
pub(super) struct SlotCounts {
    pub(super) transitions: [[u64; STATES]; STATES],
    /// Ends of connections, by reason and by who closed first.
    pub(super) ends: Vec<[u64; CLOSED_BY.len()]>,
    /// Durations, each in a range up to twice its beginning.
    pub(super) durations: Vec<[u64; BUCKETS]>,
    pub(super) retransmits: u64,
    pub(super) keys: [HeavyHitters<RankingKey, SlotKey>; RANKED.len()],
}

impl Default for SlotCounts {
    fn default() -> Self {
        Self {
            transitions: [[0; STATES]; STATES],
            ends: vec![[0; CLOSED_BY.len()]; Reason::ALL.len()],
            durations: vec![[0; BUCKETS]; DURATIONS],
            retransmits: 0,
            keys: RANKED.map(|_| HeavyHitters::new(SLOT_KEYS)),
        }
    }
}

impl Slot for SlotCounts {
    fn absorb(&mut self, later: Self) {
        let add = |mine: &mut u64, other: &u64| *mine += other;
        let both = self.transitions.iter_mut().flatten().zip(later.transitions.iter().flatten());
        both.for_each(|(mine, other)| add(mine, other));
        let both = self.ends.iter_mut().flatten().zip(later.ends.iter().flatten());
        both.for_each(|(mine, other)| add(mine, other));
        let both = self.durations.iter_mut().flatten().zip(later.durations.iter().flatten());
        both.for_each(|(mine, other)| add(mine, other));
        self.retransmits += later.retransmits;
        for (mine, other) in self.keys.iter_mut().zip(&later.keys) {
            mine.absorb(other);
        }
    }
}

/// A loss of events: it happened between two times, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct LossSpan {
    pub(super) from_ns: u64,
    pub(super) until_ns: u64,
    pub(super) count: u64,
}

/// The most losses that are told apart.
const LOSSES: usize = 500;

/// All counts.
#[derive(Debug)]
pub(super) struct PageCounts {
    pub(super) limits: Limits,
    pub(super) totals: Totals,
    pub(super) timeline: Timeline<SlotCounts>,
    /// Handshakes of clients and of servers.
    pub(super) handshakes: [Times; 2],
    pub(super) talks: Talks,
    /// Connections whose handshakes took longest.
    pub(super) slowest: Largest<Kept>,
    /// Those that lived longest.
    pub(super) longest: Largest<Kept>,
    /// Those that stayed in a state for longer than the limits allow.
    pub(super) stuck: Largest<Kept>,
    pub(super) losses: Vec<LossSpan>,
    /// Events lost up to the last look, and when that was.
    lost: (u64, u64),
}

impl PageCounts {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            totals: Totals::new(&RANKED),
            timeline: Timeline::new(),
            handshakes: [Times::default(), Times::default()],
            talks: Talks::default(),
            slowest: Largest::new(ROWS),
            longest: Largest::new(ROWS),
            stuck: Largest::new(ROWS),
            losses: Vec::new(),
            lost: (0, 0),
        }
    }

    /// Counts begin at this time.
    pub(super) fn begin(&mut self, at_ns: u64) {
        self.timeline.begin(at_ns);
        self.lost = (0, at_ns);
    }

    /// Counts a transition or a retransmission. `names` has its container.
    pub(super) fn add(&mut self, transition: &Transition, names: &KnownNames) {
        if !transition.is_transition() {
            self.timeline.at(transition.time_ns).retransmits += 1;
            return;
        }
        self.totals.add(transition, names);
        let slot = self.timeline.at(transition.time_ns);
        let (old, new) = (transition.old_state, transition.new_state);
        let connection = &transition.connection;
        if !transition.is_silent {
            slot.transitions[state_index(old)][state_index(new)] += 1;
            if let Some(ns) = transition.state_ns.filter(|_| !is_birth(old, new)) {
                slot.durations[state_index(old)][usize::from(bucket(ns))] += 1;
                if self.limits.of(old).is_some_and(|limit_ns| ns >= limit_ns) {
                    self.stuck.offer(ns, || Kept::after(transition));
                }
            }
        }
        if new == number::ESTABLISHED
            && let Some(side) = handshake_side(connection)
        {
            let ns = u64::from(connection.handshake_us()) * 1_000;
            slot.durations[STATES + side][usize::from(bucket(ns))] += 1;
            self.handshakes[side].add(ns);
        }
        let begins = begins_connection(old, new);
        if begins || transition.reason.is_some() {
            let counts = ConnectionCounts {
                begun: begins.into(),
                ended: transition.reason.is_some().into(),
                failed: transition.reason.is_some_and(|reason| !reason.is_orderly()).into(),
            };
            for (by, keys) in RANKED.iter().zip(&mut slot.keys) {
                let key = keys.entry(ranking_key(*by, connection, names));
                key.add(&SlotKey { weight: counts.begun + counts.ended, counts });
            }
        }
        if let Some(reason) = transition.reason {
            slot.ends[reason as usize][first(transition)] += 1;
            self.talks.add(connection, Some(reason));
            let kept = || Kept::at_end(transition);
            self.offer_handshake(handshake_ns(connection), kept);
            self.longest.offer(transition.time_ns.saturating_sub(connection.seen_ns()), kept);
        }
    }

    /// Looks how much was lost by now, if that is known.
    pub(super) fn note_losses(&mut self, lost: Option<u64>, now_ns: u64) {
        let (before, from_ns) = self.lost;
        let Some(lost) = lost else { return };
        if lost > before {
            let count = lost - before;
            let has_room = self.losses.len() < LOSSES;
            // One that goes on, and those beyond the most, are a part of the last one.
            match self.losses.last_mut().filter(|last| last.until_ns == from_ns || !has_room) {
                Some(last) => (last.until_ns, last.count) = (now_ns, last.count + count),
                None => self.losses.push(LossSpan { from_ns, until_ns: now_ns, count }),
            }
        }
        self.lost = (lost, now_ns);
    }

    /// Counts what is there at the end.
    pub(super) fn end(&mut self, scene: &Scene<'_>) {
        let loss_gap_ns = scene.tracker.loss_gap_ns();
        // The time up to the end has slots, too.
        self.timeline.at(scene.now_ns);
        for connection in scene.tracker.iter().filter(|connection| scene.select.holds(connection)) {
            if connection.role == Role::Listener || connection.state == number::LISTEN {
                continue;
            }
            let kept = || Kept::open(connection, scene.now_ns);
            if let Some(ns) = connection.stuck_ns(&self.limits, scene.now_ns, loss_gap_ns) {
                self.stuck.offer(ns, kept);
            }
            if !connection.is_ended && !connection.is_timewait {
                self.talks.add(connection, None);
                self.longest.offer(scene.now_ns.saturating_sub(connection.seen_ns()), kept);
                let waited_ns = scene.now_ns.saturating_sub(connection.waits_from_ns());
                let is_waiting = connection.state == number::SYN_SENT;
                let ns = if is_waiting { waited_ns } else { handshake_ns(connection) };
                self.offer_handshake(ns, kept);
            }
        }
    }

    fn offer_handshake(&mut self, ns: u64, kept: impl FnOnce() -> Kept) {
        if ns > 0 {
            self.slowest.offer(ns, kept);
        }
    }
}

/// Whose handshake it was: 0 for clients, 1 for servers; `None` if it was not measured.
fn handshake_side(connection: &Connection) -> Option<usize> {
    let side = match connection.role {
        Role::Client => 0,
        Role::Server => 1,
        Role::Listener | Role::Unknown => return None,
    };
    (connection.handshake_us() > 0).then_some(side)
}

/// How long the handshake took, or has been waited for, in nanoseconds.
fn handshake_ns(connection: &Connection) -> u64 {
    let waited = || connection.spent_ns(0).filter(|_| connection.spent_ns(2).is_none());
    match connection.handshake_us() {
        0 => waited().unwrap_or_default(),
        us => u64::from(us) * 1_000,
    }
}

/// The place of who closed first in [`CLOSED_BY`].
pub(super) fn first(transition: &Transition) -> usize {
    match transition.closed_by() {
        Some(FirstFin::Local) => 0,
        Some(FirstFin::Remote) => 1,
        Some(FirstFin::Both) => 2,
        Some(FirstFin::Nobody) | None => 3,
    }
}

/// Whether a report is about it.
pub(super) fn counts(transition: &Transition) -> bool {
    transition.is_transition() || kind::is_retransmit(transition.kind)
}
