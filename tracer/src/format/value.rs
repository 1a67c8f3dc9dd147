//! What a column holds, before a format writes it.

use std::net::IpAddr;

use tracer_common::event::COMM_LEN;

use crate::{
    tcp::{endpoint::Endpoint, reason::Reason, state::State},
    track::connection::Connection,
};

/// The type of a column's values in data formats, in the words of Apache Arrow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataType {
    /// Yes or no.
    Boolean,
    /// A whole number.
    UInt64,
    /// A number with a fraction, such as microseconds with nanoseconds behind the point.
    Float64,
    /// Text.
    Utf8,
    /// A time of day in nanoseconds, UTC.
    Timestamp,
    /// Names with numbers.
    Map,
}

/// A column's value, for each format to write in its own way.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// Not known, or not applicable.
    Null,
    /// A number.
    Uint(u64),
    /// Yes or no.
    Bool(bool),
    /// A word: ours, or one that the kernel has for something.
    Word(&'a str),
    /// A process's name, padded with zeros: any bytes.
    Name([u8; COMM_LEN]),
    /// An error without a name of ours.
    Errno(u16),
    /// A time of day, in nanoseconds since 1970 and since the tracer's start.
    Time(i64, i64),
    /// A duration in nanoseconds; data formats have microseconds.
    Duration(u64),
    /// A state.
    State(State),
    /// An address.
    Addr(IpAddr),
    /// The time spent in each state.
    Lived(&'a Connection),
    /// Address and port. As text.
    Endpoint(Endpoint),
    /// A duration in nanoseconds, and how far it may be off.
    DurationAbout(u64, u64),
    /// A duration in nanoseconds, or more.
    DurationAtLeast(u64),
    /// A state, and why it is the last one: people read it as one, data formats have two columns.
    Became(State, Option<Reason>),
    /// A state that has not been left for too long.
    Stuck(State),
    /// An RST: which way it went, and why it was sent.
    Reset(&'static str, Option<&'a str>),
}

impl Value<'_> {
    /// Whether a column of this type may have it.
    #[must_use]
    pub fn is_of(&self, data_type: DataType) -> bool {
        use DataType::{Boolean, Float64, Map, Timestamp, UInt64, Utf8};
        match self {
            Self::Null => true,
            Self::Uint(_) => data_type == UInt64,
            Self::Bool(_) => data_type == Boolean,
            Self::Time(..) => data_type == Timestamp,
            Self::Duration(_) | Self::DurationAbout(..) | Self::DurationAtLeast(_) => data_type == Float64,
            Self::Lived(_) => data_type == Map,
            Self::Word(_)
            | Self::Name(_)
            | Self::Errno(_)
            | Self::State(_)
            | Self::Addr(_)
            | Self::Endpoint(_)
            | Self::Became(..)
            | Self::Stuck(_)
            | Self::Reset(..) => data_type == Utf8,
        }
    }
}
