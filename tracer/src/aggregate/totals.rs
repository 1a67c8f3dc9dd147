//! The counts between two reports.

use std::net::IpAddr;

use tracer_common::{aggregate::Side, event::COMM_LEN, state as number};

pub use tracer_common::aggregate::STATES;

use crate::{
    aggregate::{
        By, Rank,
        heavy::{HeavyHitters, Weighted},
        times::Times,
    },
    facts::known_names::KnownNames,
    tcp::{reason::Reason, state::is_birth},
    track::{
        Transition,
        connection::{Connection, Role},
    },
};

/// How many keys a ranking holds: as many as a hash table of 16,384 entries can take before it grows.
const RANKING_CAPACITY: usize = 16_384 / 8 * 7;

/// A key of a ranking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RankingKey {
    /// The service's port, and the side that serves it; `None` if it is not known.
    Service(Side, Option<u16>),
    /// The remote address; `None` for listeners.
    Peer(Option<IpAddr>),
    /// The owner's name, zero-padded; `None` if the owner is not known.
    Process(Option<[u8; COMM_LEN]>),
    /// The owner; `None` if it is not known.
    Pid(Option<u32>),
    /// The cgroup's id.
    Cgroup(u64),
    /// A cgroup that stands for all of the same container; 0 if there is no container, `None` if that is not known.
    Container(Option<u64>),
    /// The network namespace's inode number.
    Netns(u32),
    /// The state, as the kernel numbers it.
    State(u8),
}

/// The counts of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyCounts {
    /// Transitions.
    pub transitions: u64,
    /// Connections that began.
    pub begun: u64,
    /// Connections that ended for their processes.
    pub ended: u64,
    /// Those of the ended ones that did not close in order.
    pub failed: u64,
    /// The process id of an owner.
    pub pid: Option<u32>,
    /// The name of that process, zero-padded.
    pub comm: [u8; COMM_LEN],
    /// Whether there were owners with different process ids.
    pub has_several_pids: bool,
}

impl Weighted for KeyCounts {
    fn weight(&self) -> u64 {
        self.transitions
    }

    fn subtract(&mut self, weight: u64) {
        self.transitions = self.transitions.saturating_sub(weight);
    }

    fn add(&mut self, other: &Self) {
        self.transitions += other.transitions;
        self.begun += other.begun;
        self.ended += other.ended;
        self.failed += other.failed;
        self.has_several_pids |= other.has_several_pids;
        if let Some(pid) = other.pid {
            self.note_pid(pid, other.comm);
        }
    }
}

impl KeyCounts {
    /// The count that a ranking is sorted by.
    #[must_use]
    pub fn ranked_by(&self, rank: Rank) -> u64 {
        match rank {
            Rank::Count => self.transitions,
            Rank::Begun => self.begun,
            Rank::Ended => self.ended,
            Rank::Failed => self.failed,
        }
    }

    fn note_pid(&mut self, pid: u32, comm: [u8; COMM_LEN]) {
        self.has_several_pids |= self.pid.is_some_and(|known| known != pid);
        (self.pid, self.comm) = (Some(pid), comm);
    }
}

/// The heaviest keys of one kind.
#[derive(Clone, Debug)]
pub struct Ranking {
    /// The kind of key.
    pub by: By,
    /// The counts.
    pub shares: HeavyHitters<RankingKey, KeyCounts>,
}

/// All counts.
#[derive(Clone, Debug)]
pub struct Totals {
    /// Transitions, by old and new state.
    pub transitions: [[u64; STATES]; STATES],
    /// Durations by the state that was left.
    pub times: Vec<Times>,
    /// Connections that ended for their processes, by [`Reason`].
    pub reasons: Vec<u64>,
    /// The rankings that were asked for.
    pub rankings: Vec<Ranking>,
}

impl Totals {
    /// No counts yet, with rankings by these kinds of key.
    #[must_use]
    pub fn new(by: &[By]) -> Self {
        Self {
            transitions: [[0; STATES]; STATES],
            times: vec![Times::default(); STATES],
            reasons: vec![0; Reason::ALL.len()],
            rankings: by
                .iter()
                .map(|by| Ranking { by: *by, shares: HeavyHitters::new(RANKING_CAPACITY) })
                .collect(),
        }
    }

