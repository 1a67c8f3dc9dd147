//! How long a connection has been in its state, and in those that it has left.

use tracer_common::state as number;

use crate::{
    tcp::state::{LIVED_STATES, State},
    track::connection::{Connection, SINCE_KNOWN},
};

impl Connection {
    /// When it entered its state, if that is known.
    #[must_use]
    pub fn since_ns(&self) -> Option<u64> {
        self.has(SINCE_KNOWN).then_some(self.since_ns)
    }

    /// When it entered its state; or, if that is not known, since when it is there at least.
    #[must_use]
    pub fn in_state_from_ns(&self) -> u64 {
        self.since_ns
    }

    /// Whether it may have entered its state before [`Connection::in_state_from_ns`]. In SYN_SENT that is when the SYN
    /// was sent, if a snapshot has found that out.
    #[must_use]
    pub fn may_be_older(&self) -> bool {
        let has_syn = self.state == number::SYN_SENT && self.since_ns < self.seen_ns;
        !self.has(SINCE_KNOWN) && !has_syn
    }

    /// From when on it may have been waiting for the peer: since then, or since its SYN was last seen not to be
    /// sent.
    #[must_use]
    pub fn waits_from_ns(&self) -> u64 {
        let unsent_for_ms = if self.state == number::SYN_SENT { self.opening } else { 0 };
        self.since_ns.saturating_add(u64::from(unsent_for_ms) * 1_000_000)
    }

    /// Duration of the handshake in microseconds; 0 if it was not measured.
    #[must_use]
    pub fn handshake_us(&self) -> u32 {
        if matches!(self.state, number::SYN_SENT | number::LISTEN) { 0 } else { self.opening }
    }

    /// Half-open connections of a listener that have not answered its first SYN-ACK in time; else 0.
    #[must_use]
    pub fn half_open(&self) -> u32 {
        if self.state == number::LISTEN { self.opening } else { 0 }
    }

    /// Sets the duration of the handshake in microseconds, once it has left SYN_SENT.
    pub fn set_handshake_us(&mut self, handshake_us: u32) {
        self.opening = handshake_us;
    }

    /// Sets when it entered its state.
    pub fn set_since(&mut self, since_ns: u64) {
        self.since_ns = since_ns;
        self.mark(SINCE_KNOWN, true);
    }

    /// Sets since when it is in its state at least, where the time of entry is not known.
    pub fn set_at_least_since(&mut self, since_ns: u64) {
        self.since_ns = since_ns;
        self.mark(SINCE_KNOWN, false);
    }

    /// Marks the time at which it entered its state as unknown, for example after lost events.
    pub fn forget_since(&mut self) {
        self.mark(SINCE_KNOWN, false);
    }

    /// Leaves its state at `now_ns`. Returns the duration in it, in nanoseconds, if that is known.
    pub fn leave(&mut self, now_ns: u64) -> Option<u64> {
        let spent_ns = self.since_ns().and_then(|since_ns| now_ns.checked_sub(since_ns));
        self.add_spent(self.state, spent_ns);
        if matches!(self.state, number::CLOSE | number::SYN_SENT | number::LISTEN) {
            self.opening = 0;
        }
        spent_ns
    }

    /// Adds a duration to the time spent in `state`; `None` makes that time unknown.
    pub fn add_spent(&mut self, state: u8, spent_ns: Option<u64>) {
        self.spent.add(state, spent_ns);
    }

    /// Undoes the last [`Connection::leave`] of `state`, which goes on.
    pub fn undo_leave(&mut self, state: u8, spent_ns: Option<u64>) {
        self.spent.take_back(state, spent_ns);
    }

    /// Nanoseconds spent in `LIVED_STATES[index]`; `None` if that is unknown, or if it never left that state.
    #[must_use]
    pub fn spent_ns(&self, index: usize) -> Option<u64> {
        self.spent.ns(index)
    }

    /// Names of the [`LIVED_STATES`] that it has left after a known time, with that time in nanoseconds.
    pub fn lived(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let spent = LIVED_STATES.iter().enumerate();
        spent.filter_map(|(index, state)| Some((State::from_kernel(*state).name()?, self.spent_ns(index)?)))
    }

    /// Whether it has left `LIVED_STATES[index]`, and after how many nanoseconds: `Some(None)` if it left
    /// after an unknown time, `None` if it never left.
    #[must_use]
    pub fn stay_in(&self, index: usize) -> Option<Option<u64>> {
        let spent_ns = self.spent_ns(index);
        (self.spent.is_unknown(index) || spent_ns.is_some()).then_some(spent_ns)
    }
}
