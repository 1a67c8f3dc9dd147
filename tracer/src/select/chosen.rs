//! All filters together, on connections that are there.

use crate::{
    filter::{Filter, Judge, Verdict},
    select::story::StoryFilter,
    track::{connection::Connection, reason::Reason},
};

/// What was asked for.
#[derive(Debug, Default)]
pub struct Chosen {
    /// Filters on constant facts; none if they are open.
    pub judge: Option<Judge>,
    /// Filters on the story.
    pub story: StoryFilter,
}

impl Chosen {
    /// By these filters.
    #[must_use]
    pub fn new(filter: &Filter, story: StoryFilter) -> Self {
        Self { judge: (!filter.is_open()).then(|| Judge::new(filter)), story }
    }

    /// Whether everything passes.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.judge.is_none() && self.story.is_open()
    }

    /// Whether a connection passes, by what is known of it now and the state it is in.
    #[must_use]
    pub fn holds(&self, connection: &Connection) -> bool {
        self.story.selects_state(connection.state) && self.is_of(connection)
    }

    /// Whether a connection's end passes.
    #[must_use]
    pub fn holds_end(&self, connection: &Connection, reason: Reason) -> bool {
        self.story.selects_reason(Some(reason)) && self.is_of(connection)
    }

    /// Whether it is one of those asked for, in whatever state.
    #[must_use]
    pub fn is_of(&self, connection: &Connection) -> bool {
        let constant = |judge: &Judge| {
            let state = connection.state;
            judge.judge(&connection.as_event(connection.last_ns, state, state)) == Verdict::Pass
        };
        self.story.selects_owner(connection) && self.judge.as_ref().is_none_or(constant)
    }
}