    /// Counts a transition, or an end without a transition to show ([`Transition::is_silent`]).
    pub fn add(&mut self, transition: &Transition, names: &KnownNames) {
        if let Some(reason) = transition.reason {
            self.reasons[reason as usize] += 1;
        }
        if !transition.is_silent {
            let (old, new) = (transition.old_state, transition.new_state);
            self.transitions[state_index(old)][state_index(new)] += 1;
            // A new connection has spent no time in the old state.
            if !is_birth(old, new) {
                let times = &mut self.times[state_index(old)];
                match transition.state_ns {
                    Some(ns) => times.add(ns),
                    None => times.unknown += 1,
                }
                if transition.state_ns.is_some() && transition.error_ns > 0 {
                    times.sampled += 1;
                    times.error_ns = times.error_ns.max(transition.error_ns);
                }
            }
        }
        for Ranking { by, shares } in &mut self.rankings {
            count_for_key(transition, shares.entry(ranking_key(*by, &transition.connection, names)));
        }
    }

    /// Adds the counts of another.
    pub fn absorb(&mut self, other: &Self) {
        for (mine, other) in self.transitions.iter_mut().flatten().zip(other.transitions.iter().flatten()) {
            *mine += other;
        }
        for (mine, other) in self.times.iter_mut().zip(&other.times) {
            mine.absorb(other);
        }
        for (mine, other) in self.reasons.iter_mut().zip(&other.reasons) {
            *mine += other;
        }
        for (mine, other) in self.rankings.iter_mut().zip(&other.rankings) {
            mine.shares.absorb(&other.shares);
        }
    }

    /// Sets all counts to 0.
    pub fn clear(&mut self) {
        self.transitions = [[0; STATES]; STATES];
        self.times.iter_mut().for_each(Times::clear);
        self.reasons.fill(0);
        self.rankings.iter_mut().for_each(|ranking| ranking.shares.clear());
    }
}

/// The row of a state in tables by state; row 0 is for numbers that no known kernel uses.
#[must_use]
pub fn state_index(state: u8) -> usize {
    let index = usize::from(state);
    if index < STATES { index } else { 0 }
}

/// Whether a transition is the birth of a connection.
#[must_use]
pub fn begins_connection(old_state: u8, new_state: u8) -> bool {
    is_birth(old_state, new_state) && new_state != number::LISTEN
}

fn count_for_key(transition: &Transition, share: &mut KeyCounts) {
    let (old, new) = (transition.old_state, transition.new_state);
    let begins = begins_connection(old, new);
    share.transitions += u64::from(!transition.is_silent);
    share.begun += u64::from(begins);
    share.ended += u64::from(transition.reason.is_some());
    share.failed += u64::from(transition.reason.is_some_and(|reason| !reason.is_orderly()));
    let owner = &transition.connection.owner;
    if owner.is_known() {
        share.note_pid(owner.pid, owner.comm);
    }
}

/// The key of a connection. `names` has its container.
#[must_use]
pub fn ranking_key(by: By, connection: &Connection, names: &KnownNames) -> RankingKey {
    match by {
        By::Service => {
            let (local, remote) = (connection.tuple.local_port, connection.tuple.remote_port);
            match connection.role {
                Role::Server | Role::Listener => RankingKey::Service(Side::Local, Some(local)),
                Role::Client => RankingKey::Service(Side::Remote, Some(remote)),
                Role::Unknown => RankingKey::Service(Side::Unknown, None),
            }
        }
        By::Peer => {
            let is_listener = connection.role == Role::Listener;
            let addr = IpAddr::from(connection.tuple.remote_addr).to_canonical();
            RankingKey::Peer((!is_listener).then_some(addr))
        }
        By::Process => {
            let owner = &connection.owner;
            RankingKey::Process(owner.is_known().then_some(owner.comm))
        }
        By::Pid => {
            let owner = &connection.owner;
            RankingKey::Pid(owner.is_known().then_some(owner.pid))
        }
        By::State => RankingKey::State(connection.state),
        By::Cgroup => RankingKey::Cgroup(connection.cgroup),
        By::Container => RankingKey::Container(names.container_of(connection.socket_owner())),
        By::Netns => RankingKey::Netns(connection.tuple.netns),
    }
}
