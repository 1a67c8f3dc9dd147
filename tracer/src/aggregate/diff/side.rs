//! One side of a comparison: what was counted in a span, by service, process and container.

use std::collections::BTreeMap;

use hashbrown::HashMap;

use crate::{
    aggregate::{
        By,
        diff::{group::DiffGroup, name::GroupName},
        totals::{RankingKey, ranking_key},
    },
    facts::known_names::KnownNames,
    track::{
        Transition,
        connection::{Connection, Role},
    },
};

/// What connections are compared by, and room for how many of each. When it is full, the lighter half makes room.
const KINDS: [(By, usize); 3] = [(By::Service, 1_000), (By::Process, 500), (By::Container, 500)];

/// Counts of a kind.
#[derive(Debug)]
struct DiffGroups {
    by: By,
    capacity: usize,
    groups: HashMap<(RankingKey, Role), DiffGroup>,
    /// How many connections may be missing from those that are there, at most.
    missing: u64,
}

impl DiffGroups {
    fn entry(&mut self, key: (RankingKey, Role)) -> &mut DiffGroup {
        if self.groups.len() >= self.capacity && !self.groups.contains_key(&key) {
            self.shrink();
        }
        let is_whole = self.missing == 0;
        self.groups.entry(key).or_insert_with(|| DiffGroup { is_whole, ..DiffGroup::default() })
    }

    /// The lighter half makes room.
    fn shrink(&mut self) {
        let mut all: Vec<_> = self.groups.drain().collect();
        all.sort_by_key(|(key, group)| (std::cmp::Reverse(group.weight()), *key));
        let light = all.split_off(all.len() / 2);
        self.missing += light.first().map_or(1, |(_, group)| group.weight().max(1));
        self.groups.extend(all);
    }
}

/// Counts what happens in a span.
#[derive(Debug)]
pub struct DiffSide {
    since_ns: u64,
    until_ns: u64,
    all: DiffGroup,
    kinds: Vec<DiffGroups>,
    /// Transitions.
    transitions: u64,
}

impl Default for DiffSide {
    fn default() -> Self {
        let kind = |(by, capacity)| DiffGroups { by, capacity, groups: HashMap::new(), missing: 0 };
        Self {
            since_ns: 0,
            until_ns: 0,
            all: DiffGroup::default(),
            kinds: KINDS.into_iter().map(kind).collect(),
            transitions: 0,
        }
    }
}

impl DiffSide {
    /// The span begins at this time, in nanoseconds.
    pub fn begin(&mut self, at_ns: u64) {
        self.since_ns = at_ns;
    }

    /// Counts a transition. Listeners are no connections.
    pub fn add(&mut self, transition: &Transition, names: &KnownNames) {
        if transition.connection.role == Role::Listener {
            return;
        }
        self.transitions += u64::from(!transition.is_silent);
        let since_ns = self.since_ns;
        self.each(&transition.connection, names, |group| group.add(transition, since_ns));
    }

    fn each(&mut self, connection: &Connection, names: &KnownNames, mut count: impl FnMut(&mut DiffGroup)) {
        count(&mut self.all);
        for kind in &mut self.kinds {
            count(kind.entry((ranking_key(kind.by, connection, names), connection.role)));
        }
    }

    /// The span ends at this time, in nanoseconds, with these connections.
    pub fn end<'a>(&mut self, left: impl Iterator<Item = &'a Connection>, names: &KnownNames, until_ns: u64) {
        self.until_ns = until_ns;
        let since_ns = self.since_ns;
        for connection in left.filter(|connection| connection.role != Role::Listener) {
            self.each(connection, names, |group| group.add_left(connection, since_ns, until_ns));
        }
    }

    /// The same with names that stay.
    #[must_use]
    pub fn named(self, names: &KnownNames) -> NamedSide {
        let mut named = NamedSide {
            duration_ns: self.until_ns.saturating_sub(self.since_ns),
            transitions: self.transitions,
            all: self.all,
            ..NamedSide::default()
        };
        for DiffGroups { groups, missing, .. } in self.kinds {
            named.missing_at_most = named.missing_at_most.max(missing);
            // In an order of their own: sums of fractions depend on it.
            let mut groups: Vec<_> = groups.into_iter().collect();
            groups.sort_by_key(|(key, _)| *key);
            for ((key, role), group) in groups {
                if let Some(name) = GroupName::new(key, role, names) {
                    named.add(name, group);
                }
            }
        }
        named
    }
}

