//! The filter on the time spent in states (`--slow`).

use crate::{
    tcp::{limits::Limits, state::LIVED_STATES},
    track::Transition,
};

/// Selects lines by how long a connection was in a state. A time that is not known selects nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slow {
    /// Longer than this.
    pub limits: Limits,
    /// Whether each line is about a whole connection, as in `life`, and not only about the state that it leaves.
    pub whole: bool,
}

impl Slow {
    /// Whether the line of this transition passes.
    #[must_use]
    pub fn selects(&self, transition: &Transition) -> bool {
        let is_longer = |state, ns| self.limits.of(state).is_some_and(|limit_ns| ns > limit_ns);
        let is_slow_exit = transition.state_ns.is_some_and(|ns| is_longer(transition.old_state, ns));
        let connection = &transition.connection;
        let was_slow = |(index, state): (usize, &u8)| {
            connection.spent_ns(index).is_some_and(|spent_ns| is_longer(*state, spent_ns))
        };
        is_slow_exit || self.whole && LIVED_STATES.iter().enumerate().any(was_slow)
    }
}
