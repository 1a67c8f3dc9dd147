//! Since when a finding has been there, and where it goes.

use std::collections::VecDeque;

use hashbrown::HashMap;
use serde::Serialize;

use crate::aggregate::findings::{kinds::FindingKind, place::Place};

/// How many samples are kept, one for each second.
const SAMPLES: usize = 60;

/// How long a finding that is gone is remembered, in nanoseconds.
const MEMORY_NS: u64 = 60_000_000_000;

/// How many findings are remembered at most.
const MOST: usize = 4096;

/// Where a count goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tendency {
    /// It is higher than before.
    Growing,
    /// It is about the same.
    Steady,
    /// It is lower than before.
    Falling,
}

/// The past of a finding.
#[derive(Clone, Debug)]
pub(super) struct Past {
    /// When it was first found, in nanoseconds of the kernel's monotonic clock.
    pub(super) since_ns: u64,
    /// When it was last found.
    seen_ns: u64,
    /// When the last sample was taken.
    sampled_ns: u64,
    /// Whether the count is measured against a limit. If that changes, it counts something else.
    has_limit: bool,
    /// Its count, second by second.
    pub(super) samples: VecDeque<u64>,
}

impl Past {
    /// Where the count goes: the mean of the last third of the samples against that of the first.
    pub(super) fn trend(&self) -> Tendency {
        let third = self.samples.len() / 3;
        if third == 0 {
            return Tendency::Steady;
        }
        // Counts come from outside, where they may be anything.
        let add = |sum: u64, sample: &u64| sum.saturating_add(*sample);
        let first = self.samples.iter().take(third).fold(0, add);
        let last = self.samples.iter().rev().take(third).fold(0, add);
        // A tenth is noise.
        if last > first.saturating_add(first / 10) {
            Tendency::Growing
        } else if last.saturating_add(first / 10) < first {
            Tendency::Falling
        } else {
            Tendency::Steady
        }
    }
}

/// The past of all findings.
#[derive(Clone, Debug, Default)]
pub(super) struct History(HashMap<(FindingKind, Place), Past>);

impl History {
    /// Notes the count of a finding, and whether it has a limit, and returns its past with it.
    pub(super) fn note(
        &mut self,
        key: (FindingKind, Place),
        (count, has_limit): (u64, bool),
        now_ns: u64,
    ) -> Option<&Past> {
        if self.0.len() >= MOST && !self.0.contains_key(&key) {
            return None;
        }
        let past = self.0.entry(key).or_insert_with(|| Past {
            since_ns: now_ns,
            seen_ns: now_ns,
            sampled_ns: now_ns,
            has_limit,
            samples: VecDeque::new(),
        });
        if past.has_limit != has_limit {
            past.has_limit = has_limit;
            past.samples.clear();
        }
        past.seen_ns = now_ns;
        let seconds = (now_ns.saturating_sub(past.sampled_ns)) / 1_000_000_000;
        match past.samples.back_mut() {
            // The same second, in which the latest count holds.
            Some(last) if seconds == 0 => *last = count,
            _ => {
                past.samples.push_back(count);
                past.sampled_ns = now_ns;
            }
        }
        if past.samples.len() > SAMPLES {
            past.samples.pop_front();
        }
        Some(past)
    }

    /// Forgets findings that have been gone for a minute.
    pub(super) fn forget(&mut self, now_ns: u64) {
        self.0.retain(|_, past| now_ns.saturating_sub(past.seen_ns) <= MEMORY_NS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const KEY: (FindingKind, Place) = (FindingKind::CloseWait, Place::Host);

    #[test]
    fn a_leak_grows() {
        let trend = |counts: &[u64]| {
            let mut history = History::default();
            for (second, count) in (1..).zip(counts) {
                history.note(KEY, (*count, false), second * SECOND);
            }
            history.0[&KEY].trend()
        };
        assert_eq!(trend(&[5]), Tendency::Steady);
        assert_eq!(trend(&[5, 5, 6]), Tendency::Growing);
        assert_eq!(trend(&[100, 101, 103]), Tendency::Steady);
        assert_eq!(trend(&[100, 70, 50]), Tendency::Falling);
    }

    #[test]
    fn another_count_has_another_trend() {
        let mut history = History::default();
        for second in 1..4 {
            history.note(KEY, (48, false), second * SECOND);
        }
        for second in 4..7 {
            history.note(KEY, (4, true), second * SECOND);
        }
        assert_eq!((history.0[&KEY].trend(), history.0[&KEY].since_ns), (Tendency::Steady, SECOND));
    }

    #[test]
    fn the_beginning_is_kept_for_a_minute() {
        let mut history = History::default();
        history.note(KEY, (1, false), SECOND);
        history.forget(60 * SECOND);
        assert_eq!(history.note(KEY, (1, false), 60 * SECOND).unwrap().since_ns, SECOND);
        history.forget(121 * SECOND);
        assert_eq!(history.note(KEY, (1, false), 121 * SECOND).unwrap().since_ns, 121 * SECOND);
    }
}