/// One side, with names that stay, of one host or several.
#[derive(Clone, Debug, Default)]
pub struct NamedSide {
    /// How long the span is, in nanoseconds; of several hosts, the longest.
    pub duration_ns: u64,
    /// Transitions of connections.
    pub transitions: u64,
    /// All connections.
    pub all: DiffGroup,
    /// Services, processes and containers.
    pub groups: BTreeMap<GroupName, DiffGroup>,
    /// How many connections may be missing from a group, at most, because there were too many groups.
    pub missing_at_most: u64,
}

impl NamedSide {
    fn add(&mut self, name: GroupName, group: DiffGroup) {
        match self.groups.get_mut(&name) {
            Some(mine) => mine.absorb(group),
            None => _ = self.groups.insert(name, group),
        }
    }

    /// Adds what another host has counted in the same time.
    pub fn absorb(&mut self, other: Self) {
        self.duration_ns = self.duration_ns.max(other.duration_ns);
        self.transitions += other.transitions;
        self.missing_at_most = self.missing_at_most.max(other.missing_at_most);
        self.all.absorb(other.all);
        other.groups.into_iter().for_each(|(name, group)| self.add(name, group));
    }

    /// Takes together the ports of services that were given, and that the other side does not have.
    fn fold_ephemeral(&mut self, has: impl Fn(&GroupName) -> bool) {
        let given: Vec<_> =
            self.groups.keys().filter(|name| name.is_ephemeral() && !has(name)).cloned().collect();
        for name in given {
            if let Some(group) = self.groups.remove(&name) {
                self.add(name.with_all_ephemeral(), group);
            }
        }
    }
}

/// Makes the names of both sides comparable: a port that a server was given is another one after a restart.
pub fn normalise(a: &mut NamedSide, b: &mut NamedSide) {
    let [of_a, of_b] = [&*a, &*b].map(|side| side.groups.keys().cloned().collect::<Vec<_>>());
    a.fold_ephemeral(|name| of_b.binary_search(name).is_ok());
    b.fold_ephemeral(|name| of_a.binary_search(name).is_ok());
}

#[cfg(test)]
mod tests {
    use tracer_common::{Event, state};
    use zerocopy::FromZeros as _;

    use super::*;
    use crate::track::Tracker;

    /// A client's connects to these ports.
    fn connects(ports: impl Iterator<Item = u16>) -> NamedSide {
        let (names, mut side) = (KnownNames::default(), DiffSide::default());
        side.begin(1);
        let mut tracker = Tracker::new(false);
        for (remote_port, cookie) in ports.zip(1..) {
            let mut event = Event::new_zeroed();
            (event.cookie, event.time_ns, event.remote_port) = (cookie, cookie, remote_port);
            (event.old_state, event.new_state) = (state::CLOSE, state::SYN_SENT);
            tracker.event(&event, &mut |transition| side.add(transition, &names));
        }
        side.end(tracker.iter(), &names, 100_000);
        side.named(&names)
    }

    fn to_port(port: Option<u16>) -> GroupName {
        GroupName::Service { side: Some("remote"), port }
    }

    #[test]
    fn memory_has_a_bound_and_what_is_missing_is_told() {
        // Every second one goes to the same service.
        let ports =
            (0..60_000_u32).map(|number| if number % 2 == 0 { 443 } else { (number % 30_000) as u16 });
        let side = connects(ports);
        assert!(side.groups.len() <= 1_500, "{}", side.groups.len());
        assert_eq!(side.all.begun.total(), 60_000);
        let web = &side.groups[&to_port(Some(443))];
        assert!(web.is_whole && web.begun.total() >= 30_000, "{}", web.begun.total());
        assert!(side.missing_at_most > 0);
        let late = side.groups.values().filter(|group| !group.is_whole).count();
        assert!(late > 100, "{late}");
    }

    #[test]
    fn ports_that_were_given_are_one_group() {
        let mut a = connects([80, 80, 40_000, 50_000].into_iter());
        let mut b = connects([80, 45_000, 45_001, 50_000].into_iter());
        normalise(&mut a, &mut b);
        for (side, given) in [(a, 1), (b, 2)] {
            let services: Vec<_> =
                side.groups.keys().filter(|name| name.kind() == Some(0)).cloned().collect();
            assert_eq!(services, [to_port(None), to_port(Some(80)), to_port(Some(50_000))]);
            assert_eq!(side.groups[&to_port(None)].begun.total(), given);
        }
    }
}
