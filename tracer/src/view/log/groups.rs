//! Stuck connections by process (`--group`).

use std::collections::HashMap;

use tracer_common::event::COMM_LEN;

use crate::track::Transition;

/// What the connections of a group have in common.
type Key = (u32, [u8; COMM_LEN], u8);

/// The stuck connections of a process in a state.
pub(super) struct ProcessGroup {
    /// The one that has been there for longest.
    pub(super) oldest: Transition,
    /// How many there are.
    pub(super) count: u64,
}

/// Tells each group once, and again when it has grown to twice as many connections.
#[derive(Default)]
pub(super) struct ProcessGroups {
    /// How many connections each group had when it was told.
    told: HashMap<Key, u64>,
}

impl ProcessGroups {
    /// The groups to tell, the greatest first, at most `room`. `stuck`: all connections that are stuck now.
    pub(super) fn next(&mut self, stuck: impl Iterator<Item = Transition>, room: u64) -> Vec<ProcessGroup> {
        let mut groups: HashMap<Key, ProcessGroup> = HashMap::new();
        for line in stuck {
            let group = groups.entry(key(&line)).or_insert(ProcessGroup { oldest: line, count: 0 });
            group.count += 1;
            if line.stuck_ns > group.oldest.stuck_ns {
                group.oldest = line;
            }
        }
        // A group that was gone in between is told again.
        self.told.retain(|key, _| groups.contains_key(key));
        let has_grown = |(key, group): &(Key, ProcessGroup)| {
            self.told.get(key).is_none_or(|told| group.count >= told.saturating_mul(2))
        };
        let mut next: Vec<_> = groups.into_iter().filter(has_grown).collect();
        next.sort_unstable_by_key(|(key, group)| (std::cmp::Reverse(group.count), *key));
        next.truncate(usize::try_from(room).unwrap_or(usize::MAX));
        self.told.extend(next.iter().map(|(key, group)| (*key, group.count)));
        next.into_iter().map(|(_, group)| group).collect()
    }
}

fn key(line: &Transition) -> Key {
    let owner = &line.connection.owner;
    (owner.pid, owner.comm, line.new_state)
}
