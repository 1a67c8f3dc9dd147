//! The known history of one connection.

use crate::{
    tcp::{
        reason::Reason,
        state::{LIVED_STATES, State},
    },
    track::{Transition, connection::Connection},
};

/// The connection that the user has opened.
#[derive(Clone, Debug)]
pub struct Detail {
    /// Its latest known state.
    pub connection: Connection,
    /// How and when it ended for its processes, if it has ended.
    pub end: Option<(Reason, u64)>,
    /// When it was gone completely, in nanoseconds of the kernel's monotonic clock.
    pub gone_ns: Option<u64>,
    /// It no longer exists, but no event reported its end.
    pub has_vanished: bool,
}

/// A period of time in one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stay {
    /// The state.
    pub state: State,
    /// When it was entered, in nanoseconds of the kernel's monotonic clock; `None` if unknown.
    pub from_ns: Option<u64>,
    /// The duration in nanoseconds, up to now for the current state; `None` if unknown.
    pub duration_ns: Option<u64>,
    /// The connection is still in this state.
    pub goes_on: bool,
}

impl Detail {
    /// Opens this connection.
    #[must_use]
    pub fn new(connection: &Connection) -> Self {
        Self { connection: *connection, end: None, gone_ns: None, has_vanished: false }
    }

    /// Takes a transition, and ignores those of other connections.
    pub fn note(&mut self, transition: &Transition) {
        if transition.connection.cookie != self.connection.cookie {
            return;
        }
        self.connection = transition.connection;
        if let Some(reason) = transition.reason {
            self.end = Some((reason, transition.time_ns));
        }
        self.gone_ns = (transition.new_state == tracer_common::state::CLOSE).then_some(transition.time_ns);
    }

    /// Updates the connection, or marks it as vanished if it no longer exists.
    pub fn refresh(&mut self, connection: Option<&Connection>) {
        match connection {
            Some(connection) => self.connection = *connection,
            None => self.has_vanished = self.gone_ns.is_none(),
        }
    }

    /// Its stays, in order. After a stay of unknown duration, the start of each later completed stay is
    /// unknown, too.
    #[must_use]
    pub fn stays(&self, now_ns: u64) -> Vec<Stay> {
        let mut from_ns = self.connection.born_ns();
        let mut stays: Vec<Stay> = Vec::new();
        for (index, state) in LIVED_STATES.iter().enumerate() {
            let Some(duration_ns) = self.connection.stay_in(index) else {
                continue;
            };
            stays.push(Stay { state: State::from_kernel(*state), from_ns, duration_ns, goes_on: false });
            from_ns =
                from_ns.zip(duration_ns).map(|(from_ns, duration_ns)| from_ns.saturating_add(duration_ns));
        }
        if self.gone_ns.is_none() && !self.has_vanished {
            let since_ns = self.connection.since_ns();
            stays.push(Stay {
                state: State::from_kernel(self.connection.state),
                from_ns: since_ns,
                duration_ns: since_ns.map(|since_ns| now_ns.saturating_sub(since_ns)),
                goes_on: true,
            });
        }
        stays
    }
}
