//! Names that a recording has. A view is told those and no others: a replay knows no more.

use std::collections::{HashMap, HashSet, hash_map::Entry as Slot};

use tracer_common::Event;

use crate::{
    facts::{
        holders::Holders,
        names::{CgroupTree, ContainerNames, Names},
        process_cgroups::{LOOK_AGAIN_NS, ProcessCgroup, process_of},
    },
    recording::name::Name,
    tcp::netns::Inum,
};

/// Names that are kept of each kind.
const MOST: usize = 65_536;

/// Names as they are in the recording: a view must not know more than a replay does.
#[derive(Default)]
pub(super) struct RecordedNames {
    cgroups: HashMap<u64, RecordedName<String>>,
    containers: HashMap<u64, RecordedName<ContainerNames>>,
    netns: HashMap<Inum, RecordedName<String>>,
    processes: HashMap<u32, RecordedName<ProcessCgroup>>,
    /// Names that are not in the recording yet.
    unwritten: Vec<Name>,
    /// What a view asked for that no fact has mentioned. It is looked up for the next fact: a replay has it from there.
    asked: (HashSet<u64>, HashSet<Inum>, HashSet<u32>),
    now_ns: u64,
}

/// A name, and when it was last looked up.
struct RecordedName<T> {
    name: Option<T>,
    at_ns: u64,
}

impl RecordedNames {
    /// The path of a cgroup, if it is in the recording.
    pub(super) fn cgroup_path(&mut self, id: u64) -> Option<String> {
        let known = self.cgroups.get(&id);
        if known.is_none() {
            self.asked.0.insert(id);
        }
        known?.name.clone()
    }

    /// The names of a cgroup's container, if they are in the recording.
    pub(super) fn container_names(&mut self, cgroup: u64) -> Option<ContainerNames> {
        let known = self.containers.get(&cgroup);
        if known.is_none() {
            self.asked.0.insert(cgroup);
        }
        known?.name.clone()
    }

    /// The name of a namespace, if it is in the recording.
    pub(super) fn netns_name(&mut self, inum: Inum) -> Option<String> {
        let known = self.netns.get(&inum);
        if known.is_none() {
            self.asked.1.insert(inum);
        }
        known?.name.clone()
    }

    /// The cgroup of a process, if it is in the recording.
    pub(super) fn process_cgroup(&mut self, pid: u32) -> Option<ProcessCgroup> {
        let known = self.processes.get(&pid);
        if known.is_none() {
            self.asked.2.insert(pid);
        }
        known?.name
    }

    /// Adds a name that was looked up elsewhere.
    pub(super) fn add(&mut self, name: Name) {
        self.unwritten.push(name);
    }

    /// Takes the names that have to be written before the next fact.
    pub(super) fn take_unwritten(&mut self) -> Vec<Name> {
        std::mem::take(&mut self.unwritten)
    }

    /// All names have to be said again.
    pub(super) fn repeat(&mut self, tree: Option<CgroupTree>) {
        self.unwritten =
            tree.map(|CgroupTree { root, paths }| Name::Cgroups(root, paths)).into_iter().collect();
        let cgroups = self.cgroups.iter().map(|(id, known)| Name::Cgroup(*id, known.name.clone()));
        let netns = self.netns.iter().map(|(inum, known)| Name::Netns(*inum, known.name.clone()));
        let named = self.containers.iter().filter_map(|(id, known)| Some((*id, known.name.clone()?)));
        let containers = named.map(|(id, names)| Name::Container(id, names));
        let processes = self.processes.iter().filter_map(|(pid, known)| Some((*pid, known.name?)));
        let processes = processes.map(|(pid, cgroup)| Name::Process(pid, cgroup));
        self.unwritten.extend(cgroups.chain(netns).chain(containers).chain(processes));
    }

    /// Takes the time of the next fact, and looks up what was asked for meanwhile.
    pub(super) fn begin_fact(&mut self, now_ns: u64, names: &mut dyn Names) {
        self.now_ns = now_ns;
        let (cgroups, netns, processes) = std::mem::take(&mut self.asked);
        for id in cgroups {
            self.learn_cgroup(id, names);
        }
        for inum in netns {
            self.learn_netns(inum, names);
        }
        for pid in processes {
            self.learn_process(pid, now_ns, names);
        }
    }

    /// Looks up the names of events, unless they are known.
    pub(super) fn learn(&mut self, events: &[Event], names: &mut dyn Names) {
        let mut last = (0, 0);
        let mut last_pid = None;
        for event in events.iter().filter(|event| event.cgroup != 0 || event.netns != 0) {
            if (event.cgroup, event.netns) != last {
                last = (event.cgroup, event.netns);
                self.learn_cgroup(event.cgroup, names);
                self.learn_netns(event.netns, names);
            }
            let pid = process_of(event);
            if let Some(new) = pid.filter(|_| pid != last_pid) {
                last_pid = pid;
                self.learn_process(new, event.time_ns, names);
            }
        }
    }

