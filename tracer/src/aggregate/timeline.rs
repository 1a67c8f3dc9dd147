//! Counts by time, in bounded memory: when there are too many slots, each two of them become one.

/// The most slots.
pub const MOST_SLOTS: usize = 240;

/// The width of a slot at first, in nanoseconds.
const FIRST_WIDTH_NS: u64 = 50_000_000;

/// What is counted in a slot.
pub trait Slot: Default {
    /// Adds the counts of the slot that follows.
    fn absorb(&mut self, later: Self);
}

/// Slots of the same width, from a beginning on.
///
/// ```
/// use tracer::aggregate::timeline::{MOST_SLOTS, Slot, Timeline};
///
/// #[derive(Default)]
/// struct Count(u64);
///
/// impl Slot for Count {
///     fn absorb(&mut self, later: Self) {
///         self.0 += later.0;
///     }
/// }
///
/// let mut timeline = Timeline::<Count>::new();
/// timeline.begin(1_000);
/// for second in 0..86_400 {
///     timeline.at(second * 1_000_000_000).0 += 1;
/// }
/// assert!(timeline.slots().len() <= MOST_SLOTS);
/// assert_eq!(timeline.slots().iter().map(|slot| slot.0).sum::<u64>(), 86_400);
/// ```
#[derive(Debug)]
pub struct Timeline<T> {
    begin_ns: u64,
    width_ns: u64,
    slots: Vec<T>,
}

impl<T: Slot> Default for Timeline<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Slot> Timeline<T> {
    /// No slots yet.
    #[must_use]
    pub fn new() -> Self {
        Self { begin_ns: 0, width_ns: FIRST_WIDTH_NS, slots: Vec::new() }
    }

    /// The first slot begins at this time.
    pub fn begin(&mut self, at_ns: u64) {
        self.begin_ns = at_ns;
    }

    /// The slot of a time. What was before the beginning is in the first one.
    pub fn at(&mut self, time_ns: u64) -> &mut T {
        let passed_ns = time_ns.saturating_sub(self.begin_ns);
        while passed_ns / self.width_ns >= MOST_SLOTS as u64 {
            self.halve();
        }
        let index = usize::try_from(passed_ns / self.width_ns).unwrap_or_default();
        if index >= self.slots.len() {
            self.slots.resize_with(index + 1, T::default);
        }
        &mut self.slots[index]
    }

    /// Each two slots become one.
    fn halve(&mut self) {
        self.width_ns *= 2;
        let mut rest = std::mem::take(&mut self.slots).into_iter();
        while let Some(mut slot) = rest.next() {
            if let Some(later) = rest.next() {
                slot.absorb(later);
            }
            self.slots.push(slot);
        }
    }

    /// When the first slot begins, in nanoseconds.
    #[must_use]
    pub fn begin_ns(&self) -> u64 {
        self.begin_ns
    }

    /// The width of a slot, in nanoseconds.
    #[must_use]
    pub fn width_ns(&self) -> u64 {
        self.width_ns
    }

    /// The slots in the order of time.
    #[must_use]
    pub fn slots(&self) -> &[T] {
        &self.slots
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq)]
    struct Times(Vec<u64>);

    impl Slot for Times {
        fn absorb(&mut self, later: Self) {
            self.0.extend(later.0);
        }
    }

    #[test]
    fn slots_keep_their_order_when_they_become_wider() {
        let mut timeline = Timeline::<Times>::new();
        timeline.begin(FIRST_WIDTH_NS);
        let times: Vec<_> = (0..1_000).map(|number| FIRST_WIDTH_NS * (number + 1)).collect();
        for time in &times {
            timeline.at(*time).0.push(*time);
        }
        let found: Vec<_> = timeline.slots().iter().flat_map(|slot| slot.0.iter().copied()).collect();
        assert_eq!(found, times);
        assert_eq!(timeline.width_ns(), 8 * FIRST_WIDTH_NS);
        for (number, slot) in (0..).zip(timeline.slots()) {
            let begin_ns = timeline.begin_ns() + number * timeline.width_ns();
            assert!(slot.0.iter().all(|time| (begin_ns..begin_ns + timeline.width_ns()).contains(time)));
        }
    }

    #[test]
    fn any_time_has_a_slot() {
        let mut timeline = Timeline::<Times>::new();
        timeline.begin(5);
        for time in [0, u64::MAX, 7] {
            timeline.at(time).0.push(time);
        }
        assert_eq!(timeline.slots()[0].0, [0, 7]);
        assert_eq!(timeline.slots().last().unwrap().0, [u64::MAX]);
        assert!(timeline.slots().len() <= MOST_SLOTS);
    }
}
