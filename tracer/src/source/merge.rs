//! Merging several ring buffers into one stream, in time order.
//!
//! Events are merged while they are read, not sorted afterwards. So each is copied only twice, and the
//! events of other rings do not pile up behind a ring that is far behind.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, binary_heap::PeekMut},
};

use tracer_common::Event;

/// A k-way merge: holds the next event of each ring.
#[derive(Debug)]
pub struct Merge {
    /// The next event of each ring.
    heads: Vec<Option<Event>>,
    /// Time and ring of each of these; the oldest is on top.
    next_times: BinaryHeap<Reverse<(u64, usize)>>,
}

impl Merge {
    /// A merge of so many rings.
    #[must_use]
    pub fn new(rings: usize) -> Self {
        Self { heads: vec![None; rings], next_times: BinaryHeap::with_capacity(rings) }
    }

    /// Reads up to `limit` events from the rings with `next`, and passes them to `emit`. Returns how many.
    /// They are in time order if those of each ring are. A ring without a further event is not read again in
    /// this call.
    pub fn take<R>(
        &mut self,
        rings: &mut [R],
        limit: usize,
        mut next: impl FnMut(&mut R) -> Option<Event>,
        mut emit: impl FnMut(&Event),
    ) -> usize {
        for (index, (head, ring)) in self.heads.iter_mut().zip(&mut *rings).enumerate() {
            if head.is_none() {
                *head = next(ring);
                self.next_times.extend(head.map(|event| Reverse((event.time_ns, index))));
            }
        }
        let mut taken = 0;
        while taken < limit
            && let Some(mut next_time) = self.next_times.peek_mut()
        {
            let Reverse((time_ns, index)) = &mut *next_time;
            let head = &mut self.heads[*index];
            head.iter().for_each(&mut emit);
            taken += 1;
            *head = next(&mut rings[*index]);
            match head {
                Some(event) => *time_ns = event.time_ns,
                None => drop(PeekMut::pop(next_time)),
            }
        }
        taken
    }

    /// The time of the next event; `None` if all rings were empty when they were last read.
    #[must_use]
    pub fn next_ns(&self) -> Option<u64> {
        self.next_times.peek().map(|Reverse((time_ns, _))| *time_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::VecDeque, vec};
    use zerocopy::FromZeros as _;

    fn at(time_ns: u64) -> Event {
        let mut event = Event::new_zeroed();
        event.time_ns = time_ns;
        event
    }

    fn ring(times: &[u64]) -> vec::IntoIter<Event> {
        times.iter().map(|time_ns| at(*time_ns)).collect::<Vec<_>>().into_iter()
    }

    fn taken(merge: &mut Merge, rings: &mut [vec::IntoIter<Event>], limit: usize) -> Vec<u64> {
        let mut times = Vec::new();
        let count = merge.take(rings, limit, Iterator::next, |event| times.push(event.time_ns));
        assert_eq!(count, times.len());
        times
    }

    #[test]
    fn rings_become_one_stream() {
        let mut merge = Merge::new(3);
        let mut rings = [ring(&[1, 4, 5]), ring(&[]), ring(&[2, 3, 6])];
        assert_eq!(taken(&mut merge, &mut rings, 100), [1, 2, 3, 4, 5, 6]);
        assert_eq!(merge.next_ns(), None);
    }

    #[test]
    fn events_beyond_the_limit_come_with_the_next_call() {
        let mut merge = Merge::new(2);
        let mut rings = [ring(&[1, 3, 7]), ring(&[2])];
        assert_eq!(taken(&mut merge, &mut rings, 2), [1, 2]);
        assert_eq!(merge.next_ns(), Some(3));
        // The second ring was empty, and has got an event meanwhile.
        rings[1] = ring(&[5]);
        assert_eq!(taken(&mut merge, &mut rings, 100), [3, 5, 7]);
    }

    #[test]
    fn a_ring_out_of_order_loses_nothing() {
        let mut merge = Merge::new(2);
        let mut rings = [ring(&[3, 1, 4]), ring(&[2, 5])];
        assert_eq!(taken(&mut merge, &mut rings, 100), [2, 3, 1, 4, 5]);
    }

    #[test]
    fn an_empty_ring_is_not_read_again_in_the_same_call() {
        let mut merge = Merge::new(1);
        let mut ring = VecDeque::from([Some(at(1)), None, Some(at(2))]);
        let mut take = |limit| {
            let mut count = 0;
            let next = |ring: &mut VecDeque<Option<Event>>| ring.pop_front().flatten();
            merge.take(std::slice::from_mut(&mut ring), limit, next, |_| count += 1);
            count
        };
        assert_eq!([take(100), take(100), take(100)], [1, 1, 0]);
    }
}
