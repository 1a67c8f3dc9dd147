//! One stream of what several rings hold.
//!
//! Events are merged while they are read, not sorted afterwards: each is copied twice, nothing is
//! moved again, and a ring that is far behind the others does not make theirs pile up.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, binary_heap::PeekMut},
};

use tracer_common::Event;

/// What has been read of several rings and waits for its turn.
#[derive(Debug)]
pub struct Merge {
    /// The next event of each ring.
    heads: Vec<Option<Event>>,
    /// The times of these, the oldest on top, and whose they are.
    turns: BinaryHeap<Reverse<(u64, usize)>>,
}

impl Merge {
    /// Of so many rings.
    #[must_use]
    pub fn new(rings: usize) -> Self {
        Self { heads: vec![None; rings], turns: BinaryHeap::with_capacity(rings) }
    }

    /// Hands to `give` up to `limit` of the events that `next` finds in the rings, in time order as
    /// far as each ring's are; gives how many. A ring is left alone once it has no more.
    pub fn take<R>(
        &mut self,
        rings: &mut [R],
        limit: usize,
        mut next: impl FnMut(&mut R) -> Option<Event>,
        mut give: impl FnMut(&Event),
    ) -> usize {
        for (index, (head, ring)) in self.heads.iter_mut().zip(&mut *rings).enumerate() {
            if head.is_none() {
                *head = next(ring);
                self.turns.extend(head.map(|event| Reverse((event.time_ns, index))));
            }
        }
        let mut taken = 0;
        while taken < limit
            && let Some(mut turn) = self.turns.peek_mut()
        {
            let Reverse((time_ns, index)) = &mut *turn;
            let head = &mut self.heads[*index];
            head.iter().for_each(&mut give);
            taken += 1;
            *head = next(&mut rings[*index]);
            match head {
                Some(event) => *time_ns = event.time_ns,
                None => drop(PeekMut::pop(turn)),
            }
        }
        taken
    }

    /// The time of what comes next; `None` if all rings had no more when they were looked at last.
    #[must_use]
    pub fn next_ns(&self) -> Option<u64> {
        self.turns.peek().map(|Reverse((time_ns, _))| *time_ns)
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
    fn what_does_not_fit_comes_next_time() {
        let mut merge = Merge::new(2);
        let mut rings = [ring(&[1, 3, 7]), ring(&[2])];
        assert_eq!(taken(&mut merge, &mut rings, 2), [1, 2]);
        assert_eq!(merge.next_ns(), Some(3));
        // The second ring had no more; meanwhile there is.
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
    fn a_ring_that_had_no_more_waits_for_the_next_look() {
        let mut merge = Merge::new(1);
        let mut looks = VecDeque::from([Some(at(1)), None, Some(at(2))]);
        let mut look = |limit| {
            let mut count = 0;
            let next = |ring: &mut VecDeque<Option<Event>>| ring.pop_front().flatten();
            merge.take(std::slice::from_mut(&mut looks), limit, next, |_| count += 1);
            count
        };
        assert_eq!([look(100), look(100), look(100)], [1, 1, 0]);
    }
}
