//! Filtering of transitions before they reach the view.
//!
//! A filter may depend on a fact that is not known when a connection begins: a client's local port, or the
//! process that will accept it. Until that is known, the connection's first transitions are held back here.
//! So a filter never hides the beginning of a connection whose end it shows.
//!
//! # Layout
//! - [`Select`]: decides, and holds back undecided transitions
//! - [`story`]: filters on owner, user, cgroup, state, transition, reason; [`cgroups`]: the one on cgroups; [`slow`]:
//!   on time in states
//! - [`connections`]: all filters together, applied to a connection
//! - [`spec`]: the filters as the user asked for them
//!
//! # Example
//! Who accepts a connection is known only when it is accepted; until then its transitions are held back:
//! ```
//! use tracer::{
//!     filter::Filter,
//!     select::{Select, story::StoryFilter},
//!     text::choice::{Choice, Choices},
//!     track::Tracker,
//! };
//! use tracer_common::{Event, event::flag, state};
//! use zerocopy::FromZeros as _;
//!
//! let pids = Choices::from_iter([Choice::Of(7)]);
//! let mut select = Select::new(&Filter::default(), StoryFilter { pids, ..StoryFilter::default() });
//! let mut tracker = Tracker::new(false);
//!
//! let mut begin = Event::new_zeroed();
//! (begin.cookie, begin.old_state, begin.new_state) = (1, state::LISTEN, state::SYN_RECV);
//! let open = Event { old_state: state::SYN_RECV, new_state: state::ESTABLISHED, ..begin };
//! let mut close = Event { old_state: state::ESTABLISHED, new_state: state::FIN_WAIT1, ..begin };
//! // In a system call on the socket, the process is its owner.
//! (close.pid, close.flags) = (7, flag::OWNED);
//!
//! let mut shown = Vec::new();
//! for (event, expected) in [(begin, 0), (open, 0), (close, 3)] {
//!     tracker.event(&event, &mut |transition| select.pass(transition, &mut |t| shown.push(*t)));
//!     assert_eq!(shown.len(), expected);
//! }
//! ```

pub mod cgroups;
pub mod connections;
pub mod listed;
pub mod slow;
pub mod spec;
pub mod story;

use std::collections::VecDeque;

use tracer_common::{Event, event::kind, state};

use crate::{
    facts::names::Names,
    filter::{Filter, Matcher, Verdict},
    select::{connections::ConnectionFilter, story::StoryFilter},
    tcp::{endpoint::Tuple, netns::NetnsFilter},
    track::{
        Transition,
        connection::{Connection, Role},
        table::cookie::{CookieMap, CookieSet},
    },
};

/// The most undecided connections, and transitions of each. Transitions beyond that are dropped and counted:
/// see [`Select::given_up`].
const MAX_UNDECIDED: usize = 16_384;
const MAX_TRANSITIONS: usize = 8;

/// The most connections that are remembered to have passed. A connection whose end was lost is never removed.
const MAX_PASSED: usize = 1_000_000;

/// Decides which transitions are shown.
#[derive(Debug)]
pub struct Select {
    filter: ConnectionFilter,
    /// The namespaces that are asked for.
    netns: NetnsFilter,
    /// Those that are tracked, if others may be asked for while it runs.
    outer_netns: Option<NetnsFilter>,
    selects_namespaces: bool,
    is_open: bool,
    /// Connections that have passed. They are shown to their end, even if a fact changes.
    passed: CookieSet,
    /// Transitions that are held back, by connection.
    undecided: CookieMap<Vec<Transition>>,
    /// Undecided connections, the oldest first. Some have been decided since.
    arrivals: VecDeque<u64>,
    filtered: u64,
    given_up: u64,
    /// Where another filter may follow: what both let pass, which is tracked.
    tracked: Option<ConnectionFilter>,
}

impl Select {
    /// `constant`: filters on facts that never change. `story`: filters on facts from connection tracking.
    #[must_use]
    pub fn new(constant: &Filter, story: StoryFilter) -> Self {
        let filter = ConnectionFilter::new(constant, story);
        Self {
            is_open: filter.is_open(),
            selects_namespaces: constant.is_open_but_for_netns() && filter.story.is_open(),
            filter,
            netns: constant.netns.clone(),
            outer_netns: None,
            passed: CookieSet::default(),
            undecided: CookieMap::default(),
            arrivals: VecDeque::new(),
            filtered: 0,
            given_up: 0,
            tracked: None,
        }
    }

    /// Another filter may follow: all connections are tracked that `outer` lets pass.
    #[must_use]
    pub fn that_may_change(self, outer: &Filter) -> Self {
        let tracked = Some(ConnectionFilter::new(outer, StoryFilter::default()));
        let mut select = Self { tracked, outer_netns: Some(outer.netns.clone()), ..self };
        select.compare_with_outer();
        select
    }

    /// What is tracked is counted: it must be the namespaces that pass.
    fn compare_with_outer(&mut self) {
        self.selects_namespaces &= self.outer_netns.as_ref().is_none_or(|outer| *outer == self.netns);
    }

