//! What passes the filters, once as much is known as they need.
//!
//! A filter may depend on what is not known at a connection's beginning: a client's local port, or
//! which process will accept it. The first transitions then wait here, so that a filter never
//! hides the beginning of a connection whose end it shows.

pub mod chosen;
pub mod story;

use std::collections::VecDeque;

use tracer_common::{Event, event::kind, state};

use crate::{
    filter::{Filter, Verdict},
    select::{chosen::Chosen, story::StoryFilter},
    track::{
        Tracked,
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
    chosen: Chosen,
    is_open: bool,
    /// Connections that have passed: what is shown from the beginning is shown to the end.
    passed: CookieSet,
    waiting: CookieMap<Vec<Tracked>>,
    arrivals: VecDeque<u64>,
    filtered: u64,
    given_up: u64,
}

impl Select {
    /// With these filters.
    #[must_use]
    pub fn new(filter: &Filter, story: StoryFilter) -> Self {
        let chosen = Chosen::new(filter, story);
        Self {
            is_open: chosen.is_open(),
            chosen,
            passed: CookieSet::default(),
            waiting: CookieMap::default(),
            arrivals: VecDeque::new(),
            filtered: 0,
            given_up: 0,
        }
    }

    /// Hands on what is to be shown now that `tracked` is known: perhaps with its connection's
    /// beginning.
    pub fn pass(&mut self, tracked: &Tracked, show: &mut impl FnMut(&Tracked)) {
        if self.is_open {
            return show(tracked);
        }
        if tracked.event.kind != kind::TRANSITION {
            // It waits for nothing: filters on lines choose transitions, and not this.
            if self.holds(&tracked.connection) {
                show(tracked);
            }
            return;
        }
        let cookie = tracked.event.cookie;
        let verdict = self.judge(tracked);
        if verdict == Verdict::Undecided {
            return self.wait(tracked);
        }
        let is_over = tracked.event.new_state == state::CLOSE
            || (tracked.reason.is_some() && !tracked.connection.is_waiting);
        if is_over {
            self.passed.remove(&cookie);
        } else if verdict == Verdict::Pass
            && self.chosen.story.may_change_its_mind()
            && self.passed.len() < PASSED
        {
            self.passed.insert(cookie);
        }
        let beginning = if self.waiting.is_empty() { None } else { self.waiting.remove(&cookie) };
        for tracked in beginning.iter().flatten().chain([tracked]) {
            if verdict == Verdict::Pass && self.chosen.story.selects_line(tracked) {
                show(tracked);
            } else if !tracked.is_silent {
                self.filtered += 1;
            }
        }
    }

    /// An event of a connection that turns out to be none of those asked for, once its port is
    /// known. It and the connection's beginning are filtered.
    pub fn refuses(&mut self, event: &Event) -> bool {
        let refuses = event.old_state == state::SYN_SENT
            && event.kind == kind::TRANSITION
            && self.chosen.judge.as_ref().is_some_and(|judge| judge.judge(event) == Verdict::Fail);
        if refuses {
            let beginning = self.waiting.remove(&event.cookie).map_or(0, |waiting| waiting.len() as u64);
            self.filtered += 1 + beginning;
        }
        refuses
    }

    /// Whether a socket that was found is of interest: as a connection that may be shown, or as a
    /// listener, whose owner is its connections' first.
    #[must_use]
    pub fn wants(&self, sighting: &Event) -> bool {
        let is_listener = sighting.new_state == state::LISTEN;
        is_listener || self.chosen.judge.as_ref().is_none_or(|judge| judge.judge(sighting) != Verdict::Fail)
    }

    /// Whether a connection that is there is one of those asked for, as far as is known by now. Filters
    /// that choose transitions do not choose connections.
    #[must_use]
    pub fn holds(&self, connection: &Connection) -> bool {
        self.is_open || self.passed.contains(&connection.cookie) || self.chosen.is_of(connection)
    }

    fn judge(&self, tracked: &Tracked) -> Verdict {
        if self.passed.contains(&tracked.event.cookie) {
            return Verdict::Pass;
        }
        let constant = self.chosen.judge.as_ref().map_or(Verdict::Pass, |judge| judge.judge(&tracked.event));
        // A listener is nobody's until it listens, and never changes hands unseen.
        let story = match self.chosen.story.judge_connection(tracked) {
            Verdict::Undecided if tracked.connection.role == Role::Listener => Verdict::Fail,
            verdict => verdict,
        };
        match (constant, story) {
            (Verdict::Fail, _) | (_, Verdict::Fail) => Verdict::Fail,
            (Verdict::Pass, Verdict::Pass) => Verdict::Pass,
            _ => Verdict::Undecided,
        }
    }

    fn wait(&mut self, tracked: &Tracked) {
        let cookie = tracked.event.cookie;
        let waiting = self.waiting.entry(cookie).or_default();
        if tracked.event.new_state == state::SYN_SENT {
            // The socket begins anew, and nobody told how it ended before: nobody will.
            self.filtered += waiting.drain(..).len() as u64;
        }
        if waiting.is_empty() {
            self.arrivals.push_back(cookie);
        }
        if waiting.len() < TRANSITIONS {
            waiting.push(*tracked);
        } else {
            self.filtered += 1;
            self.given_up += 1;
        }
        if self.arrivals.len() > 2 * CONNECTIONS {
            // Most of them have been decided long since.
            self.arrivals.retain(|cookie| self.waiting.contains_key(cookie));
        }
        while self.waiting.len() > CONNECTIONS
            && let Some(oldest) = self.arrivals.pop_front()
        {
            let forgotten = self.waiting.remove(&oldest).map_or(0, |waiting| waiting.len() as u64);
            self.filtered += forgotten;
            self.given_up += forgotten;
        }
    }

    /// Transitions kept back, those that still wait included.
    #[must_use]
    pub fn filtered(&self) -> u64 {
        self.filtered + self.waiting.values().map(|waiting| waiting.len() as u64).sum::<u64>()
    }

    /// Of those, the ones that were not decided but forgotten, for want of room.
    #[must_use]
    pub fn given_up(&self) -> u64 {
        self.given_up
    }
}
