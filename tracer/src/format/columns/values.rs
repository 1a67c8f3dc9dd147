//! Functions that return the values of columns.

use tracer_common::event::{flag, kind};

use crate::{
    facts::{
        known_names::KnownCgroup,
        listing::{ListedSocket, Protocol, UnixFacts},
    },
    format::{row::Row, value::Value},
    tcp::{
        endpoint::Endpoint,
        state::{LIVED_STATES, State},
    },
    track::{Transition, connection::Connection},
};

pub(super) fn time<'a>(row: &Row<'_>, monotonic_ns: u64) -> Value<'a> {
    Value::Time(row.context.clock.wall_ns(monotonic_ns), row.context.clock.since_start_ns(monotonic_ns))
}

pub(super) fn transition<'a>(
    row: &Row<'a>,
    value: impl FnOnce(&'a Transition) -> Option<Value<'a>>,
) -> Value<'a> {
    row.transition.and_then(value).unwrap_or(Value::Null)
}

pub(super) fn connection<'a>(
    row: &Row<'a>,
    value: impl FnOnce(&'a Connection) -> Option<Value<'a>>,
) -> Value<'a> {
    row.connection().and_then(value).unwrap_or(Value::Null)
}

/// A value of a socket that was found (`list`).
pub(super) fn found<'a>(
    row: &Row<'a>,
    value: impl FnOnce(&'a ListedSocket) -> Option<Value<'a>>,
) -> Value<'a> {
    row.socket().and_then(value).unwrap_or(Value::Null)
}

/// A value that only sockets of this host have.
pub(super) fn of_unix<'a>(
    row: &Row<'a>,
    value: impl FnOnce(&'a UnixFacts) -> Option<Value<'a>>,
) -> Value<'a> {
    found(row, |socket| socket.unix.as_deref().and_then(value))
}

/// A value of the cgroup in which the socket's owner runs.
pub(super) fn workload<'a>(
    row: &Row<'a>,
    value: impl FnOnce(&'a KnownCgroup) -> Option<Value<'a>>,
) -> Value<'a> {
    row.context.names.workload(row.owner()).and_then(value).unwrap_or(Value::Null)
}

/// The container's name, else its identifier.
pub(super) fn container<'a>(row: &Row<'a>) -> Value<'a> {
    workload(row, |known| {
        let name = known.names().container.as_deref().map(Value::Text);
        name.or_else(|| known.container_id().map(Value::Id))
    })
}

fn is_unix(row: &Row<'_>) -> bool {
    row.socket().is_some_and(|socket| socket.unix.is_some())
}

/// A value that sockets of this host do not have.
pub(super) fn inet<'a>(row: &Row<'a>, value: Value<'a>) -> Value<'a> {
    if is_unix(row) { Value::Null } else { value }
}

/// An end with the names that are known.
pub(super) fn endpoint<'a>(row: &Row<'a>, end: Endpoint) -> Value<'a> {
    let names = &row.context.end_names;
    let Some(socket) = row.socket() else {
        return Value::Endpoint(end);
    };
    let service = end.port.and_then(|port| names.service(socket.protocol, port));
    match (names.host(end.addr), service) {
        (None, None) => Value::Endpoint(end),
        (host, service) => Value::NamedEndpoint(end, host, service),
    }
}

pub(super) fn family<'a>(row: &Row<'a>) -> Value<'a> {
    inet(row, Value::Word(row.family.name()))
}

/// In `list` in netstat's words: UDP without a peer has no state, and those of unix sockets have names of their own.
pub(super) fn state<'a>(row: &Row<'a>) -> Value<'a> {
    let Some(socket) = row.socket() else {
        return Value::State(row.new);
    };
    match socket.protocol {
        Protocol::Udp if row.new == State::CLOSE => Value::Null,
        Protocol::Tcp | Protocol::Udp => Value::State(row.new),
        Protocol::Unix => match row.new {
            State::LISTEN => Value::Word("LISTENING"),
            State::ESTABLISHED => Value::Word("CONNECTED"),
            _ => Value::Null,
        },
    }
}

/// A number for which 0 means unknown.
pub(super) fn known<'a>(number: u64) -> Value<'a> {
    if number == 0 { Value::Null } else { Value::Uint(number) }
}

pub(super) fn port<'a>(port: Option<u16>) -> Value<'a> {
    port.map_or(Value::Null, |port| Value::Uint(u64::from(port)))
}

/// A counter that only a full socket with a peer has.
pub(super) fn connected<'a>(row: &Row<'_>, count: u64) -> Value<'a> {
    if row.socket().is_some_and(|socket| socket.info.is_none()) {
        return Value::Null;
    }
    if row.remote.is_none() || row.flags & flag::BARE != 0 { Value::Null } else { Value::Uint(count) }
}

/// A queue, which only a full socket has. In `list` others have empty ones, as in netstat.
pub(super) fn queue<'a>(row: &Row<'_>, length: u32) -> Value<'a> {
    let is_full = row.flags & (flag::TIME_WAIT | flag::BARE) == 0;
    let is_known = row.socket().map_or(is_full, |socket| socket.knows_queues);
    if is_known { Value::Uint(u64::from(length)) } else { Value::Null }
}

pub(super) fn sent(row: &Row<'_>) -> u64 {
    row.counters().sent(row.role(), row.old.number())
}

pub(super) fn duration<'a>(row: &Row<'a>) -> Value<'a> {
    transition(row, |transition| {
        if let (None, Some(stuck_ns)) = (transition.state_ns, transition.stuck_ns) {
            return Some(Value::DurationAtLeast(stuck_ns));
        }
        let duration_ns = transition.state_ns?;
        Some(match transition.error_ns {
            0 => Value::Duration(duration_ns),
            error_ns => Value::DurationAbout(duration_ns, error_ns),
        })
    })
}