    /// Which connections are tracked.
    fn tracked(&self) -> Option<&Matcher> {
        self.tracked.as_ref().unwrap_or(&self.filter).matcher.as_ref()
    }

    /// Goes on with another filter, which also decides about transitions that are held back. What has passed so far
    /// was shown.
    pub fn change(&mut self, constant: &Filter, story: StoryFilter, show: &mut impl FnMut(&Transition)) {
        let (tracked, outer_netns) = (self.tracked.take(), self.outer_netns.take());
        let mut new = Self { outer_netns, tracked, ..Self::new(constant, story) };
        new.compare_with_outer();
        let Self { mut undecided, arrivals, filtered, given_up, .. } = std::mem::replace(self, new);
        (self.filtered, self.given_up) = (filtered, given_up);
        for cookie in arrivals {
            for transition in undecided.remove(&cookie).iter().flatten() {
                self.pass(transition, show);
            }
        }
    }

    /// Whether everything passes in the namespaces that pass, as the kernel counts.
    #[must_use]
    pub const fn selects_namespaces(&self) -> bool {
        self.selects_namespaces
    }

    /// Looks up what the filters need to know of a connection's cgroups.
    pub fn learn_cgroups(&mut self, connection: &Connection, names: &mut dyn Names) {
        let cgroups = &mut self.filter.story.cgroups;
        if !self.is_open && !cgroups.is_open() && !connection.is_bare() {
            cgroups.learn_of(connection.socket_owner(), names);
        }
    }

    /// Takes a transition, and passes on what is to be shown: it, after the transitions of its connection
    /// that were held back.
    pub fn pass(&mut self, transition: &Transition, show: &mut impl FnMut(&Transition)) {
        if self.is_open {
            return show(transition);
        }
        if !transition.is_transition() {
            // Incidents are never held back, and filters on states, transitions and reasons do not apply to
            // them.
            if self.holds(&transition.connection) {
                self.release(&transition.connection, show);
                // Not before the connection's beginning, which may be taken away.
                if !self.undecided.contains_key(&transition.connection.cookie) {
                    show(transition);
                }
            }
            return;
        }
        let cookie = transition.connection.cookie;
        let verdict = self.judge(transition);
        if verdict == Verdict::Undecided {
            return self.hold_back(transition);
        }
        let has_ended = transition.new_state == state::CLOSE
            || (transition.reason.is_some() && !transition.connection.is_timewait);
        if has_ended {
            self.passed.remove(&cookie);
        } else if verdict == Verdict::Pass {
            self.remember(cookie);
        }
        let beginning = if self.undecided.is_empty() { None } else { self.undecided.remove(&cookie) };
        for transition in beginning.iter().flatten().chain([transition]) {
            if verdict == Verdict::Pass && self.filter.story.selects_line(transition) {
                show(transition);
            } else if !transition.is_silent {
                self.filtered += 1;
            }
        }
    }

    /// Passes on the beginning of a connection, if it was held back and what is known by now selects it. It
    /// goes before lines about the connection that are no transitions.
    pub fn release(&mut self, connection: &Connection, show: &mut impl FnMut(&Transition)) {
        let is_decided = || self.filter.story.is_settled(connection) && self.holds(connection);
        if self.undecided.is_empty() || !is_decided() {
            return;
        }
        let Some(beginning) = self.undecided.remove(&connection.cookie) else {
            return;
        };
        self.remember(connection.cookie);
        for transition in &beginning {
            if self.filter.story.selects_line(transition) {
                show(transition);
            } else if !transition.is_silent {
                self.filtered += 1;
            }
        }
    }

    /// Remembers that a connection has passed, if it would not for ever.
    fn remember(&mut self, cookie: u64) {
        if self.filter.story.depends_on_changing_facts() && self.passed.len() < MAX_PASSED {
            self.passed.insert(cookie);
        }
    }

    /// Whether an event shows that its connection does not pass, now that its local port is known. Then the
    /// event and the transitions that were held back count as filtered.
    pub fn refuses(&mut self, event: &Event) -> bool {
        let refuses = event.old_state == state::SYN_SENT
            && event.kind == kind::TRANSITION
            && self.tracked().is_some_and(|matcher| refuses(matcher, event));
        if refuses {
            let beginning =
                self.undecided.remove(&event.cookie).map_or(0, |undecided| undecided.len() as u64);
            self.filtered += 1 + beginning;
        }
        refuses
    }

    /// Whether a socket of a snapshot is to be tracked: a connection that may pass, or a listener, because
    /// its connections inherit its owner.
    #[must_use]
    pub fn wants(&self, socket: &Event) -> bool {
        let is_listener = socket.new_state == state::LISTEN;
        is_listener || self.tracked().is_none_or(|matcher| !refuses(matcher, socket))
    }

    /// The namespaces that are asked for.
    #[must_use]
    pub fn netns(&self) -> &NetnsFilter {
        &self.netns
    }

