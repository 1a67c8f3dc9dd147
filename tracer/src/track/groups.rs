//! Events in groups, so that the memory which later groups need is prefetched.

use tracer_common::{Event, state as number};

use crate::{
    tcp::endpoint::Tuple,
    track::{Tracker, identify::may_end_another, reason::becomes_time_wait},
};

/// Events whose records are prefetched together.
const GROUP_LEN: usize = 16;

/// Splits events into groups. Each comes with the two groups that follow it, for [`Tracker::prefetch`]. The
/// first two steps have an empty group: they only prefetch.
pub fn prefetch_groups(events: &[Event]) -> impl Iterator<Item = [&[Event]; 3]> {
    let group = |index: usize| {
        events.get(index * GROUP_LEN..).map_or(&[][..], |rest| &rest[..rest.len().min(GROUP_LEN)])
    };
    (0..events.len().div_ceil(GROUP_LEN) + 2).map(move |step| {
        [step.checked_sub(2), step.checked_sub(1), Some(step)].map(|index| index.map_or(&[][..], group))
    })
}

impl Tracker {
    /// Prefetches the records of the `next` events and the index entries of those `after` them: a record is
    /// found through its index entry, so each takes two steps. With a million connections every record is a
    /// cache miss, and waiting for these one by one costs more than all other work on an event.
    pub fn prefetch(&self, next: &[Event], after: &[Event]) {
        for event in after {
            self.table.prefetch_index(event.cookie);
        }
        for event in next {
            self.table.prefetch(event.cookie);
            if event.new_state == number::CLOSE {
                self.recently_ended.prefetch(event.cookie);
            }
            if self.has_timewait() && (may_end_another(event) || becomes_time_wait(event)) {
                self.timewaits.prefetch(&Tuple::of(event));
            }
        }
    }
}
