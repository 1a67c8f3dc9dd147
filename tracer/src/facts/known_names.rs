//! Names that lines show, as they were when they were found: what has a name may be gone when its line is made.

use std::collections::HashMap;

use tracer_common::Event;

use crate::{
    facts::{
        names::{ContainerNames, Names},
        process_cgroups::{ProcessCgroups, SocketOwner, process_of},
    },
    tcp::{netns::NetnsId, workload::Workload},
    text::width::shorten_front,
};

/// Names that are kept of each kind. More come from cgroups and namespaces that are gone, and are forgotten.
const MOST: usize = 65_536;

/// The longest name that is kept as it is, in columns of a terminal. A line has room for it.
const LONGEST: usize = 1024;

/// The names that are known.
#[derive(Clone, Debug, Default)]
pub struct KnownNames {
    cgroups: HashMap<u64, KnownCgroup>,
    processes: ProcessCgroups,
    /// The first cgroup of each container that was met, by the container's identifier.
    containers: HashMap<Box<str>, u64>,
    netns: HashMap<NetnsId, Box<str>>,
    users: HashMap<u32, Box<str>>,
}

/// What is known of a cgroup.
#[derive(Clone, Debug)]
pub struct KnownCgroup {
    path: Box<str>,
    workload: Workload,
    names: ContainerNames,
    /// The first cgroup of its container that was met; 0 if it belongs to none.
    container: u64,
    /// How often it was met while its container did not have all names.
    met: u32,
}

impl KnownCgroup {
    /// The container's identifier.
    #[must_use]
    pub fn container_id(&self) -> Option<&str> {
        self.workload.container.as_deref()
    }

    /// The unit of systemd.
    #[must_use]
    pub fn unit(&self) -> Option<&str> {
        self.workload.unit.as_deref()
    }

    /// Whether it belongs to no container.
    #[must_use]
    pub const fn is_outside(&self) -> bool {
        self.container == 0
    }

    /// The same as [`Self::names`], with the container's identifier if it has no name.
    #[must_use]
    pub fn container_names(&self) -> ContainerNames {
        let id = ContainerNames { container: self.workload.container.clone(), ..ContainerNames::default() };
        self.names.clone().or(id)
    }

    /// Names of the container and its pod.
    #[must_use]
    pub const fn names(&self) -> &ContainerNames {
        &self.names
    }
}

impl KnownNames {
    /// Looks up the names of an event's cgroup and namespace, unless they are known.
    pub fn learn(&mut self, event: &Event, names: &mut dyn Names) {
        self.learn_ids(event.cgroup, NetnsId::new(event.netns, event.netns_cookie), names);
        if let Some(pid) = process_of(event) {
            self.learn_process(pid, event.time_ns, names);
        }
    }

    /// Looks up the names of the cgroup in which a process runs, unless they are known.
    pub fn learn_process(&mut self, pid: u32, at_ns: u64, names: &mut dyn Names) {
        if let Some(cgroup) = self.processes.learn(pid, at_ns, names) {
            self.learn_cgroup(cgroup.id, names);
        }
    }

    /// Looks up the names of a cgroup and a namespace, unless they are known; 0 is none.
    pub fn learn_ids(&mut self, cgroup: u64, netns: NetnsId, names: &mut dyn Names) {
        if cgroup != 0 {
            self.learn_cgroup(cgroup, names);
        }
        learn(&mut self.netns, netns, netns.inum != 0, |id| names.netns_name(id.inum));
    }

