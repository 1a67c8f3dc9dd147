//! What is counted of the connections of one service, process or container.

use crate::{
    aggregate::{
        diff::{arrivals::ArrivalSlots, blocks::Shares, spread::Spread},
        totals::{STATES, begins_connection, state_index},
    },
    tcp::{reason::Reason, state::is_birth},
    track::{Transition, connection::Connection},
};
use tracer_common::state as number;

/// The label of connections that retransmitted, behind those of reasons.
pub const RETRANSMITTED: usize = Reason::ALL.len();

/// Counts of connections.
#[derive(Clone, Debug)]
pub struct DiffGroup {
    /// When connections began.
    pub begun: ArrivalSlots,
    /// Ends of connections, by reason.
    pub ends: Shares,
    /// Transitions out of each state, by the next state.
    pub next: Vec<Shares>,
    /// Times from the beginning of a connection to its end for the processes.
    pub durations: Spread,
    /// Durations of handshakes.
    pub handshakes: Spread,
    /// Times in each state.
    pub stays: Vec<Spread>,
    /// Stays that have ended, and whose beginning is not in the span or was not seen.
    pub other_stays: Vec<u64>,
    /// It has all counts, from the beginning of the span on.
    pub is_whole: bool,
}

impl Default for DiffGroup {
    fn default() -> Self {
        Self {
            begun: ArrivalSlots::default(),
            ends: Shares::default(),
            next: vec![Shares::default(); STATES],
            durations: Spread::default(),
            handshakes: Spread::default(),
            stays: vec![Spread::default(); STATES],
            other_stays: vec![0; STATES],
            is_whole: true,
        }
    }
}

impl DiffGroup {
    /// Counts a transition of a span that begins at `since_ns`.
    pub fn add(&mut self, transition: &Transition, since_ns: u64) {
        let connection = &transition.connection;
        let (old, new) = (transition.old_state, transition.new_state);
        if let Some(reason) = transition.reason {
            let has_retransmitted = connection.counters.retransmits > 0;
            self.ends.add([reason as usize].into_iter().chain(has_retransmitted.then_some(RETRANSMITTED)));
            let born_ns = connection.born_ns().filter(|born_ns| *born_ns >= since_ns);
            if let Some(duration_ns) = born_ns.and_then(|born_ns| transition.time_ns.checked_sub(born_ns)) {
                self.durations.add(duration_ns);
            }
        }
        if transition.is_silent {
            return;
        }
        if begins_connection(old, new) {
            self.begun.add(transition.time_ns.saturating_sub(since_ns));
        }
        let state = state_index(old);
        self.next[state].add([state_index(new)]);
        if is_birth(old, new) {
            return;
        }
        // What began before the span is longer than others, because it was still there.
        match transition.state_ns.filter(|ns| transition.time_ns.saturating_sub(*ns) >= since_ns) {
            Some(ns) => self.stays[state].add(ns),
            None => self.other_stays[state] += 1,
        }
        if new == number::ESTABLISHED && connection.handshake_us() > 0 {
            self.handshakes.add(u64::from(connection.handshake_us()) * 1_000);
        }
    }

    /// Counts a connection that is there at the end of the span.
    pub fn add_left(&mut self, connection: &Connection, since_ns: u64, until_ns: u64) {
        if let Some(entered_ns) = connection.since_ns().filter(|entered_ns| *entered_ns >= since_ns) {
            self.stays[state_index(connection.state)].add_going_on(until_ns.saturating_sub(entered_ns));
        }
        if let Some(born_ns) =
            connection.born_ns().filter(|born_ns| *born_ns >= since_ns && !connection.is_ended)
        {
            self.durations.add_going_on(until_ns.saturating_sub(born_ns));
        }
    }

    /// Adds the counts of another.
    pub fn absorb(&mut self, other: Self) {
        self.begun.absorb(other.begun);
        self.ends.absorb(other.ends);
        self.durations.absorb(other.durations);
        self.handshakes.absorb(other.handshakes);
        self.next.iter_mut().zip(other.next).for_each(|(mine, more)| mine.absorb(more));
        self.stays.iter_mut().zip(other.stays).for_each(|(mine, more)| mine.absorb(more));
        self.other_stays.iter_mut().zip(other.other_stays).for_each(|(mine, more)| *mine += more);
        self.is_whole &= other.is_whole;
    }

    /// Connections that ended out of order.
    #[must_use]
    pub fn failed(&self) -> u64 {
        let failures = Reason::ALL.iter().filter(|reason| !reason.is_orderly());
        failures.map(|reason| self.ends.count(*reason as usize)).sum()
    }

    /// By which groups are ranked: connections that ended and began.
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.ends.total() + self.begun.total()
    }
}
