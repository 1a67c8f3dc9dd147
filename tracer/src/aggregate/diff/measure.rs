//! What is compared of a group of connections.

use std::fmt;

use serde::{Serialize, Serializer, ser::SerializeMap as _};
use tracer_common::state as number;

use crate::tcp::{reason::Reason, state::State};

/// Something that is compared. Those that matter more come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Connections that are left in a state at the end, and have been there for a while: of those that have entered it.
    Left(State),
    /// Ends for a reason, of all ends.
    End(Reason),
    /// Ends of connects that failed, of all ends.
    ConnectFailed,
    /// Ends out of order, of all ends.
    Failed,
    /// Durations of handshakes.
    Handshake,
    /// Handshakes that are longer than 99 % of those of both sides.
    HandshakeTail,
    /// Connections that sent a segment again, of all ends.
    Retransmitted,
    /// Times in a state.
    Stay(State),
    /// Those that are longer than 99 % of those of both sides.
    StayTail(State),
    /// Durations of connections.
    Duration,
    /// Those that are longer than 99 % of those of both sides.
    DurationTail,
    /// Transitions to a state, of all out of another one.
    Next(State, State),
    /// Connections that began, a second.
    Begun,
}

/// States in which a connection waits for somebody who should act soon.
const WAITING: [u8; 7] = [
    number::CLOSE_WAIT,
    number::SYN_SENT,
    number::SYN_RECV,
    number::LAST_ACK,
    number::FIN_WAIT1,
    number::CLOSING,
    number::FIN_WAIT2,
];

/// Whether more of it, or longer, is worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoreIs {
    /// It is.
    Worse,
    /// It may be either.
    Neither,
}

impl Measure {
    /// States that connections may be left in.
    pub fn left() -> impl Iterator<Item = Self> {
        WAITING.into_iter().map(|state| Self::Left(State::from_kernel(state)))
    }

    /// Reasons for which a connect fails.
    pub const CONNECT_FAILED: [Reason; 6] = [
        Reason::Refused,
        Reason::TimeoutConnect,
        Reason::Unanswered,
        Reason::NoFreePort,
        Reason::Unreachable,
        Reason::Cancelled,
    ];

    /// What more of it means.
    #[must_use]
    pub fn trend(self) -> MoreIs {
        let is_worse = match self {
            // Of an unknown one the beginning was not seen, or what was lost would tell.
            Self::End(reason) => reason != Reason::Unknown && !reason.is_orderly(),
            Self::Stay(state) | Self::StayTail(state) => WAITING.contains(&state.number()),
            Self::Duration | Self::DurationTail | Self::Next(..) | Self::Begun => false,
            Self::Left(_)
            | Self::ConnectFailed
            | Self::Failed
            | Self::Handshake
            | Self::HandshakeTail
            | Self::Retransmitted => true,
        };
        if is_worse { MoreIs::Worse } else { MoreIs::Neither }
    }

    /// How much a change of it matters: the least is the most.
    #[must_use]
    pub fn tier(self) -> u8 {
        match self {
            Self::Left(state) if state.number() == number::CLOSE_WAIT => 0,
            Self::End(_) if self.trend() == MoreIs::Worse => 0,
            Self::ConnectFailed | Self::Failed => 0,
            Self::Left(_) | Self::Handshake | Self::HandshakeTail | Self::Retransmitted => 1,
            Self::Stay(_) | Self::StayTail(_) | Self::Duration | Self::DurationTail => 2,
            Self::Begun => 3,
            Self::End(_) | Self::Next(..) => 4,
        }
    }

    /// Whether a change of `other` in the same group says the same, and more exactly.
    #[must_use]
    pub fn follows_from(self, other: Self) -> bool {
        let is_in = |state: State, numbers: &[u8]| numbers.contains(&state.number());
        match (self, other) {
            (Self::Failed, Self::ConnectFailed | Self::End(_)) => other.trend() == MoreIs::Worse,
            (Self::ConnectFailed, Self::End(reason)) => Self::CONNECT_FAILED.contains(&reason),
            (Self::HandshakeTail, Self::Handshake)
            | (Self::DurationTail, Self::Duration)
            // A transition out of order is how such an end looks.
            | (Self::Next(..), Self::End(_)) => true,
            (Self::StayTail(one), Self::Stay(two)) => one == two,
            // A client's handshake is its time in SYN_SENT.
            (Self::Stay(state), Self::Handshake) | (Self::StayTail(state), Self::Handshake | Self::HandshakeTail) => {
                is_in(state, &[number::SYN_SENT])
            }
            _ => false,
        }
    }

    /// The test that tells whether it differs by more than chance.
    #[must_use]
    pub const fn test(self) -> &'static str {
        match self {
            Self::Begun => "Welch's t",
            Self::Handshake | Self::Duration | Self::Stay(_) => "Gehan-Breslow",
            Self::Left(_)
            | Self::End(_)
            | Self::ConnectFailed
            | Self::Failed
            | Self::HandshakeTail
            | Self::Retransmitted
            | Self::StayTail(_)
            | Self::DurationTail
            | Self::Next(..) => "Fisher's exact",
        }
    }

    /// Its word in data.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Left(_) => "left",
            Self::End(_) => "end",
            Self::ConnectFailed => "connect-failed",
            Self::Failed => "failed",
            Self::Handshake => "handshake",
            Self::HandshakeTail => "handshake-tail",
            Self::Retransmitted => "retransmitted",
            Self::Stay(_) => "stay",
            Self::StayTail(_) => "stay-tail",
            Self::Duration => "duration",
            Self::DurationTail => "duration-tail",
            Self::Next(..) => "transition",
            Self::Begun => "begun",
        }
    }

    /// Its reason, its state or old state, and its new state.
    #[must_use]
    pub fn details(self) -> (Option<&'static str>, Option<State>, Option<State>) {
        match self {
            Self::End(reason) => (Some(reason.name()), None, None),
            Self::Left(state) | Self::Stay(state) | Self::StayTail(state) => (None, Some(state), None),
            Self::Next(old, new) => (None, Some(old), Some(new)),
            _ => (None, None, None),
        }
    }
}

impl fmt::Display for Measure {
    /// For people, in a column.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Left(state) => write!(f, "left in {state}"),
            Self::End(reason) => f.write_str(reason.name()),
            Self::ConnectFailed => f.write_str("connects that fail"),
            Self::Failed => f.write_str("ends out of order"),
            Self::Handshake => f.write_str("handshake"),
            Self::HandshakeTail => f.write_str("slowest handshakes"),
            Self::Retransmitted => f.write_str("retransmitted"),
            Self::Stay(state) => write!(f, "time in {state}"),
            Self::StayTail(state) => write!(f, "longest in {state}"),
            Self::Duration => f.write_str("duration"),
            Self::DurationTail => f.write_str("longest connections"),
            Self::Next(old, new) => write!(f, "{old} -> {new}"),
            Self::Begun => f.write_str("connections begun"),
        }
    }
}

impl Serialize for Measure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("measure", self.word())?;
        if let Self::End(reason) = self {
            map.serialize_entry("reason", reason.name())?;
        }
        if let Self::Left(state) | Self::Stay(state) | Self::StayTail(state) = self {
            map.serialize_entry("state", &state.to_string())?;
        }
        if let Self::Next(old, new) = self {
            map.serialize_entry("old_state", &old.to_string())?;
            map.serialize_entry("new_state", &new.to_string())?;
        }
        map.end()
    }
}