/// How long a stuck connection has been in its state, at least.
pub(super) fn stuck<'a>(row: &Row<'a>) -> Value<'a> {
    transition(row, |transition| transition.stuck_ns.map(Value::Duration))
}

/// How long it has been in its state, at least.
fn time_in_state_ns(row: &Row<'_>, connection: &Connection) -> u64 {
    row.time_ns.saturating_sub(connection.in_state_from_ns())
}

pub(super) fn age<'a>(row: &Row<'a>) -> Value<'a> {
    if row.socket().is_some() {
        return found(row, |socket| {
            socket.in_state_ns.map(if socket.knows_age { Value::Duration } else { Value::DurationAtLeast })
        });
    }
    connection(row, |connection| {
        let age_ns = time_in_state_ns(row, connection);
        let is_known = connection.since_ns().is_some();
        Some(if is_known { Value::Duration(age_ns) } else { Value::DurationAtLeast(age_ns) })
    })
}

pub(super) fn age_at_least<'a>(row: &Row<'a>) -> Value<'a> {
    if row.socket().is_some() {
        return found(row, |socket| socket.in_state_ns.map(Value::Duration));
    }
    connection(row, |connection| Some(Value::Duration(time_in_state_ns(row, connection))))
}

pub(super) fn event<'a>(row: &Row<'_>) -> Value<'a> {
    let is_stuck = row.transition.is_some_and(|transition| transition.stuck_ns.is_some());
    Value::Word(match row.kind {
        kind::TRANSITION if is_stuck => "stuck",
        kind::TRANSITION => "transition",
        kind::RETRANSMIT => "retransmit",
        kind::RETRANSMIT_SYNACK => "retransmit-synack",
        kind if kind::is_reset(kind) => "reset",
        _ => return Value::Null,
    })
}

pub(super) fn became<'a>(row: &Row<'a>) -> Value<'a> {
    match row.kind {
        kind::TRANSITION => {}
        kind::RETRANSMIT => return Value::Word("retransmit"),
        kind::RETRANSMIT_SYNACK => return Value::Word("retransmit SYN-ACK"),
        kind::RESET_RECEIVED => return Value::Reset("reset received", None),
        kind::RESET_SENT => return Value::Reset("reset sent", row.reset_reasons.why(row.detail)),
        _ => return Value::Null,
    }
    match row.transition {
        Some(transition) if transition.stuck_ns.is_some() => Value::Stuck(row.new),
        transition => Value::Became(row.new, transition.and_then(|transition| transition.reason)),
    }
}

pub(super) fn spent<'a>(row: &Row<'a>, state: u8) -> Value<'a> {
    connection(row, |connection| {
        let index = LIVED_STATES.iter().position(|lived| *lived == state)?;
        connection.spent_ns(index).map(Value::Duration)
    })
}

/// A name that may be another's is marked.
pub(super) fn comm<'a>(row: &Row<'a>) -> Value<'a> {
    let Some(task) = row.task else {
        return Value::Null;
    };
    let is_doubtful = row.connection().is_some_and(Connection::has_doubtful_owner);
    if is_doubtful { Value::DoubtfulName(task.comm) } else { Value::Name(task.comm) }
}

/// How many processes hold it.
pub(super) fn holders<'a>(row: &Row<'a>) -> Value<'a> {
    if row.socket().is_some() {
        return found(row, |socket| socket.holders.as_ref().map(|holders| Value::Uint(holders.len() as u64)));
    }
    connection(row, |connection| connection.owner.holders().map(|count| Value::Uint(u64::from(count))))
}

pub(super) fn holder_list<'a>(row: &Row<'a>) -> Value<'a> {
    if row.socket().is_some() {
        return found(row, |socket| {
            socket.holders.as_deref().filter(|holders| !holders.is_empty()).map(Value::Holders)
        });
    }
    connection(row, |connection| {
        let count = connection.owner.holders()?;
        let list = row.context.holders.of(connection.cookie, connection.mptcp_token);
        // The last search may have come too late for this connection.
        (list.len() == usize::from(count)).then_some(Value::Holders(list))
    })
}

/// The time without data before the end, or so far, or how far it may be off.
pub(super) fn idle<'a>(row: &Row<'a>, which: impl FnOnce((u64, u64)) -> u64) -> Value<'a> {
    let idle = match row.transition {
        Some(transition) => transition.idle_ns,
        None => row.connection().and_then(|c| c.idle_ns(row.time_ns, row.context.tick_ns)),
    };
    idle.map_or(Value::Null, |idle| Value::Duration(which(idle)))
}

pub(super) fn lived<'a>(row: &Row<'a>) -> Value<'a> {
    connection(row, |connection| Some(Value::Lived(connection)))
}

pub(super) fn shutdown<'a>(bits: u8) -> Value<'a> {
    match bits {
        0 => Value::Null,
        1 => Value::Word("r"),
        2 => Value::Word("w"),
        _ => Value::Word("rw"),
    }
}

/// The names of errors that TCP reports on a socket. Other errors are shown by number.
pub(super) fn error<'a>(errno: u16) -> Value<'a> {
    Value::Word(match errno {
        0 => return Value::Null,
        1 => "EPERM",
        13 => "EACCES",
        32 => "EPIPE",
        71 => "EPROTO",
        92 => "ENOPROTOOPT",
        95 => "EOPNOTSUPP",
        100 => "ENETDOWN",
        101 => "ENETUNREACH",
        103 => "ECONNABORTED",
        104 => "ECONNRESET",
        110 => "ETIMEDOUT",
        111 => "ECONNREFUSED",
        112 => "EHOSTDOWN",
        113 => "EHOSTUNREACH",
        other => return Value::Errno(other),
    })
}
