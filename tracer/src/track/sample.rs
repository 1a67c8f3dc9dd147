//! Following the connections that wait as timewait sockets, of which no event tells.

use std::collections::{HashMap, HashSet};

use tracer_common::{event::Waiting, state as number};

use crate::track::{
    Tracked, Tracker,
    connection::Connection,
    reason::{self, Reason},
    table::prefetch::ahead,
};

/// An answer to "which timewait sockets are there?".
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// When it was asked.
    pub from_ns: u64,
    /// Up to when events have been told: what it proves is told as of then, to keep lines in order.
    pub told_ns: u64,
    /// The sockets.
    pub sockets: Vec<Waiting>,
    /// The namespaces that were looked into.
    pub netns: HashSet<u32>,
    /// The namespaces that are not there any more, or cannot be entered.
    pub gone: HashSet<u32>,
    /// How long each namespace leaves an orphan in FIN_WAIT2 (`net.ipv4.tcp_fin_timeout`).
    pub fin_timeout_ns: HashMap<u32, u64>,
}

impl Tracker {
    /// Follows the connections in TIME_WAIT, and those that wait as orphans in FIN_WAIT2.
    pub fn sample(&mut self, sample: &Sample, out: &mut impl FnMut(&Tracked)) {
        let now_ns = sample.told_ns.max(sample.from_ns);
        for (cookie, confirmed_ns) in self.waiting.found(&sample.sockets, sample.from_ns) {
            // A look may meet a socket twice.
            let orphan = self.table.get(cookie).filter(|known| known.state == number::FIN_WAIT2);
            if let Some(connection) = orphan.copied() {
                self.turn_to_time_wait(&connection, now_ns, confirmed_ns, out);
            }
        }
        // Where hooks tell, what is not found may have been told of and not been read yet: only what two
        // looks have not found has been missed.
        let last_ns = std::mem::replace(&mut self.looked_ns, sample.from_ns);
        let missing_ns = if self.is_told_of_waiting { last_ns } else { sample.from_ns };
        let missing = self.waiting.missing(missing_ns, &sample.netns, &sample.gone);
        for (index, (cookie, confirmed_ns)) in missing.iter().copied().enumerate() {
            ahead(
                &missing,
                index,
                |(cookie, _)| self.table.prefetch_index(*cookie),
                |(cookie, _)| {
                    self.table.prefetch(*cookie);
                    self.ended.prefetch(*cookie);
                },
            );
            match self.table.get(cookie).copied() {
                None => self.waiting.remove(cookie),
                Some(connection) if sample.gone.contains(&connection.tuple.netns) => {
                    self.give_up(&connection, sample.told_ns, out);
                }
                Some(connection) => {
                    let timeout_ns = sample.fin_timeout_ns.get(&connection.tuple.netns).copied();
                    let reason = reason::waited_in_vain(&connection, now_ns, timeout_ns);
                    self.end_waiting(&connection, now_ns, confirmed_ns, reason, out);
                }
            }
        }
    }

    /// Its namespace is gone, or out of reach: nothing tells what becomes of it.
    fn give_up(&mut self, connection: &Connection, now_ns: u64, out: &mut impl FnMut(&Tracked)) {
        if connection.state == number::FIN_WAIT2 {
            let mut tracked = self.sampled(connection, number::FIN_WAIT2, now_ns, connection.last_ns);
            tracked.reason = Some(Reason::Unknown);
            tracked.is_silent = true;
            out(&tracked);
        }
        self.waiting.remove(connection.cookie);
        self.forget(connection.cookie);
    }

    pub(super) fn turn_to_time_wait(
        &mut self,
        connection: &Connection,
        now_ns: u64,
        confirmed_ns: u64,
        out: &mut impl FnMut(&Tracked),
    ) {
        let mut tracked = self.sampled(connection, number::TIME_WAIT, now_ns, confirmed_ns);
        tracked.reason = Some(reason::orderly(connection, number::FIN_WAIT2));
        tracked.connection.set_since(now_ns);
        tracked.connection.is_ended = true;
        self.table.insert(tracked.connection);
        self.waiting.turn(connection.cookie, now_ns, now_ns.saturating_sub(confirmed_ns));
        out(&tracked);
    }

    pub(super) fn end_waiting(
        &mut self,
        connection: &Connection,
        now_ns: u64,
        confirmed_ns: u64,
        reason: Option<Reason>,
        out: &mut impl FnMut(&Tracked),
    ) {
        let mut tracked = self.sampled(connection, number::CLOSE, now_ns, confirmed_ns);
        tracked.reason = reason;
        self.waiting.remove(connection.cookie);
        self.forget(connection.cookie);
        out(&tracked);
    }

    /// A transition that nobody reported: it happened between `confirmed_ns` and `now_ns`.
    fn sampled(&self, connection: &Connection, new_state: u8, now_ns: u64, confirmed_ns: u64) -> Tracked {
        let mut connection = *connection;
        let old_state = connection.state;
        self.forget_across_hole(&mut connection);
        let state_ns = connection.leave(now_ns);
        connection.state = new_state;
        connection.last_ns = now_ns;
        let event = connection.as_event(now_ns, old_state, new_state);
        let error_ns = now_ns.saturating_sub(confirmed_ns) + self.waiting.doubt_ns(connection.cookie);
        Tracked { state_ns, error_ns, ..Tracked::plain(event, connection) }
    }
}
