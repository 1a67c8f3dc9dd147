//! TCP states (RFC 9293, section 3.3.2), with the kernel's names, and the spellings of other tools.

use std::{fmt, str::FromStr};

use tracer_common::state;

use crate::text::escape::escaped;

/// The states in which a connection spends time, in the order in which they are shown.
pub const LIVED_STATES: [u8; 8] = [
    state::SYN_SENT,
    state::SYN_RECV,
    state::ESTABLISHED,
    state::FIN_WAIT1,
    state::FIN_WAIT2,
    state::CLOSE_WAIT,
    state::CLOSING,
    state::LAST_ACK,
];

/// Whether a connection or a listener begins with this transition: a socket leaves CLOSE, or a connection
/// comes out of a listener.
#[must_use]
pub const fn is_birth(old_state: u8, new_state: u8) -> bool {
    (old_state == state::CLOSE && new_state != state::CLOSE)
        || (old_state == state::LISTEN && new_state == state::SYN_RECV)
}

/// A TCP state. Unknown numbers are kept.
///
/// ```
/// use tracer::tcp::state::State;
///
/// let state: State = "close-wait".parse()?;
/// assert_eq!(state.to_string(), "CLOSE_WAIT");
/// # Ok::<(), tracer::tcp::state::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State(u8);

/// Names by the kernel's numbers (`include/net/tcp_states.h`).
const NAMES: [&str; 13] = [
    "",
    "ESTABLISHED",
    "SYN_SENT",
    "SYN_RECV",
    "FIN_WAIT1",
    "FIN_WAIT2",
    "TIME_WAIT",
    "CLOSE",
    "CLOSE_WAIT",
    "LAST_ACK",
    "LISTEN",
    "CLOSING",
    "NEW_SYN_RECV",
];

/// Other tools' names, without what stands between words: those of RFC 9293, `ss`, `netstat` and the BSDs.
const OTHER_NAMES: [(&str, u8); 8] = [
    ("ESTAB", state::ESTABLISHED),
    ("SYNRCVD", state::SYN_RECV),
    ("SYNRCV", state::SYN_RECV),
    ("SYNRECEIVED", state::SYN_RECV),
    ("CLOSED", state::CLOSE),
    ("UNCONN", state::CLOSE),
    ("UNCONNECTED", state::CLOSE),
    ("LISTENING", state::LISTEN),
];

/// The names, each padded to sixteen bytes, and their lengths: see [`crate::text::line::Line::push_first`].
static PADDED: [([u8; 16], usize); NAMES.len()] = {
    let mut padded = [([0; 16], 0); NAMES.len()];
    let mut number = 0;
    while number < NAMES.len() {
        let name = NAMES[number].as_bytes();
        padded[number].1 = name.len();
        padded[number].0.split_at_mut(name.len()).0.copy_from_slice(name);
        number += 1;
    }
    padded
};

impl State {
    /// A client has sent its SYN, and waits for the answer.
    pub const SYN_SENT: Self = Self(state::SYN_SENT);
    /// The handshake's last ACK is being processed.
    pub const SYN_RECV: Self = Self(state::SYN_RECV);
    /// Both ends may send.
    pub const ESTABLISHED: Self = Self(state::ESTABLISHED);
    /// No connection.
    pub const CLOSE: Self = Self(state::CLOSE);
    /// A listener waits for connections.
    pub const LISTEN: Self = Self(state::LISTEN);

    /// The state with this number in the kernel.
    #[must_use]
    pub const fn from_kernel(number: u8) -> Self {
        Self(number)
    }

    /// Whether the number is that of a known state.
    #[must_use]
    pub fn is_known(self) -> bool {
        (1..NAMES.len()).contains(&usize::from(self.0))
    }

