//! All filters together, on connections that are there.

use crate::{
    filter::{Filter, Matcher, Verdict},
    select::story::StoryFilter,
    tcp::reason::Reason,
    track::connection::Connection,
};

/// All filters that were asked for.
#[derive(Debug, Default)]
pub struct ConnectionFilter {
    /// Filters on constant facts; `None` if they let everything pass.
    pub matcher: Option<Matcher>,
    /// Filters on the story.
    pub story: StoryFilter,
}

impl ConnectionFilter {
    /// By these filters.
    #[must_use]
    pub fn new(filter: &Filter, story: StoryFilter) -> Self {
        Self { matcher: (!filter.is_open()).then(|| Matcher::new(filter)), story }
    }

    /// Whether everything passes.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.matcher.is_none() && self.story.is_open()
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

    /// Whether a connection passes, in whatever state it is.
    #[must_use]
    pub fn is_of(&self, connection: &Connection) -> bool {
        let matches =
            |matcher: &Matcher| matcher.judge(&connection.tuple, connection.family, 0) == Verdict::Pass;
        self.story.selects_owner(connection) && self.matcher.as_ref().is_none_or(matches)
    }
}
