//! Time in the states that a connection has left.

use tracer_common::state as number;

use crate::tcp::state::LIVED_STATES;

/// Durations by state.
///
/// A connection closes on one of three ways (RFC 9293, 3.6): FIN_WAIT1 and FIN_WAIT2; FIN_WAIT1 and CLOSING; or
/// CLOSE_WAIT and LAST_ACK. So five durations are enough, which matters for a million records. Nor is it padded.
#[derive(Clone, Copy, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(from = "([u64; 5], u8, u8)", into = "([u64; 5], u8, u8)")]
#[repr(C, packed(2))]
pub(super) struct Spent {
    ns: [u64; 5],
    /// Bit `i`: it has left `LIVED_STATES[i]`.
    left: u8,
    /// Bit `i`: after an unknown time.
    unknown: u8,
}

impl From<([u64; 5], u8, u8)> for Spent {
    fn from((ns, left, unknown): ([u64; 5], u8, u8)) -> Self {
        Self { ns, left, unknown }
    }
}

impl From<Spent> for ([u64; 5], u8, u8) {
    fn from(Spent { ns, left, unknown }: Spent) -> Self {
        (ns, left, unknown)
    }
}

/// Where the duration in a state is; `None` for a state that connections do not live in.
fn place(state: u8) -> Option<usize> {
    Some(match state {
        number::SYN_SENT => 0,
        number::SYN_RECV => 1,
        number::ESTABLISHED => 2,
        number::FIN_WAIT1 | number::CLOSE_WAIT => 3,
        number::FIN_WAIT2 | number::CLOSING | number::LAST_ACK => 4,
        _ => return None,
    })
}

impl Spent {
    /// Adds a duration; `None` makes the time in that state unknown.
    pub(super) fn add(&mut self, state: u8, spent_ns: Option<u64>) {
        let (Some(place), Some(bit)) = (place(state), bit(state)) else {
            return;
        };
        if self.left & bit == 0 {
            // After lost events another state may have been here.
            let others = LIVED_STATES.iter().filter(|other| self::place(**other) == Some(place));
            let others = others.filter_map(|other| self::bit(*other)).fold(0, |bits, bit| bits | bit);
            self.left &= !others;
            self.unknown &= !others;
            self.ns[place] = 0;
        }
        self.left |= bit;
        match spent_ns {
            Some(ns) => self.ns[place] = self.ns[place].saturating_add(ns),
            None => self.unknown |= bit,
        }
    }

    /// Takes back the last [`Spent::add`].
    pub(super) fn take_back(&mut self, state: u8, spent_ns: Option<u64>) {
        if let Some(place) = place(state) {
            self.ns[place] = self.ns[place].saturating_sub(spent_ns.unwrap_or_default());
        }
    }

    /// Nanoseconds in `LIVED_STATES[index]`; `None` if that is unknown, or if it never left that state.
    pub(super) fn ns(&self, index: usize) -> Option<u64> {
        let bit = 1 << index;
        let ns = self.ns[place(*LIVED_STATES.get(index)?)?];
        (self.left & bit != 0 && self.unknown & bit == 0 && ns > 0).then_some(ns)
    }

    /// Whether it has left `LIVED_STATES[index]` after an unknown time.
    pub(super) fn is_unknown(&self, index: usize) -> bool {
        self.unknown & (1 << index) != 0
    }
}

fn bit(state: u8) -> Option<u8> {
    LIVED_STATES.iter().position(|lived| *lived == state).map(|index| 1 << index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(state: u8) -> usize {
        LIVED_STATES.iter().position(|lived| *lived == state).unwrap()
    }

    #[test]
    fn each_state_has_its_own_duration() {
        let mut spent = Spent::default();
        for (state, ns) in [(number::ESTABLISHED, 5), (number::FIN_WAIT1, 6), (number::CLOSING, 7)] {
            spent.add(state, Some(ns));
            spent.add(state, Some(1));
            assert_eq!(spent.ns(index(state)), Some(ns + 1));
        }
        for state in [number::SYN_SENT, number::CLOSE_WAIT, number::FIN_WAIT2, number::LAST_ACK] {
            assert_eq!(spent.ns(index(state)), None);
        }
    }

    #[test]
    fn an_impossible_way_keeps_only_the_latest() {
        let mut spent = Spent::default();
        spent.add(number::CLOSE_WAIT, None);
        spent.add(number::FIN_WAIT1, Some(3));
        assert_eq!(spent.ns(index(number::FIN_WAIT1)), Some(3));
        assert!(
            spent.ns(index(number::CLOSE_WAIT)).is_none() && !spent.is_unknown(index(number::CLOSE_WAIT))
        );
    }
}
