//! Connections in the tables of a report.

use serde::Serialize;

use crate::{
    aggregate::{growing::CLOSED_BY, largest::Largest},
    facts::{context::Context, known_names::KnownCgroup},
    tcp::{endpoint::Endpoint, reason::Reason, state::LIVED_STATES},
    text::escape::{escaped, name},
    track::{Transition, connection::Connection, owner::Evidence},
    view::report::counts::first,
};

/// A connection that a table keeps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    connection: Connection,
    /// When it was so, in nanoseconds.
    at_ns: u64,
    /// The state that it is about.
    state: u8,
    end: Option<(Reason, usize)>,
    is_open: bool,
}

impl Kept {
    /// After it has left a state.
    pub(super) fn after(transition: &Transition) -> Self {
        Self {
            connection: transition.connection,
            at_ns: transition.time_ns,
            state: transition.old_state,
            end: transition.reason.map(|reason| (reason, first(transition))),
            is_open: false,
        }
    }

    /// At its end.
    pub(super) fn at_end(transition: &Transition) -> Self {
        Self { state: transition.new_state, ..Self::after(transition) }
    }

    /// As it is at the end of the recording.
    pub(super) fn open(connection: &Connection, now_ns: u64) -> Self {
        Self { connection: *connection, at_ns: now_ns, state: connection.state, end: None, is_open: true }
    }
}

/// A row. Times are in microseconds, from the beginning of the report on.
#[derive(Debug, Serialize)]
pub(super) struct ConnectionRow {
    /// What it is ranked by.
    value: f64,
    role: Option<&'static str>,
    comm: Option<String>,
    pid: Option<u32>,
    /// The owner is only inherited.
    guess: bool,
    local: String,
    remote: String,
    /// The container, or the unit of systemd.
    unit: Option<String>,
    cookie: u64,
    /// When it began; when it was first seen, if it is older.
    start: f64,
    older: bool,
    /// When it ended; when it was left, if it is about a state.
    end: f64,
    open: bool,
    state: u8,
    reason: Option<usize>,
    by: Option<usize>,
    handshake: Option<u32>,
    tx: u64,
    rx: u64,
    srtt: u32,
    retransmits: u32,
    /// Time in each state in order; `None` if it is not known.
    life: Vec<(u8, Option<f64>)>,
}

/// Nanoseconds since `begin_ns` as microseconds.
#[allow(clippy::cast_precision_loss)]
pub(super) fn micros(ns: u64, begin_ns: u64) -> f64 {
    let since = ns.cast_signed().wrapping_sub(begin_ns.cast_signed());
    (since as f64 / 100.0).round() / 10.0
}

/// The rows of a table, the largest first.
pub(super) fn rows(table: &Largest<Kept>, begin_ns: u64, context: &Context) -> Vec<ConnectionRow> {
    let rows = table.sorted().into_iter().filter(|(value_ns, _)| *value_ns > 0);
    rows.map(|(value_ns, kept)| ConnectionRow::new(value_ns, kept, begin_ns, context)).collect()
}

impl ConnectionRow {
    fn new(value_ns: u64, kept: &Kept, begin_ns: u64, context: &Context) -> Self {
        let Kept { connection, at_ns, state, end, is_open } = kept;
        let Connection { tuple, owner, counters, .. } = connection;
        let endpoint = |addr, port| Endpoint::of(addr, port).to_string();
        let handshake_us = connection.handshake_us();
        Self {
            value: micros(value_ns, 0),
            role: connection.role.name(),
            comm: owner.is_known().then(|| escaped(name(&owner.comm))),
            pid: owner.is_known().then_some(owner.pid),
            guess: owner.evidence == Evidence::Listener,
            local: endpoint(tuple.local_addr, tuple.local_port),
            remote: endpoint(tuple.remote_addr, tuple.remote_port),
            unit: context.names.workload(connection.socket_owner()).and_then(workload),
            cookie: connection.cookie,
            start: micros(connection.born_ns().unwrap_or(connection.seen_ns()), begin_ns),
            older: connection.born_ns().is_none(),
            end: micros(*at_ns, begin_ns),
            open: *is_open,
            state: *state,
            reason: end.map(|(reason, _)| reason as usize),
            by: end.map(|(_, by)| by).filter(|by| *by + 1 < CLOSED_BY.len()),
            handshake: (handshake_us > 0).then_some(handshake_us),
            tx: counters.sent(connection.role, connection.state),
            rx: counters.received,
            srtt: counters.srtt_us,
            retransmits: counters.retransmits,
            life: life(kept),
        }
    }
}

fn workload(known: &KnownCgroup) -> Option<String> {
    known.container_names().container.or_else(|| known.unit().map(str::to_owned))
}

/// The states in the order in which it went through them.
fn life(Kept { connection, at_ns, is_open, .. }: &Kept) -> Vec<(u8, Option<f64>)> {
    let micros = |ns: u64| micros(ns, 0);
    let left = LIVED_STATES.iter().enumerate();
    let mut life: Vec<_> =
        left.filter_map(|(index, state)| Some((*state, connection.stay_in(index)?.map(micros)))).collect();
    if *is_open {
        let since = connection.since_ns().map(|since_ns| micros(at_ns.saturating_sub(since_ns)));
        life.push((connection.state, since));
    }
    life
}
