//! Since when each series of a counter has been counted, as OpenTelemetry's protocol wants to know.
//!
//! A key that is idle loses its place among the labels, and begins with 0 when it gets one again. What is new in a
//! page, or smaller than it was, has been counted since the page before.

use std::collections::HashMap;

use crate::view::serve::families::Labels;

/// The starts of series, as nanoseconds since 1970.
#[derive(Debug)]
pub(super) struct SeriesStarts {
    /// Each series of the page before: its start and its count.
    before: HashMap<(&'static str, Labels), (u64, u64)>,
    now: HashMap<(&'static str, Labels), (u64, u64)>,
    /// When the page before was made.
    page_ns: u64,
}

impl SeriesStarts {
    /// All series begin now.
    pub(super) fn new(began_ns: u64) -> Self {
        Self { before: HashMap::new(), now: HashMap::new(), page_ns: began_ns }
    }

    /// The start of a series that has this count in the page that is being made.
    pub(super) fn of(&mut self, family: &'static str, labels: &Labels, count: u64) -> u64 {
        let key = (family, labels.clone());
        let known = self.before.get(&key).filter(|(_, before)| *before <= count);
        let start_ns = known.map_or(self.page_ns, |(start_ns, _)| *start_ns);
        self.now.insert(key, (start_ns, count));
        start_ns
    }

    /// The page is made, at this time.
    pub(super) fn end_page(&mut self, now_ns: u64) {
        self.before = std::mem::take(&mut self.now);
        self.page_ns = now_ns;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_or_smaller_counts_from_the_page_before() {
        let mut starts = SeriesStarts::new(10);
        let page = |starts: &mut SeriesStarts, now_ns, counts: &[(&'static str, u64)]| {
            let of: Vec<_> = counts.iter().map(|(name, count)| starts.of(name, &vec![], *count)).collect();
            starts.end_page(now_ns);
            of
        };
        assert_eq!(page(&mut starts, 20, &[("a", 5), ("b", 0)]), [10, 10]);
        assert_eq!(page(&mut starts, 30, &[("a", 5), ("b", 3), ("c", 1)]), [10, 10, 20]);
        assert_eq!(page(&mut starts, 40, &[("a", 4), ("c", 1)]), [30, 20]);
        assert_eq!(page(&mut starts, 50, &[("a", 9), ("b", 9)]), [30, 40]);
    }
}
