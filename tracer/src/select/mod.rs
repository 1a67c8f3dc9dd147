//! The filters that need the story: what is let through to the view.
//!
//! A filter may depend on what is not known at a connection's beginning: a client's local port, or which
//! process will accept it. The first transitions are kept here until it is known, so that a filter never
//! hides the beginning of a connection whose end it shows.
//!
//! # Layout
//! - [`Select`]: decides, and keeps what is undecided
//! - [`story`]: the filters on owner, user, cgroup, state, transition, reason
//! - [`connections`]: all filters together, on a connection

pub mod connections;
pub mod story;

use std::collections::VecDeque;

use tracer_common::{Event, event::kind, state};

use crate::{
    filter::{Filter, Matcher, Verdict},
    select::{connections::ConnectionFilter, story::StoryFilter},
    tcp::endpoint::Tuple,
    track::{
        Transition,
        connection::{Connection, Role},
        table::cookie::{CookieMap, CookieSet},
    },
};

/// Connections whose beginnings may wait, and how many transitions of each. What is over is
/// counted as filtered, and said.
const CONNECTIONS: usize = 16_384;
const TRANSITIONS: usize = 8;

/// Connections that are remembered to have passed. Those whose end was lost stay here.
const PASSED: usize = 1_000_000;

/// Decides what is shown.
#[derive(Debug)]
pub struct Select {
    filter: ConnectionFilter,
    is_open: bool,
    /// Connections that have passed: what is shown from the beginning is shown to the end.
    passed: CookieSet,
    undecided: CookieMap<Vec<Transition>>,
    arrivals: VecDeque<u64>,
    filtered: u64,
    given_up: u64,
}

impl Select {
    /// With these filters.
    #[must_use]
    pub fn new(constant: &Filter, story: StoryFilter) -> Self {
        let filter = ConnectionFilter::new(constant, story);
        Self {
            is_open: filter.is_open(),
            filter,
            passed: CookieSet::default(),
            undecided: CookieMap::default(),
            arrivals: VecDeque::new(),
            filtered: 0,
            given_up: 0,
        }
    }

    /// Hands on what is to be shown now that `transition` is known: perhaps with its connection's
    /// beginning.
    pub fn pass(&mut self, transition: &Transition, show: &mut impl FnMut(&Transition)) {
        if self.is_open {
            return show(transition);
        }
        if !transition.is_transition() {
            // It waits for nothing: filters on lines choose transitions, and not this.
            if self.holds(&transition.connection) {
                show(transition);
            }
            return;
        }
        let cookie = transition.connection.cookie;
        let verdict = self.judge(transition);
        if verdict == Verdict::Undecided {
            return self.keep(transition);
        }
        let is_over = transition.new_state == state::CLOSE
            || (transition.reason.is_some() && !transition.connection.is_timewait);
        if is_over {
            self.passed.remove(&cookie);
        } else if verdict == Verdict::Pass
            && self.filter.story.may_change_its_mind()
            && self.passed.len() < PASSED
        {
            self.passed.insert(cookie);
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

    /// An event of a connection that turns out to be none of those asked for, once its port is
    /// known. It and the connection's beginning are filtered.
    pub fn refuses(&mut self, event: &Event) -> bool {
        let refuses = event.old_state == state::SYN_SENT
            && event.kind == kind::TRANSITION
            && self.filter.matcher.as_ref().is_some_and(|matcher| refuses(matcher, event));
        if refuses {
            let beginning =
                self.undecided.remove(&event.cookie).map_or(0, |undecided| undecided.len() as u64);
            self.filtered += 1 + beginning;
        }
        refuses
    }

    /// Whether a socket that was found is of interest: as a connection that may be shown, or as a
    /// listener, whose owner is its connections' first.
    #[must_use]
    pub fn wants(&self, socket: &Event) -> bool {
        let is_listener = socket.new_state == state::LISTEN;
        is_listener || self.filter.matcher.as_ref().is_none_or(|matcher| !refuses(matcher, socket))
    }

    /// Whether a connection that is there is one of those asked for, as far as is known by now. Filters
    /// that choose transitions do not choose connections.
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
        // A listener is nobody's until it listens, and never changes hands unseen.
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

    fn keep(&mut self, transition: &Transition) {
        let cookie = transition.connection.cookie;
        let undecided = self.undecided.entry(cookie).or_default();
        if transition.new_state == state::SYN_SENT {
            // The socket begins anew, and nobody told how it ended before: nobody will.
            self.filtered += undecided.drain(..).len() as u64;
        }
        if undecided.is_empty() {
            self.arrivals.push_back(cookie);
        }
        if undecided.len() < TRANSITIONS {
            undecided.push(*transition);
        } else {
            self.filtered += 1;
            self.given_up += 1;
        }
        if self.arrivals.len() > 2 * CONNECTIONS {
            // Most of them have been decided long since.
            self.arrivals.retain(|cookie| self.undecided.contains_key(cookie));
        }
        while self.undecided.len() > CONNECTIONS
            && let Some(oldest) = self.arrivals.pop_front()
        {
            let forgotten = self.undecided.remove(&oldest).map_or(0, |undecided| undecided.len() as u64);
            self.filtered += forgotten;
            self.given_up += forgotten;
        }
    }

    /// Transitions kept back, those that still wait included.
    #[must_use]
    pub fn filtered(&self) -> u64 {
        self.filtered + self.undecided.values().map(|undecided| undecided.len() as u64).sum::<u64>()
    }

    /// Of those, the ones that were not decided but forgotten, for want of room.
    #[must_use]
    pub fn given_up(&self) -> u64 {
        self.given_up
    }
}

fn refuses(matcher: &Matcher, event: &Event) -> bool {
    matcher.judge(&Tuple::of(event), event.family, event.flags) == Verdict::Fail
}
