//! Counts in slots of time, which show how far a rate varies.

/// Slots, at most. When time goes beyond them, each two neighbours become one.
const SLOTS: usize = 64;

/// The shortest slot, as a power of two of nanoseconds: 134 ms.
const SHORTEST: u32 = 27;

/// Slots that a rate needs, at least, so that it can be told how far it varies.
const FEWEST: u64 = 8;

/// What happened in each slot of time since a beginning.
#[derive(Clone, Debug, Default)]
pub struct ArrivalSlots {
    /// Slots are `1 << (SHORTEST + width)` nanoseconds long.
    width: u32,
    counts: Vec<u32>,
}

impl ArrivalSlots {
    /// Adds one, so many nanoseconds after the beginning.
    pub fn add(&mut self, after_ns: u64) {
        while self.slot(after_ns) >= SLOTS {
            self.fold();
        }
        let slot = self.slot(after_ns);
        if self.counts.len() <= slot {
            self.counts.resize(slot + 1, 0);
        }
        self.counts[slot] = self.counts[slot].saturating_add(1);
    }

    fn slot(&self, after_ns: u64) -> usize {
        usize::try_from(after_ns >> (SHORTEST + self.width)).unwrap_or(usize::MAX)
    }

    fn fold(&mut self) {
        let sum = |pair: &[u32]| pair.iter().fold(0, |sum: u32, count| sum.saturating_add(*count));
        self.counts = self.counts.chunks(2).map(sum).collect();
        self.width += 1;
    }

    /// Adds those of another with the same beginning.
    pub fn absorb(&mut self, mut other: Self) {
        while self.width < other.width {
            self.fold();
        }
        while other.width < self.width {
            other.fold();
        }
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        self.counts.iter_mut().zip(other.counts).for_each(|(mine, more)| *mine = mine.saturating_add(more));
    }

    /// How many there are.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().copied().map(u64::from).sum()
    }

    /// The rate per second in whole slots of this time, in nanoseconds: its mean, the variance of that, and degrees of
    /// freedom; `None` if there are too few slots.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn rate(&self, duration_ns: u64) -> Option<(f64, f64, f64)> {
        let mut folded = self.clone();
        while folded.slot(duration_ns) >= SLOTS {
            folded.fold();
        }
        let slots = duration_ns >> (SHORTEST + folded.width);
        if slots < FEWEST {
            return None;
        }
        folded.counts.resize(usize::try_from(slots).ok()?, 0);
        let slot_s = (1_u64 << (SHORTEST + folded.width)) as f64 / 1e9;
        let (slots, freedom) = (slots as f64, (slots - 1) as f64);
        let mean = folded.counts.iter().copied().map(f64::from).sum::<f64>() / slots;
        let squares = folded.counts.iter().map(|count| (f64::from(*count) - mean).powi(2)).sum::<f64>();
        // Not less than chance alone.
        let variance = (squares / freedom).max(mean) / slots;
        Some((mean / slot_s, variance / (slot_s * slot_s), freedom))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn rates_are_those_of_the_time() {
        let mut arrivals = ArrivalSlots::default();
        (0..1_000).for_each(|number| arrivals.add(number * SECOND / 10));
        assert_eq!(arrivals.total(), 1_000);
        assert!(arrivals.counts.len() <= SLOTS);
        let (rate, variance, freedom) = arrivals.rate(100 * SECOND).unwrap();
        assert!((rate - 10.0).abs() < 0.2 && freedom > 30.0, "{rate} {freedom}");
        // Chance alone would make that of a count of 1,000.
        assert!((variance.sqrt() - 0.316).abs() < 0.02, "{variance}");
        // Nothing came in the other half of the time.
        assert!((arrivals.rate(200 * SECOND).unwrap().0 - 5.0).abs() < 0.2);
        assert_eq!(arrivals.rate(SECOND / 2), None);
    }

    #[test]
    fn those_of_others_are_added() {
        let (mut one, mut other) = (ArrivalSlots::default(), ArrivalSlots::default());
        one.add(5);
        other.add(1_000 * SECOND);
        one.absorb(other.clone());
        other.absorb(ArrivalSlots::default());
        assert_eq!((one.total(), other.total(), one.counts[0]), (2, 1, 1));
        one.add(u64::MAX);
        assert_eq!(one.total(), 3);
    }
}
