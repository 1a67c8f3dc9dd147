//! Merging the sockets that were found by looking: those older than the tracer, and those whose
//! events were lost.

use tracer_common::{Event, event::flag, state as number};

use crate::{
    facts::snapshot::Snapshot,
    tcp::endpoint::Tuple,
    track::{
        Tracker,
        connection::{Connection, Counters, FirstFin, Role},
        learn::first_fin_of,
        owner::{Evidence, Owner},
        table::cookie::CookieSet,
    },
};

/// The longest pause between two SYN-ACKs, of which events tell: `TCP_RTO_MAX`, and what timers are late.
const SYN_ACK_PAUSE_NS: u64 = 140_000_000_000;

impl Tracker {
    /// Merges the sockets that were found: those unknown so far, and the holders of others.
    pub fn merge_snapshot(&mut self, sockets: &[Event]) {
        // Listeners first: their children's part and owner follow from theirs.
        let (listeners, others): (Vec<_>, Vec<_>) =
            sockets.iter().partition(|event| event.new_state == number::LISTEN);
        for event in listeners.into_iter().chain(others) {
            self.merge_socket(event);
        }
    }

    fn merge_socket(&mut self, event: &Event) {
        let is_timewait = event.flags & flag::TIME_WAIT != 0;
        let known = self.table.get(event.cookie).copied();
        let has_ended = known.is_none() && self.ended.contains(event.cookie);
        if event.new_state == number::CLOSE || has_ended {
            return;
        }
        if known.is_some_and(|connection| connection.is_timewait) {
            // What becomes of it, samples tell.
            return;
        }
        let mut connection = known.unwrap_or_else(|| Connection::first_seen(event));
        let is_news =
            known.is_none() || (connection.state != event.new_state && connection.last_ns < event.time_ns);
        if is_news {
            connection.state = event.new_state;
            connection.set_found(event.time_ns);
            connection.last_ns = event.time_ns;
            connection.is_timewait = is_timewait;
            if is_timewait && self.follows_timewait {
                self.timewaits.add(&connection);
            }
        } else {
            // Still as it was known: if events were lost meanwhile, they were not of this one.
            connection.last_ns = connection.last_ns.max(event.time_ns);
        }
        if connection.role == Role::Unknown {
            connection.role = self.role_of(event);
        }
        if connection.first_fin == FirstFin::Nobody {
            connection.first_fin = first_fin_of(event.new_state);
        }
        if event.pid != 0 {
            let owner =
                Owner { comm: event.comm, pid: event.pid, tid: event.tid, evidence: Evidence::Snapshot };
            connection.owner.learn(owner);
        } else if !connection.owner.is_known() && connection.role == Role::Server && !is_timewait {
            let owner = self.listeners.owner_of(&connection.tuple);
            connection.owner = owner.map(Owner::inherited).unwrap_or_default();
        }
        if event.new_state == number::LISTEN {
            self.listeners.add(&connection);
        }
        if !is_timewait || self.follows_timewait {
            self.table.insert(connection);
        }
    }

    /// Takes over what the sockets that were found count by now. What is not known, or was heard of
    /// since, stays as it is.
    pub fn refresh(&mut self, sockets: &[Event]) {
        for event in sockets {
            if let Some(connection) = self.table.get_mut(event.cookie)
                && connection.last_ns <= event.time_ns
                && !connection.is_timewait
            {
                connection.counters = Counters::of(event);
                // A client's port was chosen after its beginning was told.
                if connection.tuple.local_port == 0 {
                    connection.tuple = Tuple::of(event);
                }
            }
        }
    }

    pub(super) fn role_of(&self, event: &Event) -> Role {
        match (event.old_state, event.new_state) {
            (_, number::LISTEN) => Role::Listener,
            (number::SYN_SENT, _) | (_, number::SYN_SENT) => Role::Client,
            _ if self.listeners.owner_of(&Tuple::of(event)).is_some() => Role::Server,
            _ => Role::Unknown,
        }
    }

    /// Removes the connections that are not in a snapshot: their end was lost. Gives how many.
    pub fn retire(&mut self, snapshot: &Snapshot) -> usize {
        let sockets = snapshot.sockets.iter().chain(&snapshot.holders);
        let found: CookieSet = sockets.map(|socket| socket.cookie).collect();
        let is_lost = |connection: &&Connection| {
            connection.last_ns < unheard_since(connection, snapshot.during_ns.0)
                && snapshot.covers(connection.tuple.netns)
                && !found.contains(&connection.cookie)
        };
        let lost: Vec<_> = self.table.iter().filter(is_lost).copied().collect();
        for connection in &lost {
            self.listeners.remove(connection);
            self.timewaits.remove(connection.cookie);
            self.forget(connection.cookie);
        }
        lost.len()
    }
}

/// What was not heard of since then, and is not in a snapshot that began at `from_ns`, is gone. Half-open
/// connections are in no snapshot.
fn unheard_since(connection: &Connection, from_ns: u64) -> u64 {
    if connection.state == number::NEW_SYN_RECV { from_ns.saturating_sub(SYN_ACK_PAUSE_NS) } else { from_ns }
}