    /// Whether a connection passes, judged by what is known now. Filters on states, transitions and reasons
    /// are not applied.
    #[must_use]
    pub fn holds(&self, connection: &Connection) -> bool {
        self.is_open || self.passed.contains(&connection.cookie) || self.filter.is_of(connection)
    }

    fn judge(&self, transition: &Transition) -> Verdict {
        if self.passed.contains(&transition.connection.cookie) {
            return Verdict::Pass;
        }
        let constant = self.filter.matcher.as_ref().map_or(Verdict::Pass, |matcher| {
            matcher.judge(&transition.connection.tuple, transition.connection.family, transition.flags)
        });
        // A listener has no later event that could decide, so its first verdict is final.
        let story = match self.filter.story.judge_connection(transition) {
            Verdict::Undecided if transition.connection.role == Role::Listener => Verdict::Fail,
            verdict => verdict,
        };
        match (constant, story) {
            (Verdict::Fail, _) | (_, Verdict::Fail) => Verdict::Fail,
            (Verdict::Pass, Verdict::Pass) => Verdict::Pass,
            _ => Verdict::Undecided,
        }
    }

    /// Holds a transition back. Drops the oldest undecided connections if there are too many.
    fn hold_back(&mut self, transition: &Transition) {
        let cookie = transition.connection.cookie;
        let undecided = self.undecided.entry(cookie).or_default();
        if transition.new_state == state::SYN_SENT {
            // The socket connects again. The end of its last connection was lost, so that one stays
            // undecided.
            self.filtered += undecided.drain(..).len() as u64;
        }
        if undecided.is_empty() {
            self.arrivals.push_back(cookie);
        }
        if undecided.len() < MAX_TRANSITIONS {
            undecided.push(*transition);
        } else {
            self.filtered += 1;
            self.given_up += 1;
        }
        if self.arrivals.len() > 2 * MAX_UNDECIDED {
            // Most of these have been decided long ago.
            self.arrivals.retain(|cookie| self.undecided.contains_key(cookie));
        }
        while self.undecided.len() > MAX_UNDECIDED
            && let Some(oldest) = self.arrivals.pop_front()
        {
            let dropped = self.undecided.remove(&oldest).map_or(0, |undecided| undecided.len() as u64);
            self.filtered += dropped;
            self.given_up += dropped;
        }
    }

    /// The connections whose beginnings are held back, the oldest first.
    #[must_use]
    pub fn undecided(&self) -> Vec<u64> {
        let are_undecided = |cookie: &&u64| self.undecided.contains_key(cookie);
        self.arrivals.iter().filter(are_undecided).copied().collect()
    }

    /// Whether there are any.
    #[must_use]
    pub fn has_undecided(&self) -> bool {
        !self.undecided.is_empty()
    }

    /// How many transitions were filtered. Those that are held back now are included.
    #[must_use]
    pub fn filtered(&self) -> u64 {
        self.filtered + self.undecided.values().map(|undecided| undecided.len() as u64).sum::<u64>()
    }

    /// How many of those were dropped undecided, because too many were held back.
    #[must_use]
    pub fn given_up(&self) -> u64 {
        self.given_up
    }
}

fn refuses(matcher: &Matcher, event: &Event) -> bool {
    matcher.judge(&Tuple::of(event), event.family, event.flags) == Verdict::Fail
}

#[cfg(test)]
mod tests {
    use tracer_common::event::flag;
    use zerocopy::FromZeros as _;

    use super::*;
    use crate::{
        text::choice::{Choice, Choices},
        track::Tracker,
    };

    /// What is shown of a server's connection after each event, without those of process 7. It is retransmitted before
    /// this process accepts it.
    fn shown_without_7(pid: u32) -> Vec<usize> {
        let pids = Choices::from_iter([Choice::Not(7)]);
        let mut select = Select::new(&Filter::default(), StoryFilter { pids, ..StoryFilter::default() });
        let mut tracker = Tracker::new(false);
        let mut begin = Event::new_zeroed();
        (begin.cookie, begin.old_state, begin.new_state) = (1, state::LISTEN, state::SYN_RECV);
        let open = Event { old_state: state::SYN_RECV, new_state: state::ESTABLISHED, ..begin };
        let (established, last) = (state::ESTABLISHED, state::FIN_WAIT1);
        let again = Event { kind: kind::RETRANSMIT, old_state: established, new_state: established, ..begin };
        let close = Event { old_state: established, new_state: last, pid, flags: flag::OWNED, ..begin };
        let end = Event { old_state: last, new_state: state::CLOSE, ..close };
        let mut shown = 0;
        let events = [begin, open, again, close, end];
        let count = |event: &Event| {
            tracker.event(event, &mut |transition| select.pass(transition, &mut |_| shown += 1));
            shown
        };
        events.iter().map(count).collect()
    }

    #[test]
    fn nothing_is_shown_while_its_owner_may_be_taken_away() {
        assert_eq!(shown_without_7(7), [0, 0, 0, 0, 0]);
        assert_eq!(shown_without_7(8), [0, 0, 0, 3, 4]);
    }
}
