//! Filters on facts from connection tracking: on connections (owner, user, cgroup), and on single lines
//! (state, transition, reason).

use std::collections::HashSet;

use tracer_common::state as number;
use wildmatch::WildMatch;

use crate::{
    filter::Verdict,
    tcp::{
        reason::Reason,
        reasons::Reasons,
        state::{self, State},
        states::States,
    },
    text::escape::{escaped, exact},
    track::{Transition, connection::Connection},
};

/// These filters. Different ones are ANDed, values of one are ORed; an empty one lets everything pass.
#[derive(Clone, Debug, Default)]
pub struct StoryFilter {
    /// Process ids of owners.
    pub pids: HashSet<u32>,
    /// Patterns for names of owners (`comm`).
    pub comms: Vec<WildMatch>,
    /// User ids.
    pub uids: HashSet<u32>,
    /// Ids of cgroups, including all below the given ones.
    pub cgroups: HashSet<u64>,
    /// States that are entered or left.
    pub states: Vec<States>,
    /// Transitions: old state, new state.
    pub transitions: Vec<(States, States)>,
    /// Reasons for which connections end.
    pub reasons: Vec<Reasons>,
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

    /// Whether a filter is on a fact that may change while a connection lives.
    #[must_use]
    pub fn depends_on_changing_facts(&self) -> bool {
        !(self.pids.is_empty() && self.comms.is_empty() && self.uids.is_empty() && self.cgroups.is_empty())
    }

    /// Whether the connection passes. The owner can change while it lives, and `accept` changes its user. So a
    /// connection fails only at its end; until then it is undecided.
    #[must_use]
    pub fn judge_connection(&self, transition: &Transition) -> Verdict {
        let has_ended = transition.reason.is_some() || transition.new_state == number::CLOSE;
        match (self.selects_owner(&transition.connection), has_ended) {
            (true, _) => Verdict::Pass,
            (false, true) => Verdict::Fail,
            (false, false) => Verdict::Undecided,
        }
    }

    /// Whether a state passes.
    #[must_use]
    pub fn selects_state(&self, state: u8) -> bool {
        let state = State::from_kernel(state);
        self.states.is_empty() || self.states.iter().any(|states| states.contains(state))
    }

    /// Whether a reason passes; `None` does not if there is a filter on reasons.
    #[must_use]
    pub fn selects_reason(&self, reason: Option<Reason>) -> bool {
        self.reasons.is_empty() || reason.is_some_and(|reason| self.reasons.iter().any(|reasons| reasons.contains(reason)))
    }

    /// Whether a connection's owner, user and cgroup pass, judged by what is known now.
    #[must_use]
    pub fn selects_owner(&self, connection: &Connection) -> bool {
        let owner = &connection.owner;
        let matches_any = |comms: &[WildMatch]| {
            // As JSON shows it, too: there different names stay different.
            let (name, exact) = (String::from_utf8_lossy(owner.comm()), exact(owner.comm()));
            let matches =
                |pattern: &WildMatch| pattern.matches(&name) || (exact != name && pattern.matches(&exact));
            comms.iter().any(matches)
        };
        // Without a full socket, user and cgroup are not known.
        let is_known = !connection.is_bare();
        (self.uids.is_empty() || is_known && self.uids.contains(&connection.uid))
            && (self.cgroups.is_empty() || is_known && self.cgroups.contains(&connection.cgroup))
            && (self.pids.is_empty() || (owner.is_known() && self.pids.contains(&owner.pid)))
            && (self.comms.is_empty() || (owner.is_known() && matches_any(&self.comms)))
    }

    /// Whether a transition's states and reason pass.
    #[must_use]
    pub fn selects_line(&self, transition: &Transition) -> bool {
        let (old, new) = (transition.old_state, transition.new_state);
        let is_one = |(from, to): &(States, States)| {
            from.contains(State::from_kernel(old)) && to.contains(State::from_kernel(new))
        };
        let is_selected = self.transitions.is_empty() || self.transitions.iter().any(is_one);
        (self.selects_state(old) || self.selects_state(new))
            && is_selected
            && self.selects_reason(transition.reason)
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
