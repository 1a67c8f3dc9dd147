//! The values of columns, before a format writes them.

use std::{cmp::Reverse, net::IpAddr};

use tracer_common::event::{COMM_LEN, Holder};

use crate::{
    format::text,
    tcp::{device::Device, endpoint::Endpoint, reason::Reason, state::State},
    track::connection::Connection,
};

/// How many holders of a socket are shown.
pub const MOST_HOLDERS: usize = 32;

/// How many are in JSON, which no one reads at a glance. The column `holders` has the number of all.
pub const MOST_HOLDERS_IN_JSON: usize = 1024;

/// The type of a column in data formats, with the names of Apache Arrow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataType {
    /// True or false.
    Boolean,
    /// An integer.
    UInt64,
    /// A fractional number, such as microseconds with nanoseconds as decimals.
    Float64,
    /// Text.
    Utf8,
    /// A time of day in nanoseconds, UTC.
    Timestamp,
    /// A map from names to numbers.
    Map,
    /// A list of structures.
    List,
}

/// The value of a column. Each format writes it in its own way.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// Unknown or not applicable.
    Null,
    /// Not applicable, for which text has a word of its own: netstat's `0.0.0.0` where there is no gateway.
    NullAs(&'static str),
    /// A number.
    Uint(u64),
    /// True or false.
    Bool(bool),
    /// A fixed word, from the tracer or out of the kernel's types. It needs no escaping.
    Word(&'a str),
    /// Text from outside, escaped for terminals.
    Text(&'a str),
    /// A name, such as that of a process, padded with zeros. It may contain any bytes.
    Name([u8; COMM_LEN]),
    /// The name of a process that may not be the right one. Text puts a question mark behind it.
    DoubtfulName([u8; COMM_LEN]),
    /// A number in hex.
    Hex(u32),
    /// A network device.
    Device(Device),
    /// Processes that hold a socket. Text and CSV show the first [`MOST_HOLDERS`], JSON [`MOST_HOLDERS_IN_JSON`].
    Holders(&'a [Holder]),
    /// An error number without a known name.
    Errno(u16),
    /// A time of day: nanoseconds since 1970, and nanoseconds since the tracer's start.
    Time(i64, i64),
    /// A duration in nanoseconds; data formats write microseconds.
    Duration(u64),
    /// A state.
    State(State),
    /// An address.
    Addr(IpAddr),
    /// The time spent in each state.
    Lived(&'a Connection),
    /// Address and port, as text.
    Endpoint(Endpoint),
    /// Address and port, of which text shows the names that are known: of the host, and of the service.
    NamedEndpoint(Endpoint, Option<&'a str>, Option<&'a str>),
    /// A number with its escaped name, if that is known. Text shows the number if not.
    NameOf(u32, Option<&'a str>),
    /// A long identifier in hex, of which text shows the first twelve digits.
    Id(&'a str),
    /// A duration in nanoseconds, and its maximum error.
    DurationAbout(u64, u64),
    /// A lower bound of a duration, in nanoseconds.
    DurationAtLeast(u64),
    /// A state and, if it is the last one, the reason. Text shows them together, data formats in two columns.
    Became(State, Option<Reason>),
    /// The state of a stuck connection.
    Stuck(State),
    /// An RST: its direction, and the reason why it was sent.
    Reset(&'static str, Option<&'a str>),
}

/// The place of a value in a sorted list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ValueOrder {
    /// Numbers and times, the largest first.
    Number(Reverse<u64>),
    /// Text.
    Text(String),
    /// What is not known comes last.
    Last,
}

impl Value<'_> {
    /// Its place in a sorted list.
    #[must_use]
    pub fn sort_key(&self) -> ValueOrder {
        match self {
            Self::Null => ValueOrder::Last,
            Self::Uint(number) | Self::Duration(number) | Self::DurationAtLeast(number) => {
                ValueOrder::Number(Reverse(*number))
            }
            Self::Addr(addr) => ValueOrder::Text(sortable(*addr)),
            Self::Endpoint(endpoint) | Self::NamedEndpoint(endpoint, ..) => ValueOrder::Text(format!(
                "{}{:05}",
                sortable(endpoint.addr),
                endpoint.port.unwrap_or_default()
            )),
            other => ValueOrder::Text(text::cell(other)),
        }
    }

    /// Whether a column of this type may hold the value.
    #[must_use]
    pub fn is_of(&self, data_type: DataType) -> bool {
        use DataType::{Boolean, Float64, List, Map, Timestamp, UInt64, Utf8};
        match self {
            Self::Null | Self::NullAs(_) => true,
            Self::Uint(_) => data_type == UInt64,
            Self::Bool(_) => data_type == Boolean,
            Self::Time(..) => data_type == Timestamp,
            Self::Duration(_) | Self::DurationAbout(..) | Self::DurationAtLeast(_) => data_type == Float64,
            Self::Lived(_) => data_type == Map,
            Self::Holders(_) => data_type == List,
            Self::Word(_)
            | Self::Text(_)
            | Self::Name(_)
            | Self::DoubtfulName(_)
            | Self::Hex(_)
            | Self::Device(_)
            | Self::Errno(_)
            | Self::State(_)
            | Self::Addr(_)
            | Self::Endpoint(_)
            | Self::NamedEndpoint(..)
            | Self::NameOf(..)
            | Self::Id(_)
            | Self::Became(..)
            | Self::Stuck(_)
            | Self::Reset(..) => data_type == Utf8,
        }
    }
}

/// An address as digits that sort like it, those of IPv4 first.
fn sortable(addr: IpAddr) -> String {
    match addr {
        IpAddr::V4(addr) => format!("4{:08x}", addr.to_bits()),
        IpAddr::V6(addr) => format!("6{:032x}", addr.to_bits()),
    }
}
