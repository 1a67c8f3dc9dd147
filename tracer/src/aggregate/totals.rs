//! What is counted between two reports.

use std::net::IpAddr;

use tracer_common::{event::COMM_LEN, fold::Side, state as number};

pub use tracer_common::fold::STATES;

use crate::{
    aggregate::{
        By,
        heavy::{Heavy, Weighted},
        times::Times,
    },
    tcp::{reason::Reason, state::is_birth},
    track::{
        Transition,
        connection::{Connection, Role},
    },
};

/// Keys that a ranking has room for: what a hash table of 16,384 takes before it doubles.
const ROOM: usize = 16_384 / 8 * 7;

/// What connections are ranked by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RankingKey {
    /// The service's port, at the end where it is served. No port: not known.
    Port(Side, Option<u16>),
    /// The remote address; none for listeners.
    Peer(Option<IpAddr>),
    /// The owner's name, zero-padded; none where no owner is known.
    Process(Option<[u8; COMM_LEN]>),
    /// Cgroup id.
    Cgroup(u64),
    /// Network namespace.
    Netns(u32),
}

/// What is counted for a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Transitions.
    pub transitions: u64,
    /// Connections that began.
    pub begun: u64,
    /// Connections that ended for their processes.
    pub ended: u64,
    /// Of those, the ones that did not close in order.
    pub failed: u64,
    /// The process, if all were of the same one.
    pub pid: Option<u32>,
    /// They were of several.
    pub has_several_pids: bool,
}

impl Weighted for Share {
    fn weight(&self) -> u64 {
        self.transitions
    }

    fn lighten(&mut self, weight: u64) {
        self.transitions = self.transitions.saturating_sub(weight);
    }

    fn add(&mut self, other: &Self) {
        self.transitions += other.transitions;
        self.begun += other.begun;
        self.ended += other.ended;
        self.failed += other.failed;
        self.has_several_pids |= other.has_several_pids;
        if let Some(pid) = other.pid {
            self.note_pid(pid);
        }
    }
}

impl Share {
    fn note_pid(&mut self, pid: u32) {
        self.has_several_pids |= self.pid.is_some_and(|known| known != pid);
        self.pid = Some(pid);
    }
}

/// Counts by one kind of key.
#[derive(Clone, Debug)]
pub struct Ranking {
    /// Which kind.
    pub by: By,
    /// The counts.
    pub shares: Heavy<RankingKey, Share>,
}

/// Everything.
#[derive(Clone, Debug)]
pub struct Totals {
    /// Transitions, from and to.
    pub transitions: [[u64; STATES]; STATES],
    /// Stays in each state that ended.
    pub times: Vec<Times>,
    /// Ends by [`Reason`].
    pub reasons: Vec<u64>,
    /// The heaviest of each kind that was asked for.
    pub rankings: Vec<Ranking>,
}

impl Totals {
    /// Nothing yet; ranked by these.
    #[must_use]
    pub fn new(by: &[By]) -> Self {
        Self {
            transitions: [[0; STATES]; STATES],
            times: vec![Times::default(); STATES],
            reasons: vec![0; Reason::ALL.len()],
            rankings: by.iter().map(|by| Ranking { by: *by, shares: Heavy::new(ROOM) }).collect(),
        }
    }

    /// Counts a transition, or an end of which nobody reported one.
    pub fn add(&mut self, transition: &Transition) {
        if let Some(reason) = transition.reason {
            self.reasons[reason as usize] += 1;
        }
        if !transition.is_silent {
            let (old, new) = (transition.old_state, transition.new_state);
            self.transitions[index(old)][index(new)] += 1;
            // What is born has not been anywhere before.
            if !is_birth(old, new) {
                let times = &mut self.times[index(old)];
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
            count(transition, shares.of(key(*by, &transition.connection)));
        }
    }

    /// Adds what others have counted.
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

    /// Begins again.
    pub fn clear(&mut self) {
        self.transitions = [[0; STATES]; STATES];
        self.times.iter_mut().for_each(Times::clear);
        self.reasons.fill(0);
        self.rankings.iter_mut().for_each(|ranking| ranking.shares.clear());
    }
}

fn index(state: u8) -> usize {
    let index = usize::from(state);
    if index < STATES { index } else { 0 }
}

fn count(transition: &Transition, share: &mut Share) {
    let (old, new) = (transition.old_state, transition.new_state);
    let begins = is_birth(old, new) && new != number::LISTEN;
    share.transitions += u64::from(!transition.is_silent);
    share.begun += u64::from(begins);
    share.ended += u64::from(transition.reason.is_some());
    share.failed += u64::from(transition.reason.is_some_and(|reason| !reason.is_orderly()));
    let owner = &transition.connection.owner;
    if owner.is_known() {
        share.note_pid(owner.pid);
    }
}

fn key(by: By, connection: &Connection) -> RankingKey {
    match by {
        By::Port => {
            let (local, remote) = (connection.tuple.local_port, connection.tuple.remote_port);
            match connection.role {
                Role::Server | Role::Listener => RankingKey::Port(Side::Local, Some(local)),
                Role::Client => RankingKey::Port(Side::Remote, Some(remote)),
                Role::Unknown => RankingKey::Port(Side::Unknown, None),
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
        By::Cgroup => RankingKey::Cgroup(connection.cgroup),
        By::Netns => RankingKey::Netns(connection.tuple.netns),
    }
}