    /// Looks up the cgroups of those who hold sockets.
    pub(super) fn learn_holders(&mut self, holders: &Holders, names: &mut dyn Names) {
        for of_socket in holders.by_socket() {
            let holder = of_socket.first().into_iter();
            holder.for_each(|holder| self.learn_process(holder.pid, self.now_ns, names));
        }
    }

    /// Looks up the cgroup of a process, unless that was done a short time ago. It may change.
    fn learn_process(&mut self, pid: u32, at_ns: u64, names: &mut dyn Names) {
        if self.processes.len() >= MOST {
            self.processes.clear();
        }
        let known = self.processes.entry(pid);
        let before = match &known {
            Slot::Occupied(known) if at_ns < known.get().at_ns.saturating_add(LOOK_AGAIN_NS) => return,
            Slot::Occupied(known) => known.get().name,
            Slot::Vacant(_) => None,
        };
        let name = ProcessCgroup::look_again(pid, before, at_ns, names);
        known.insert_entry(RecordedName { name, at_ns });
        if let Some(cgroup) = name.filter(|_| name != before) {
            self.unwritten.push(Name::Process(pid, cgroup));
            self.learn_cgroup(cgroup.id, names);
        }
    }

    /// Looks up the names of a cgroup, unless they are known.
    pub(super) fn learn_cgroup(&mut self, id: u64, names: &mut dyn Names) {
        let Self { cgroups, containers, unwritten, now_ns, .. } = self;
        let path = |name| unwritten.push(Name::Cgroup(id, name));
        learn(cgroups, id, *now_ns, |_| true, || names.cgroup_path(id), path);
        let new = |names: Option<ContainerNames>| {
            unwritten.extend(names.map(|names| Name::Container(id, names)));
        };
        // That of the pod may be found before that of the container.
        let is_final = |names: &ContainerNames| names.container.is_some();
        learn(containers, id, *now_ns, is_final, || names.container_names(id), new);
    }

    /// Looks up the name of a namespace, unless it is known.
    pub(super) fn learn_netns(&mut self, inum: Inum, names: &mut dyn Names) {
        let Self { netns, unwritten, now_ns, .. } = self;
        learn(
            netns,
            inum,
            *now_ns,
            |_| true,
            || names.netns_name(inum),
            |name| unwritten.push(Name::Netns(inum, name)),
        );
    }
}

/// Looks a name up unless it is known, and hands out what is new.
fn learn<Id: Copy + Eq + std::hash::Hash, T: Clone + PartialEq>(
    known: &mut HashMap<Id, RecordedName<T>>,
    id: Id,
    at_ns: u64,
    is_final: impl FnOnce(&T) -> bool,
    look_up: impl FnOnce() -> Option<T>,
    new: impl FnOnce(Option<T>),
) {
    if known.len() >= MOST {
        known.clear();
    }
    match known.entry(id) {
        Slot::Vacant(slot) => {
            let name = look_up();
            new(name.clone());
            slot.insert(RecordedName { name, at_ns });
        }
        Slot::Occupied(mut slot) => {
            let known = slot.get_mut();
            if known.name.as_ref().is_some_and(is_final) || at_ns < known.at_ns.saturating_add(LOOK_AGAIN_NS)
            {
                return;
            }
            known.at_ns = at_ns;
            let found = look_up();
            if found.is_some() && found != known.name {
                new(found.clone());
                known.name = found;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Source as _, script::Script};

    /// A view that asks between two facts gets a name when a replay has it: with the next fact.
    #[test]
    fn a_view_knows_no_name_before_a_replay_does() {
        let mut script = Script::starting_at(0, 0).cgroup(7, "/a");
        let mut names = RecordedNames::default();
        assert_eq!(names.cgroup_path(7), None);
        names.begin_fact(1, script.names());
        assert_eq!(names.take_unwritten(), [Name::Cgroup(7, Some("/a".into()))]);
        assert_eq!(names.cgroup_path(7).as_deref(), Some("/a"));
    }

    /// Neither does one that asks when it is time to look again.
    #[test]
    fn a_name_that_comes_late_comes_with_a_fact() {
        let mut names = RecordedNames::default();
        names.learn_cgroup(7, Script::starting_at(0, 0).names());
        assert_eq!(names.take_unwritten(), [Name::Cgroup(7, None)]);
        let mut script = Script::starting_at(0, 0).cgroup(7, "/a");
        names.begin_fact(LOOK_AGAIN_NS, script.names());
        assert_eq!((names.cgroup_path(7), names.take_unwritten()), (None, vec![]));
        names.learn_cgroup(7, script.names());
        assert_eq!(names.take_unwritten(), [Name::Cgroup(7, Some("/a".into()))]);
        assert_eq!(names.cgroup_path(7).as_deref(), Some("/a"));
    }
}
