//! What must be noticed at once: many connections that end for a reason, and connections that are stuck.

use std::{collections::VecDeque, time::Duration};

use crate::{
    tcp::{limits::Limits, reason::Reason, reasons::Rate, state::State},
    track::{Tracker, Transition},
};

/// How often stuck connections are looked for, in nanoseconds.
const LOOK_NS: u64 = 1_000_000_000;

/// When the last parts of a recording must be kept.
#[derive(Clone, Debug, Default)]
pub struct Triggers {
    /// A connection is stuck in a state.
    pub stuck: Limits,
    /// Many connections end for a reason.
    pub rates: Vec<Rate>,
    /// After one, no other for so long.
    pub pause: Duration,
}

/// Counts the ends of connections for the reasons of rates.
#[derive(Debug, Default)]
pub struct RateWatch {
    rates: Vec<Rate>,
    /// When what each rate counts happened, in nanoseconds: as far back as its time, and not more than it needs.
    counted: Vec<VecDeque<u64>>,
}

impl RateWatch {
    /// Nothing is counted yet.
    #[must_use]
    pub fn new(rates: Vec<Rate>) -> Self {
        Self { counted: vec![VecDeque::new(); rates.len()], rates }
    }

    /// The rates.
    #[must_use]
    pub fn rates(&self) -> &[Rate] {
        &self.rates
    }

    /// Takes a transition, and tells each rate that it completes, by its place, and the reason. What a rate has
    /// counted is then forgotten.
    pub fn note(&mut self, transition: &Transition, mut completed: impl FnMut(usize, Reason)) {
        let Some(reason) = transition.reason else { return };
        let at_ns = transition.time_ns;
        let rates = self.rates.iter().zip(&mut self.counted).enumerate();
        for (place, (rate, counted)) in rates.filter(|(_, (rate, _))| rate.reasons.contains(reason)) {
            let is_old = |time_ns: &u64| u128::from(at_ns.saturating_sub(*time_ns)) >= rate.time.as_nanos();
            while counted.front().is_some_and(is_old) {
                counted.pop_front();
            }
            counted.push_back(at_ns);
            if counted.len() as u64 >= rate.count {
                counted.clear();
                completed(place, reason);
            }
        }
    }
}

/// Says when what was recorded last must be kept.
#[derive(Debug)]
pub struct TriggerWatch {
    stuck_limits: Limits,
    pause: Duration,
    rates: RateWatch,
    /// How many connections were stuck in each state when that was last looked at.
    stuck: [u64; 16],
    due_ns: Option<u64>,
    /// Why it must be kept, and since when, in nanoseconds.
    trigger: Option<(String, u64)>,
    /// There is no other trigger before this time.
    paused_until_ns: u64,
}

impl TriggerWatch {
    /// Nothing has happened yet.
    #[must_use]
    pub fn new(triggers: Triggers) -> Self {
        let Triggers { stuck, rates, pause } = triggers;
        Self {
            stuck_limits: stuck,
            pause,
            rates: RateWatch::new(rates),
            stuck: [0; 16],
            due_ns: None,
            trigger: None,
            paused_until_ns: 0,
        }
    }

    /// It begins at this time, in nanoseconds.
    pub fn begin(&mut self, at_ns: u64) {
        self.due_ns = (!self.stuck_limits.is_empty()).then_some(at_ns);
    }

    /// When stuck connections are to be looked for.
    #[must_use]
    pub fn due(&self) -> Option<u64> {
        self.due_ns
    }

    /// Takes a transition.
    pub fn note(&mut self, transition: &Transition) {
        let mut completed = None;
        self.rates.note(transition, |_, reason| completed = Some(reason));
        if let Some(reason) = completed {
            self.pull(reason.name().to_owned(), transition.time_ns);
        }
    }

    fn pull(&mut self, why: String, at_ns: u64) {
        if at_ns >= self.paused_until_ns {
            let pause_ns = u64::try_from(self.pause.as_nanos()).unwrap_or(u64::MAX);
            self.paused_until_ns = at_ns.saturating_add(pause_ns);
            self.trigger = Some((why, at_ns));
        }
    }

    /// Looks for stuck connections, if that is due.
    pub fn look(&mut self, tracker: &Tracker, now_ns: u64) {
        if self.due_ns.is_none_or(|due_ns| now_ns < due_ns) {
            return;
        }
        // Nothing is noted in the connections: a replay finds for itself which ones are stuck.
        let mut stuck = [0; 16];
        let gap_ns = tracker.loss_gap_ns();
        let limits = &self.stuck_limits;
        for connection in tracker.iter().filter(|one| one.stuck_ns(limits, now_ns, gap_ns).is_some()) {
            if let Some(count) = stuck.get_mut(usize::from(connection.state)) {
                *count += 1;
            }
        }
        let grown = stuck.iter().zip(&self.stuck).zip(0..).find(|((now, before), _)| now > before);
        let grown = grown.map(|(_, state)| State::from_kernel(state));
        match grown {
            // What happens during the pause is told after it.
            Some(_) if now_ns < self.paused_until_ns => {
                self.stuck.iter_mut().zip(stuck).for_each(|(before, now)| *before = now.min(*before));
            }
            Some(state) => {
                self.stuck = stuck;
                self.pull(format!("stuck-{state}"), now_ns);
            }
            None => self.stuck = stuck,
        }
        self.due_ns = Some(now_ns.saturating_add(LOOK_NS));
    }

    /// Why the last parts must be kept, and when that came up. Says so once.
    pub fn take(&mut self) -> Option<(String, u64)> {
        self.trigger.take()
    }
}
