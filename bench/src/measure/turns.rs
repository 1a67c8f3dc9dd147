//! Measures contestants in turns, and the untraced load in between.

use anyhow::{Context as _, Result};

use super::progress::Progress;
use crate::contestant::Contestant;

/// Rounds in which each contestant is measured once.
pub(crate) struct Turns<'a> {
    /// What is measured, for progress messages.
    pub what: &'a str,
    /// The contestants to measure.
    pub contestants: &'a [&'static Contestant],
    /// How many rounds.
    pub rounds: u32,
}

/// The results of all rounds.
pub(crate) struct Measured<S> {
    /// Each contestant in each round.
    pub turns: Vec<Turn<S>>,
    /// The rates of the untraced load: before, between and after them.
    pub untraced_per_s: Vec<f64>,
}

/// A contestant in a round.
pub(crate) struct Turn<S> {
    /// What was measured while it traced.
    pub sample: S,
    /// The mean of the untraced rates right before and right after it.
    pub untraced_per_s: f64,
}

impl Turns<'_> {
    /// Measures all. `untraced` measures a window without a contestant, `traced` one with it.
    pub(crate) fn run<S>(
        &self,
        untraced: impl Fn() -> Result<f64>,
        traced: impl Fn(u32, &Contestant) -> Result<S>,
    ) -> Result<Measured<S>> {
        let mut measured = Measured { turns: Vec::new(), untraced_per_s: Vec::new() };
        let mut progress =
            Progress::new(self.what, self.rounds * u32::try_from(self.contestants.len()).unwrap_or(u32::MAX));
        let mut before = untraced()?;
        measured.untraced_per_s.push(before);
        for round in 1..=self.rounds {
            for contestant in from(self.contestants, round) {
                progress.next(contestant.name);
                let sample = traced(round, contestant).with_context(|| contestant.name)?;
                let after = untraced()?;
                measured.turns.push(Turn { sample, untraced_per_s: f64::midpoint(before, after) });
                measured.untraced_per_s.push(after);
                before = after;
            }
        }
        Ok(measured)
    }
}

/// All of them, but each round begins one further, so that positions change.
pub(crate) fn from<T: Copy>(all: &[T], round: u32) -> impl Iterator<Item = T> + '_ {
    let first = (round as usize - 1) % all.len().max(1);
    all.iter().copied().cycle().skip(first).take(all.len())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::contestant::CONTESTANTS;

    #[test]
    fn each_round_begins_one_further() {
        assert_eq!(from(&[1, 2, 3], 1).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(from(&[1, 2, 3], 2).collect::<Vec<_>>(), [2, 3, 1]);
        assert_eq!(from(&[1, 2, 3], 4).collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[test]
    fn a_turn_is_held_against_the_windows_beside_it() {
        let contestants: Vec<_> = CONTESTANTS.iter().take(2).collect();
        let turns = Turns { what: "test", contestants: &contestants, rounds: 2 };
        // A host that gets faster: 10, 20, 30, ...
        let rate = Cell::new(0.0);
        let untraced = || Ok(rate.replace(rate.get() + 10.0) + 10.0);
        let measured = turns.run(untraced, |round, contestant| Ok((round, contestant.name))).unwrap();
        assert_eq!(measured.untraced_per_s, [10.0, 20.0, 30.0, 40.0, 50.0]);
        let beside: Vec<_> = measured.turns.iter().map(|turn| turn.untraced_per_s).collect();
        assert_eq!(beside, [15.0, 25.0, 35.0, 45.0]);
        let order: Vec<_> = measured.turns.iter().map(|turn| turn.sample).collect();
        assert_eq!(order, [(1, "empty"), (1, "reference"), (2, "reference"), (2, "empty")]);
    }
}
