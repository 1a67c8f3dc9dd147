//! Sets of TCP states, as filters name them: one state, or a group as `ss` has them.

use std::{fmt, str::FromStr};

use tracer_common::state as number;

use crate::tcp::state::{Error, State};

/// A set of states, with the name that stands for it.
///
/// ```
/// use tracer::tcp::{state::State, states::States};
///
/// let states: States = "connected".parse()?;
/// assert!(states.contains(State::SYN_SENT) && !states.contains(State::LISTEN));
/// # Ok::<(), tracer::tcp::state::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct States {
    name: &'static str,
    /// A bit for each state, by its number.
    bits: u16,
}

const fn bits(of: &[u8]) -> u16 {
    let (mut bits, mut at) = (0, 0);
    while at < of.len() {
        bits |= 1 << of[at];
        at += 1;
    }
    bits
}

const ALL: u16 = (1 << (number::NEW_SYN_RECV + 1)) - 2;
/// `ss` calls sockets of these states buckets: the kernel keeps less of them than a full socket.
const BUCKETS: u16 = bits(&[number::SYN_RECV, number::NEW_SYN_RECV, number::TIME_WAIT]);
const UNCONNECTED: u16 = bits(&[number::LISTEN, number::CLOSE]);

/// The groups of ss(8).
pub const GROUPS: [States; 5] = [
    States { name: "all", bits: ALL },
    States { name: "connected", bits: ALL & !UNCONNECTED },
    States { name: "synchronized", bits: ALL & !UNCONNECTED & !bits(&[number::SYN_SENT]) },
    States { name: "bucket", bits: BUCKETS },
    States { name: "big", bits: ALL & !BUCKETS },
];

impl States {
    /// Whether a state is in the set.
    #[must_use]
    pub fn contains(self, state: State) -> bool {
        state.is_known() && self.bits & (1 << state.number()) != 0
    }

    /// The name that stands for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.name
    }
}

impl From<State> for States {
    fn from(state: State) -> Self {
        state.name().map_or(Self { name: "", bits: 0 }, |name| Self { name, bits: bits(&[state.number()]) })
    }
}

impl FromStr for States {
    type Err = Error;

    /// A group, or a state in any tool's spelling.
    fn from_str(text: &str) -> Result<Self, Error> {
        let group = GROUPS.into_iter().find(|group| group.name.eq_ignore_ascii_case(text.trim()));
        group.map_or_else(|| text.parse().map(State::into), Ok)
    }
}

impl fmt::Display for States {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The states that a word stands for.
    fn numbers(text: &str) -> Vec<u8> {
        let states: States = text.parse().unwrap();
        (0..=20).filter(|number| states.contains(State::from_kernel(*number))).collect()
    }

    #[test]
    fn groups_are_those_of_ss() {
        let all: Vec<u8> = (number::ESTABLISHED..=number::NEW_SYN_RECV).collect();
        let without =
            |not: &[u8]| -> Vec<u8> { all.iter().filter(|number| !not.contains(number)).copied().collect() };
        let buckets = [number::SYN_RECV, number::TIME_WAIT, number::NEW_SYN_RECV];
        assert_eq!(numbers("all"), all);
        assert_eq!(numbers("Connected"), without(&[number::LISTEN, number::CLOSE]));
        assert_eq!(numbers("synchronized"), without(&[number::LISTEN, number::CLOSE, number::SYN_SENT]));
        assert_eq!(numbers("bucket"), buckets);
        assert_eq!(numbers("big"), without(&buckets));
    }

    #[test]
    fn a_state_is_a_set_of_one() {
        assert_eq!(numbers("fin-wait-2"), [number::FIN_WAIT2]);
        assert_eq!("estab".parse::<States>().unwrap().to_string(), "ESTABLISHED");
        assert!("".parse::<States>().is_err() && "some".parse::<States>().is_err());
    }
}
