//! What was found over a longer time: each finding once, as it was at its worst.

use hashbrown::HashMap;

use crate::aggregate::findings::{Finding, FindingKind, place::Place};

/// How many are told apart at most.
const MOST: usize = 1024;

/// A finding over time.
#[derive(Clone, Debug)]
pub struct Episode {
    /// As it was when its count was the highest.
    pub finding: Finding,
    /// When it was first found, in nanoseconds of the kernel's monotonic clock.
    pub first_ns: u64,
    /// When it was last found.
    pub last_ns: u64,
    /// When its count was the highest.
    pub peak_ns: u64,
}

/// Findings over time, from one survey to the next.
#[derive(Clone, Debug, Default)]
pub struct Episodes {
    by_place: HashMap<(FindingKind, Place), Episode>,
    /// Findings that found no room.
    others: u64,
    surveyed_ns: u64,
}

impl Episodes {
    /// Takes what a survey has found.
    pub fn note(&mut self, found: &[Finding], now_ns: u64) {
        self.surveyed_ns = now_ns;
        for finding in found {
            let key = (finding.kind, finding.place);
            if self.by_place.len() >= MOST && !self.by_place.contains_key(&key) {
                self.others += 1;
                continue;
            }
            let new =
                || Episode { finding: finding.clone(), first_ns: now_ns, last_ns: now_ns, peak_ns: now_ns };
            let episode = self.by_place.entry(key).or_insert_with(new);
            episode.last_ns = now_ns;
            // Of the same count the last one knows the highest age.
            if finding.count >= episode.finding.count {
                (episode.finding, episode.peak_ns) = (finding.clone(), now_ns);
            }
        }
    }

    /// All of them, the heaviest first.
    #[must_use]
    pub fn list(&self) -> Vec<&Episode> {
        let mut all: Vec<_> = self.by_place.values().collect();
        all.sort_unstable_by_key(|episode| {
            let Finding { kind, count, place, .. } = &episode.finding;
            (*kind, u64::MAX - count, *place)
        });
        all
    }

    /// Whether it was there at the last survey.
    #[must_use]
    pub fn lasts(&self, episode: &Episode) -> bool {
        episode.last_ns == self.surveyed_ns
    }

    /// How often something was found for which there was no room.
    #[must_use]
    pub fn others(&self) -> u64 {
        self.others
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::findings::{Tendency, place::Whom};

    fn finding(count: u64, place: Place) -> Finding {
        Finding {
            kind: FindingKind::CloseWait,
            count,
            whom: Whom::default(),
            age_ns: None,
            age_at_least_ns: None,
            trend: Tendency::Steady,
            evidence: String::new(),
            command: String::new(),
            filter: String::new(),
            samples: Vec::new(),
            place,
        }
    }

    #[test]
    fn the_worst_is_kept_with_its_time() {
        let mut episodes = Episodes::default();
        for (now_ns, count) in [(1, 3), (2, 9), (3, 9), (4, 2)] {
            episodes.note(&[finding(count, Place::Host)], now_ns);
        }
        episodes.note(&[], 5);
        let [episode] = episodes.list()[..] else { panic!() };
        assert_eq!((episode.finding.count, episode.peak_ns), (9, 3));
        assert_eq!((episode.first_ns, episode.last_ns, episodes.lasts(episode)), (1, 4, false));
    }

    #[test]
    fn memory_is_bounded() {
        let mut episodes = Episodes::default();
        for netns in 0..2_000 {
            episodes.note(&[finding(1, Place::Netns(netns))], 1);
        }
        assert_eq!((episodes.list().len(), episodes.others()), (MOST, 2_000 - MOST as u64));
    }
}
