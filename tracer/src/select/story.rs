//! Filters on facts from connection tracking: on connections (owner, user, cgroup), and on single lines
//! (state, transition, reason, time).

use tracer_common::state as number;
use wildmatch::WildMatch;

use crate::{
    facts::process_cgroups::SocketOwner,
    filter::Verdict,
    select::{cgroups::CgroupFilter, slow::Slow},
    tcp::{
        reason::Reason,
        reasons::Reasons,
        state::{self, State},
        states::States,
    },
    text::{
        choice::Choices,
        escape::{escaped, exact},
    },
    track::{
        Transition,
        connection::{Connection, Role},
        owner::Evidence,
    },
};

/// These filters. Different ones are ANDed, values of one are ORed, and those with `!` take away; an empty one lets
/// everything pass.
#[derive(Clone, Debug, Default)]
pub struct StoryFilter {
    /// Process ids of owners.
    pub pids: Choices<u32>,
    /// Patterns for names of owners (`comm`).
    pub comms: Choices<WildMatch>,
    /// User ids.
    pub uids: Choices<u32>,
    /// Cgroups, with all below them.
    pub cgroups: CgroupFilter,
    /// States that are entered or left.
    pub states: Choices<States>,
    /// Transitions: old state, new state.
    pub transitions: Vec<(States, States)>,
    /// Reasons for which connections end.
    pub reasons: Choices<Reasons>,
    /// Times in states; `None` for any.
    pub slow: Option<Slow>,
}

impl StoryFilter {
    /// Whether everything passes.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.pids.is_empty()
            && self.comms.is_empty()
            && self.uids.is_empty()
            && self.cgroups.is_open()
            && self.states.is_empty()
            && self.transitions.is_empty()
            && self.reasons.is_empty()
            && self.slow.is_none()
    }

    /// Whether a filter is on a fact that may change while a connection lives.
    #[must_use]
    pub fn depends_on_changing_facts(&self) -> bool {
        !(self.pids.is_empty() && self.comms.is_empty() && self.uids.is_empty() && self.cgroups.is_open())
    }

    /// Whether the connection passes. The owner can change while it lives, and `accept` changes its user. So a
    /// connection fails only at its end; until then it is undecided. It also is while something may become known that
    /// is taken away.
    #[must_use]
    pub fn judge_connection(&self, transition: &Transition) -> Verdict {
        let has_ended = transition.reason.is_some() || transition.new_state == number::CLOSE;
        let connection = &transition.connection;
        match (self.selects_owner(connection), has_ended) {
            (true, true) => Verdict::Pass,
            (true, false) if self.is_settled(connection) => Verdict::Pass,
            (false, true) => Verdict::Fail,
            (_, false) => Verdict::Undecided,
        }
    }

    /// Whether all is known of a connection that could take it away. A process that only owns its listener may not
    /// be the one that accepts it.
    #[must_use]
    pub fn is_settled(&self, connection: &Connection) -> bool {
        let has_owner = connection.owner.evidence > Evidence::Listener || connection.role == Role::Listener;
        let has_socket = !connection.is_bare();
        let by_owner = self.pids.excludes() || self.comms.excludes();
        (!by_owner || has_owner)
            && (!self.uids.excludes() || (has_owner && connection.known_uid().is_some()))
            && (!self.cgroups.excludes() || (has_socket && self.cgroups.knows(connection.socket_owner())))
    }

    /// Whether a state passes.
    #[must_use]
    pub fn selects_state(&self, state: u8) -> bool {
        self.states.selects(|states| states.contains(State::from_kernel(state)))
    }

    /// Whether a reason passes; `None` does not if there is a filter on reasons.
    #[must_use]
    pub fn selects_reason(&self, reason: Option<Reason>) -> bool {
        self.reasons.is_empty()
            || reason.is_some_and(|reason| self.reasons.selects(|reasons| reasons.contains(reason)))
    }

    /// Whether a connection's owner, user and cgroup pass, judged by what is known now.
    #[must_use]
    pub fn selects_owner(&self, connection: &Connection) -> bool {
        let owner = &connection.owner;
        let has_name = |pattern: &WildMatch| {
            // As JSON shows it, too: there different names stay different.
            let (name, exact) = (String::from_utf8_lossy(owner.comm()), exact(owner.comm()));
            pattern.matches(&name) || (exact != name && pattern.matches(&exact))
        };
        // Without a full socket, user and cgroup are not known.
        let is_full = !connection.is_bare();
        let owner_in_cgroup = if is_full { connection.socket_owner() } else { SocketOwner::UNKNOWN };
        self.uids.selects(|uid| connection.known_uid() == Some(*uid))
            && (self.cgroups.is_open() || self.cgroups.selects(owner_in_cgroup))
            && self.pids.selects(|pid| owner.is_known() && *pid == owner.pid)
            && self.comms.selects(|comm| owner.is_known() && has_name(comm))
    }

    /// Whether a transition's states, reason and times pass.
    #[must_use]
    pub fn selects_line(&self, transition: &Transition) -> bool {
        let (old, new) = (transition.old_state, transition.new_state);
        let is_one = |(from, to): &(States, States)| {
            from.contains(State::from_kernel(old)) && to.contains(State::from_kernel(new))
        };
        let is_selected = self.transitions.is_empty() || self.transitions.iter().any(is_one);
        let touches = |states: &States| {
            states.contains(State::from_kernel(old)) || states.contains(State::from_kernel(new))
        };
        self.states.selects(touches)
            && is_selected
            && self.selects_reason(transition.reason)
            && self.slow.as_ref().is_none_or(|slow| slow.selects(transition))
    }
}

/// Why a text is not a transition.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// One of the words is not a state.
    #[error(transparent)]
    State(#[from] state::Error),
    /// There is no colon between two words.
    #[error("`{0}` is not a transition: give two states, such as ESTABLISHED:CLOSE_WAIT")]
    Form(String),
}

/// Parses `OLD:NEW`.
pub fn parse_transition(text: &str) -> Result<(States, States), Error> {
    let (old, new) = text.split_once(':').ok_or_else(|| Error::Form(escaped(text.as_bytes())))?;
    Ok((old.parse()?, new.parse()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transitions_are_two_states() {
        let expected = (number::ESTABLISHED, number::CLOSE_WAIT);
        let expected = (State::from_kernel(expected.0).into(), State::from_kernel(expected.1).into());
        assert_eq!(parse_transition("ESTABLISHED:CLOSE_WAIT"), Ok(expected));
        assert_eq!(parse_transition("estab:close-wait"), Ok(expected));
        assert!(parse_transition("connected:CLOSE").is_ok());
        assert!(parse_transition("ESTABLISHED").is_err() && parse_transition("A:B").is_err());
    }
}