    /// The state's name; `None` for an unknown number.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        self.is_known().then(|| NAMES[usize::from(self.0)])
    }

    /// The state's name, padded to sixteen bytes, and its length.
    #[must_use]
    pub fn padded_name(self) -> Option<&'static ([u8; 16], usize)> {
        self.is_known().then(|| &PADDED[usize::from(self.0)])
    }

    /// The kernel's number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}

/// A word that is not a state.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a TCP state: give one such as ESTABLISHED or CLOSE_WAIT")]
pub struct Error(String);

impl FromStr for State {
    type Err = Error;

    /// Any tool's name, in upper or lower case, with `_`, `-` or neither between words.
    fn from_str(text: &str) -> Result<Self, Error> {
        let name = without_breaks(&text.trim().to_uppercase());
        let is_named_so = |state: &Self| state.name().is_some_and(|known| without_breaks(known) == name);
        let found = (1..=state::NEW_SYN_RECV).map(Self::from_kernel).find(is_named_so);
        let other = || OTHER_NAMES.iter().find(|(other, _)| *other == name).map(|(_, number)| Self(*number));
        found.or_else(other).ok_or_else(|| Error(escaped(text.as_bytes())))
    }
}

fn without_breaks(name: &str) -> String {
    name.replace(['_', '-'], "")
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => write!(f, "UNKNOWN_{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_the_kernels_numbers() {
        for (number, name) in [
            (state::ESTABLISHED, "ESTABLISHED"),
            (state::FIN_WAIT2, "FIN_WAIT2"),
            (state::CLOSE, "CLOSE"),
            (state::LISTEN, "LISTEN"),
            (state::NEW_SYN_RECV, "NEW_SYN_RECV"),
        ] {
            assert_eq!(State::from_kernel(number).to_string(), name);
        }
    }

    #[test]
    fn states_have_many_spellings() {
        for text in ["CLOSE_WAIT", "close-wait", "CloseWait", " close_wait "] {
            assert_eq!(text.parse(), Ok(State::from_kernel(state::CLOSE_WAIT)), "{text}");
        }
        for (number, texts) in [
            (state::ESTABLISHED, "ESTAB estab Established"),
            (state::SYN_SENT, "SYN-SENT syn_sent SYNSENT"),
            (state::SYN_RECV, "SYN-RECV SYN_RCVD syn-rcv SYN-RECEIVED SYN_RECEIVED synrecv"),
            (state::FIN_WAIT1, "FIN-WAIT-1 FIN_WAIT_1 FINWAIT1 fin-wait1"),
            (state::FIN_WAIT2, "FIN-WAIT-2 FIN_WAIT_2 FINWAIT2 fin_wait2"),
            (state::TIME_WAIT, "TIME-WAIT TIMEWAIT time_wait"),
            (state::CLOSE, "CLOSED UNCONN Unconnected close"),
            (state::LAST_ACK, "LAST-ACK LASTACK"),
            (state::LISTEN, "LISTENING listen"),
            (state::NEW_SYN_RECV, "NEW_SYN_RECV new-syn-recv"),
        ] {
            for text in texts.split(' ') {
                assert_eq!(text.parse(), Ok(State::from_kernel(number)), "{text}");
            }
        }
        assert!("OPEN".parse::<State>().is_err() && "".parse::<State>().is_err());
    }

    #[test]
    fn births_leave_close_or_come_out_of_a_listener() {
        assert!(is_birth(state::CLOSE, state::SYN_SENT) && is_birth(state::CLOSE, state::LISTEN));
        assert!(is_birth(state::LISTEN, state::SYN_RECV) && is_birth(state::CLOSE, state::ESTABLISHED));
        assert!(!is_birth(state::LISTEN, state::CLOSE) && !is_birth(state::CLOSE, state::CLOSE));
    }

    #[test]
    fn unknown_numbers_are_shown_as_numbers() {
        assert_eq!(State::from_kernel(13).to_string(), "UNKNOWN_13");
        assert_eq!(State::from_kernel(0).name(), None);
    }
}