    fn learn_cgroup(&mut self, id: u64, names: &mut dyn Names) {
        if let Some(known) = self.cgroups.get_mut(&id) {
            // A container's names may come later than its cgroup, and one by one.
            if known.container != 0 && !known.names.are_all_of(&known.workload) {
                known.met = known.met.saturating_add(1);
                // Many have none, and are met with each event.
                if known.met.is_power_of_two() {
                    let before = std::mem::take(&mut known.names);
                    known.names = names.container_names(id).unwrap_or_default().or(before);
                }
            }
            return;
        }
        let Some(mut path) = names.cgroup_path(id) else {
            return;
        };
        if self.cgroups.len() >= MOST {
            self.cgroups.clear();
            self.containers.clear();
        }
        let workload = Workload::of(&path);
        shorten_front(&mut path, LONGEST);
        let names = names.container_names(id).unwrap_or_default();
        // In a recording without real names the path says nothing.
        let container = workload.container.as_ref().or(names.container.as_ref());
        let first = |container: &String| *self.containers.entry(container.as_str().into()).or_insert(id);
        let container = container.map_or(0, first);
        self.cgroups.insert(id, KnownCgroup { path: path.into(), workload, names, container, met: 0 });
    }

    /// Looks up the name of a user, unless it is known.
    pub fn learn_user(&mut self, uid: u32, look_up: impl FnOnce(u32) -> Option<String>) {
        learn(&mut self.users, uid, true, look_up);
    }

    /// The escaped path of a cgroup.
    #[must_use]
    pub fn cgroup(&self, id: u64) -> Option<&str> {
        self.cgroups.get(&id).map(|known| known.path.as_ref())
    }

    /// What is known of whose a cgroup is.
    #[must_use]
    pub fn of_cgroup(&self, id: u64) -> Option<&KnownCgroup> {
        self.cgroups.get(&id)
    }

    /// What is known of the cgroup that a socket belongs to.
    #[must_use]
    pub fn workload(&self, owner: SocketOwner) -> Option<&KnownCgroup> {
        self.cgroups.get(&self.processes.of(owner)?)
    }

    /// A cgroup that stands for all of the socket's container; 0 if it belongs to none, `None` if that is not known.
    #[must_use]
    pub fn container_of(&self, owner: SocketOwner) -> Option<u64> {
        Some(self.workload(owner)?.container)
    }

    /// The escaped name of a user.
    #[must_use]
    pub fn user(&self, uid: u32) -> Option<&str> {
        self.users.get(&uid).map(Box::as_ref)
    }

    /// The escaped name of a network namespace.
    #[must_use]
    pub fn netns(&self, id: NetnsId) -> Option<&str> {
        self.netns.get(&id).map(Box::as_ref)
    }
}

fn learn<Id: Copy + Eq + std::hash::Hash>(
    known: &mut HashMap<Id, Box<str>>,
    id: Id,
    exists: bool,
    look_up: impl FnOnce(Id) -> Option<String>,
) {
    if !exists || known.contains_key(&id) {
        return;
    }
    if known.len() >= MOST {
        known.clear();
    }
    if let Some(mut name) = look_up(id) {
        shorten_front(&mut name, LONGEST);
        known.insert(id, name.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::script::Script;

    #[test]
    fn cgroups_of_a_container_stand_together() {
        let id = "0123456789abcdef".repeat(4);
        let web = ContainerNames { container: Some("web".to_owned()), ..ContainerNames::default() };
        let mut names = Script::default()
            .cgroup(5, &format!("/machine.slice/libpod-{id}.scope/container"))
            .cgroup(6, &format!("/machine.slice/libpod-{id}.scope"))
            .cgroup(7, "/system.slice/ssh.service")
            .container(5, web.clone());
        let mut known = KnownNames::default();
        let container =
            |known: &KnownNames, cgroup| known.container_of(SocketOwner { cgroup, ..SocketOwner::UNKNOWN });
        for cgroup in [0, 5, 6, 7, 8] {
            known.learn_ids(cgroup, NetnsId::default(), &mut names);
        }
        assert_eq!([5, 6, 7, 8].map(|cgroup| container(&known, cgroup)), [Some(5), Some(5), Some(0), None]);
        let unit = known.of_cgroup(7).and_then(KnownCgroup::unit);
        assert_eq!(unit, Some("ssh.service"));
        // Names that are found later.
        assert!(known.of_cgroup(6).is_some_and(|known| known.names().is_empty()));
        names = names.container(6, web);
        known.learn_ids(6, NetnsId::default(), &mut names);
        assert_eq!(known.of_cgroup(6).and_then(|known| known.names().container.as_deref()), Some("web"));
    }
}
