//! The filters on what only the story tells: owner, user, cgroup; and those that choose lines:
//! state, transition, reason.

use std::collections::HashSet;

use tracer_common::state as number;
use wildmatch::WildMatch;

use crate::{
    filter::Verdict,
    tcp::{
        reason::Reason,
        state::{self, State},
    },
    text::escape::escaped,
    track::{Transition, connection::Connection},
};

/// All of them. Different ones are ANDed, values of one are ORed; none asks for nothing.
#[derive(Clone, Debug, Default)]
pub struct StoryFilter {
    /// Processes.
    pub pids: HashSet<u32>,
    /// Patterns of their names.
    pub comms: Vec<WildMatch>,
    /// Users.
    pub uids: HashSet<u32>,
    /// Cgroups, each with those below it.
    pub cgroups: HashSet<u64>,
    /// States entered or left.
    pub states: Vec<State>,
    /// Transitions.
    pub transitions: Vec<(State, State)>,
    /// Reasons.
    pub reasons: Vec<Reason>,
}

impl StoryFilter {
    /// Whether everything passes.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.pids.is_empty()
            && self.comms.is_empty()
            && self.uids.is_empty()
            && self.cgroups.is_empty()
            && self.states.is_empty()
            && self.transitions.is_empty()
            && self.reasons.is_empty()
    }

    /// Whether it asks for anything that may change while a connection lives.
    #[must_use]
    pub fn may_change_its_mind(&self) -> bool {
        !(self.pids.is_empty() && self.comms.is_empty() && self.uids.is_empty() && self.cgroups.is_empty())
    }

    /// Whether the connection passes. All that is asked for here may change while it lives: who
    /// works on a socket, and with `accept` even its user and its cgroup. So only the end decides
    /// against it.
    #[must_use]
    pub fn judge_connection(&self, transition: &Transition) -> Verdict {
        let is_over = transition.reason.is_some() || transition.new_state == number::CLOSE;
        match (self.selects_owner(&transition.connection), is_over) {
            (true, _) => Verdict::Pass,
            (false, true) => Verdict::Fail,
            (false, false) => Verdict::Undecided,
        }
    }

    /// Whether a state is one of those asked for.
    #[must_use]
    pub fn selects_state(&self, state: u8) -> bool {
        self.states.is_empty() || self.states.contains(&State::from_kernel(state))
    }

    /// Whether an end is for one of the reasons asked for.
    #[must_use]
    pub fn selects_reason(&self, reason: Option<Reason>) -> bool {
        self.reasons.is_empty() || reason.is_some_and(|reason| self.reasons.contains(&reason))
    }

    /// Whether a connection is of an owner, user and cgroup that are asked for, by what is known now.
    #[must_use]
    pub fn selects_owner(&self, connection: &Connection) -> bool {
        let owner = &connection.owner;
        let is_of = |comms: &[WildMatch]| {
            let name = String::from_utf8_lossy(owner.comm());
            comms.iter().any(|pattern| pattern.matches(&name))
        };
        // Without a socket nobody knows whose it is.
        let is_known = !connection.is_bare();
        (self.uids.is_empty() || is_known && self.uids.contains(&connection.uid))
            && (self.cgroups.is_empty() || is_known && self.cgroups.contains(&connection.cgroup))
            && (self.pids.is_empty() || (owner.is_known() && self.pids.contains(&owner.pid)))
            && (self.comms.is_empty() || (owner.is_known() && is_of(&self.comms)))
    }

    /// Whether the line passes.
    #[must_use]
    pub fn selects_line(&self, transition: &Transition) -> bool {
        let (old, new) = (transition.old_state, transition.new_state);
        let states = (State::from_kernel(old), State::from_kernel(new));
        let is_asked_for = self.transitions.is_empty() || self.transitions.contains(&states);
        (self.selects_state(old) || self.selects_state(new))
            && is_asked_for
            && self.selects_reason(transition.reason)
    }
}

/// Two states that are no transition.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// One of them is no state.
    #[error(transparent)]
    State(#[from] state::Error),
    /// There are not two.
    #[error("`{0}` is not a transition: give two states, such as ESTABLISHED:CLOSE_WAIT")]
    Form(String),
}

/// Parses `OLD:NEW`.
pub fn parse_transition(text: &str) -> Result<(State, State), Error> {
    let (old, new) = text.split_once(':').ok_or_else(|| Error::Form(escaped(text.as_bytes())))?;
    Ok((old.parse()?, new.parse()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transitions_are_two_states() {
        let expected = (State::from_kernel(number::ESTABLISHED), State::from_kernel(number::CLOSE_WAIT));
        assert_eq!(parse_transition("ESTABLISHED:CLOSE_WAIT"), Ok(expected));
        assert!(parse_transition("ESTABLISHED").is_err() && parse_transition("A:B").is_err());
    }
}
