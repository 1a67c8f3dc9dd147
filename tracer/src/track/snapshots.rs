//! Merging snapshots: they show sockets that are older than the tracer, and sockets whose events were lost.

use tracer_common::{Event, event::flag, state as number};

use crate::{
    facts::snapshot::Snapshot,
    track::{
        Tracker,
        connection::{Connection, FirstFin, Role},
        learn::{first_fin_of, role_of},
        owner::{Evidence, Owner},
        table::cookie::CookieSet,
    },
};

/// The longest time between two SYN-ACKs, each of which is an event: `TCP_RTO_MAX` (120 s), and a margin for
/// late timers.
const SYN_ACK_PAUSE_NS: u64 = 140_000_000_000;

impl Tracker {
    /// Merges sockets of a snapshot: adds unknown ones, and learns the owners of known ones.
    pub fn merge_snapshot(&mut self, sockets: &[Event]) {
        // Listeners first: role and owner of their connections follow from them.
        let (listeners, others): (Vec<_>, Vec<_>) =
            sockets.iter().partition(|event| event.new_state == number::LISTEN);
        for event in listeners.into_iter().chain(others) {
            self.merge_socket(event);
        }
    }

    fn merge_socket(&mut self, event: &Event) {
        let is_timewait = event.flags & flag::TIME_WAIT != 0;
        let known = self.table.get(event.cookie).copied();
        let has_ended = known.is_none() && self.recently_ended.contains(event.cookie);
        if event.new_state == number::CLOSE || has_ended {
            return;
        }
        if known.is_some_and(|connection| connection.is_timewait) {
            // Only samples of timewait sockets change it.
            return;
        }
        let mut connection = known.unwrap_or_else(|| Connection::first_seen(event));
        let has_changed =
            known.is_none() || (connection.state != event.new_state && connection.last_ns < event.time_ns);
        if has_changed {
            connection.state = event.new_state;
            let in_state_ns = u64::from(event.in_state_at_least_ms()) * 1_000_000;
            connection.set_at_least_since(event.time_ns.saturating_sub(in_state_ns));
            connection.last_ns = event.time_ns;
            connection.is_timewait = is_timewait;
            if is_timewait && self.follows_timewait {
                self.timewaits.add(&connection);
            }
        } else {
            // Its state is the known one, so events that were lost in between were not its own.
            connection.last_ns = connection.last_ns.max(event.time_ns);
        }
        if has_changed {
            self.tally.found(event);
        }
        if connection.last_ns <= event.time_ns {
            connection.note_found(event);
            connection.note_idle_so_far(event, self.tick_ns);
        }
        if connection.role == Role::Unknown {
            connection.role = role_of(event);
        }
        if connection.first_fin == FirstFin::Nobody {
            connection.first_fin = first_fin_of(event.new_state);
        }
        if event.pid != 0 {
            connection.owner.learn(Owner::of(event, Evidence::Snapshot));
        } else if !connection.owner.is_known() && connection.role == Role::Server && !is_timewait {
            self.inherit_owner(event, &mut connection);
        }
        if event.new_state == number::LISTEN {
            self.listeners.add(&connection);
        }
        if !is_timewait || self.follows_timewait {
            self.table.insert(connection);
        }
    }

    /// Updates the counters of full sockets. Skips sockets that are unknown, or that had an event since.
    pub fn refresh(&mut self, sockets: &[Event], is_part: bool) {
        for event in sockets {
            // Listeners are read more often.
            if !is_part && event.new_state != number::LISTEN {
                self.refreshed_ns = event.time_ns.max(self.refreshed_ns);
            }
            if let Some(connection) = self.table.get_mut(event.cookie)
                && connection.last_ns <= event.time_ns
                && !connection.is_timewait
            {
                connection.refresh(event);
                connection.note_idle_so_far(event, self.tick_ns);
                if event.new_state == number::LISTEN {
                    self.listeners.note_read(connection, event.time_ns);
                }
            }
        }
    }

    /// When the accept queue of a listener was last read, in nanoseconds of the kernel's monotonic clock.
    #[must_use]
    pub fn queue_read_ns(&self, listener: &Connection) -> u64 {
        self.listeners.read_ns(listener)
    }

    /// Removes the connections that a snapshot does not contain: their end was lost. Returns how many.
    pub fn retire(&mut self, snapshot: &Snapshot) -> usize {
        let sockets = snapshot.sockets.iter().chain(&snapshot.holders);
        let found: CookieSet = sockets.map(|socket| socket.cookie).collect();
        let is_lost = |connection: &&Connection| {
            connection.last_ns < unheard_limit_ns(connection, snapshot.during_ns.0)
                && snapshot.covers(connection.tuple.netns)
                && !found.contains(&connection.cookie)
        };
        let lost: Vec<_> = self.table.iter().filter(is_lost).copied().collect();
        for connection in &lost {
            self.listeners.remove(connection);
            self.timewaits.remove(connection.cookie);
            self.tally.forget(connection.cookie);
            self.end(connection.cookie);
        }
        lost.len()
    }
}

/// A connection whose last event is older than this, and that is not in a snapshot which began at `from_ns`,
/// has ended. Half-open connections are in no snapshot: they have ended when no more SYN-ACK can come.
fn unheard_limit_ns(connection: &Connection, from_ns: u64) -> u64 {
    if connection.state == number::NEW_SYN_RECV { from_ns.saturating_sub(SYN_ACK_PAUSE_NS) } else { from_ns }
}
