//! How long a connection may stay in a state before it counts as stuck, or as slow.

use std::{fmt, str::FromStr, time::Duration};

use tracer_common::{aggregate::STATES, state as number};

use crate::{
    tcp::state::{LIVED_STATES, State},
    text::escape::escaped,
};

/// The limits of `--stuck default`, which `top` also starts with.
///
/// CLOSE_WAIT only waits for the local process to close. An orphan leaves FIN_WAIT2 after `tcp_fin_timeout`,
/// 60 s by default, so a longer stay means that a process still holds the socket. A SYN is retransmitted
/// after 1, 2, 3, 4, 5 and 7 seconds (before Linux 6.5 after 1, 3 and 7). A FIN that is still not acknowledged
/// in LAST_ACK has been retransmitted many times.
const DEFAULTS: [(u8, Duration); 4] = [
    (number::SYN_SENT, Duration::from_secs(10)),
    (number::FIN_WAIT2, Duration::from_secs(90)),
    (number::CLOSE_WAIT, Duration::from_secs(60)),
    (number::LAST_ACK, Duration::from_secs(30)),
];

/// The states that can have a limit: all in which a connection spends time.
pub fn limitable_states() -> impl Iterator<Item = u8> {
    LIVED_STATES.into_iter().chain([number::TIME_WAIT, number::NEW_SYN_RECV])
}

/// How long a connection may stay in each state. A state without a limit is never stuck.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits([Option<Duration>; STATES]);

/// One word of `--stuck` or `--slow`: a state with its limit, or all defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// `default`
    Defaults,
    /// `CLOSE_WAIT=60s`, or `CLOSE_WAIT=off`
    Of(State, Option<Duration>),
}

/// Why a word is not a limit.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no `=`.
    #[error("`{0}` is not STATE=TIME: give a state with a time, such as CLOSE_WAIT=60s, or `default`")]
    Form(String),
    /// The state is unknown or cannot have a limit.
    #[error("`{0}` is not a state that a connection can be stuck in: {names}", names = names())]
    State(String),
    /// The time is invalid.
    #[error("{0}")]
    Time(String),
}

fn names() -> String {
    limitable_states().map(|state| State::from_kernel(state).to_string()).collect::<Vec<_>>().join(", ")
}

impl FromStr for Limit {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text.eq_ignore_ascii_case("default") {
            return Ok(Self::Defaults);
        }
        let (state, time) = text.split_once('=').ok_or_else(|| Error::Form(escaped(text.as_bytes())))?;
        let unknown = || Error::State(escaped(state.as_bytes()));
        let state: State = state.trim().parse().map_err(|_| unknown())?;
        if !limitable_states().any(|limitable_states| limitable_states == state.number()) {
            return Err(unknown());
        }
        Ok(Self::Of(
            state,
            match time.trim() {
                "off" => None,
                time => Some(crate::time::duration::parse(time).map_err(Error::Time)?),
            },
        ))
    }
}

impl Limits {
    /// The defaults.
    #[must_use]
    pub fn defaults() -> Self {
        let mut limits = Self::default();
        limits.set(&[Limit::Defaults]);
        limits
    }

    /// Sets limits, in this order: later words override earlier ones.
    pub fn set(&mut self, words: &[Limit]) {
        for word in words {
            match word {
                Limit::Defaults => {
                    for (state, time) in DEFAULTS {
                        self.set_limit(state, Some(time));
                    }
                }
                Limit::Of(state, time) => self.set_limit(state.number(), *time),
            }
        }
    }

    fn set_limit(&mut self, state: u8, time: Option<Duration>) {
        if let Some(limit) = self.0.get_mut(usize::from(state)) {
            *limit = time;
        }
    }

    /// Whether no state has a limit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// The limit of a state, in nanoseconds; `None` if it has none.
    #[must_use]
    pub fn of(&self, state: u8) -> Option<u64> {
        let limit = (*self.0.get(usize::from(state))?)?;
        Some(u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX))
    }

    /// The shortest of all limits, in nanoseconds; `None` if there is none.
    #[must_use]
    pub fn shortest(&self) -> Option<u64> {
        (0..).zip(&self.0).filter_map(|(state, _)| self.of(state)).min()
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (state, limit) in (0..).zip(&self.0) {
            if let Some(limit) = limit {
                write!(f, "{separator}{}={limit:?}", State::from_kernel(state))?;
                separator = ",";
            }
        }
        Ok(())
    }
}

/// What has to happen before a connection leaves this state, in a few words for users.
#[must_use]
pub fn waits_for(state: u8) -> &'static str {
    match state {
        number::SYN_SENT => "no answer",
        number::SYN_RECV | number::NEW_SYN_RECV => "no last ACK",
        number::FIN_WAIT1 | number::LAST_ACK | number::CLOSING => "FIN not acked",
        number::FIN_WAIT2 => "peer not closed",
        number::CLOSE_WAIT => "not closed here",
        _ => "not over",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(words: &str) -> String {
        let words: Vec<Limit> = words.split(',').map(|word| word.parse().unwrap()).collect();
        let mut limits = Limits::default();
        limits.set(&words);
        limits.to_string()
    }

    #[test]
    fn words_become_limits() {
        assert_eq!(limits("CLOSE_WAIT=60s"), "CLOSE_WAIT=60s");
        assert_eq!(limits("close_wait=2,LAST_ACK=1m"), "CLOSE_WAIT=2s,LAST_ACK=60s");
        assert_eq!(limits("default,CLOSE_WAIT=5s"), "SYN_SENT=10s,FIN_WAIT2=90s,CLOSE_WAIT=5s,LAST_ACK=30s");
        assert_eq!(Limits::defaults().shortest(), Some(10_000_000_000));
        assert_eq!(Limits::default().shortest(), None);
        assert_eq!(limits("CLOSE_WAIT=5s,CLOSE_WAIT=off"), "");
    }

    #[test]
    fn invalid_limits_are_refused() {
        assert_eq!("CLOSE_WAIT".parse::<Limit>(), Err(Error::Form("CLOSE_WAIT".into())));
        assert_eq!("CLOSE=1s".parse::<Limit>(), Err(Error::State("CLOSE".into())));
        assert_eq!("\x1b=1s".parse::<Limit>(), Err(Error::State("\\x1b".into())));
        for time in ["CLOSE_WAIT=", "CLOSE_WAIT=0", "CLOSE_WAIT=-1s", "CLOSE_WAIT=soon"] {
            assert!(matches!(time.parse::<Limit>(), Err(Error::Time(_))), "{time}");
        }
    }
}
