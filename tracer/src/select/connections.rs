//! All filters together, applied to a connection rather than to a transition.

use crate::{
    filter::{Filter, Matcher, Verdict},
    select::story::StoryFilter,
    tcp::reason::Reason,
    track::connection::Connection,
};

/// All filters of a run.
#[derive(Debug, Default)]
pub struct ConnectionFilter {
    /// Filters on facts that never change; `None` if they let everything pass.
    pub matcher: Option<Matcher>,
    /// Filters on facts from connection tracking.
    pub story: StoryFilter,
}

impl ConnectionFilter {
    /// Combines these filters.
    #[must_use]
    pub fn new(filter: &Filter, story: StoryFilter) -> Self {
        Self { matcher: (!filter.is_open()).then(|| Matcher::new(filter)), story }
    }

    /// Whether every connection passes.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.matcher.is_none() && self.story.is_open()
    }

    /// Whether a connection passes, judged by its present state and what is known of it now.
    #[must_use]
    pub fn holds(&self, connection: &Connection) -> bool {
        self.story.selects_state(connection.state) && self.is_of(connection)
    }

    /// Whether a connection passes that has ended for this reason.
    #[must_use]
    pub fn holds_end(&self, connection: &Connection, reason: Reason) -> bool {
        self.story.selects_reason(Some(reason)) && self.is_of(connection)
    }

    /// Whether a connection passes, whatever its state.
    #[must_use]
    pub fn is_of(&self, connection: &Connection) -> bool {
        let matches =
            |matcher: &Matcher| matcher.judge(&connection.tuple, connection.family, 0) == Verdict::Pass;
        self.story.selects_owner(connection) && self.matcher.as_ref().is_none_or(matches)
    }
}
