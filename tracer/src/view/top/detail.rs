//! The story of one connection, as far as it goes.

use crate::{
    tcp::{
        reason::Reason,
        state::{LIVED_STATES, State},
    },
    track::{Transition, connection::Connection},
};

/// A connection that is looked at.
#[derive(Clone, Debug)]
pub struct Detail {
    /// As it was last heard of.
    pub connection: Connection,
    /// How and when it ended for its processes, if it has.
    pub end: Option<(Reason, u64)>,
    /// When it was gone altogether.
    pub gone_ns: Option<u64>,
    /// It is not there any more, and nobody said how it went.
    pub has_vanished: bool,
}

/// A stay in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stay {
    /// The state.
    pub state: State,
    /// When it was entered, in the kernel's time, if that is known.
    pub from_ns: Option<u64>,
    /// How long it lasted, if that is known; so far, for the one that goes on.
    pub duration_ns: Option<u64>,
    /// It goes on.
    pub goes_on: bool,
}

impl Detail {
    /// Looks at this one.
    #[must_use]
    pub fn new(connection: &Connection) -> Self {
        Self { connection: *connection, end: None, gone_ns: None, has_vanished: false }
    }

    /// What becomes of it, if the transition is its own.
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

    /// How it is now, if it is still there.
    pub fn refresh(&mut self, connection: Option<&Connection>) {
        match connection {
            Some(connection) => self.connection = *connection,
            None => self.has_vanished = self.gone_ns.is_none(),
        }
    }

    /// Its stays, in order. Where one is of unknown length, those after it that have ended began at
    /// a time that is not known either.
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
