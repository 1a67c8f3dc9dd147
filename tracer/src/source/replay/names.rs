//! Names in a recording: those that were looked up when it was made.

use std::{collections::HashMap, hash::Hash};

use crate::{
    facts::{
        names::{CgroupTree, ContainerNames, Names, UnknownName},
        process_cgroups::ProcessCgroup,
    },
    recording::name::Name,
    tcp::netns::{Inum, Netns, NetnsId},
    text::escape::tamed,
};

/// Names that are kept of each kind.
const MOST: usize = 65_536;

/// Bytes that they may take. In a recording of tracer they are few; others may have any.
const MOST_BYTES: usize = 64 << 20;

/// The names that have been read.
#[derive(Debug, Default)]
pub struct ReplayedNames {
    cgroups: KeptNames<u64, Option<String>>,
    containers: KeptNames<u64, ContainerNames>,
    netns: KeptNames<Inum, Option<String>>,
    processes: KeptNames<u32, ProcessCgroup>,
    command_lines: KeptNames<u32, Option<String>>,
    tree: Option<CgroupTree>,
    /// Those that were read last, if a copy asks for them.
    latest: Option<Vec<Name>>,
}

/// Names of one kind. If there are too many, all are forgotten: those that matter come again in the next part.
#[derive(Debug)]
struct KeptNames<Id, T> {
    /// Each with the bytes that it takes.
    by_id: HashMap<Id, (T, usize)>,
    bytes: usize,
}

impl<Id, T> Default for KeptNames<Id, T> {
    fn default() -> Self {
        Self { by_id: HashMap::new(), bytes: 0 }
    }
}

impl<Id: Eq + Hash, T> KeptNames<Id, T> {
    /// Keeps what takes so many bytes besides.
    fn keep(&mut self, id: Id, name: T, bytes: usize) {
        // Each part says all names again.
        if let Some((_, before)) = self.by_id.remove(&id) {
            self.bytes -= before;
        }
        if self.by_id.len() >= MOST || self.bytes + bytes > MOST_BYTES {
            self.by_id.clear();
            self.bytes = 0;
        }
        self.bytes += bytes;
        self.by_id.insert(id, (name, bytes));
    }

    fn get(&self, id: &Id) -> Option<&T> {
        self.by_id.get(id).map(|(name, _)| name)
    }
}

impl<Id: Eq + Hash> KeptNames<Id, Option<String>> {
    fn keep_tamed(&mut self, id: Id, name: Option<String>) {
        let name = name.map(tamed);
        let bytes = name.as_ref().map_or(0, String::len);
        self.keep(id, name, bytes);
    }
}

impl ReplayedNames {
    /// Takes a name.
    pub fn learn(&mut self, name: Name) {
        if let Some(latest) = &mut self.latest {
            latest.push(name.clone());
        }
        match name {
            Name::Cgroup(id, path) => self.cgroups.keep_tamed(id, path),
            Name::Container(cgroup, mut names) => {
                let mut bytes = 0;
                for name in names.each_mut() {
                    *name = tamed(std::mem::take(name));
                    bytes += name.len();
                }
                self.containers.keep(cgroup, names, bytes);
            }
            Name::Netns(inum, name) => self.netns.keep_tamed(inum, name),
            Name::Process(pid, cgroup) => self.processes.keep(pid, cgroup, 0),
            Name::CommandLine(pid, line) => self.command_lines.keep_tamed(pid, line),
            Name::Cgroups(root, paths) => {
                let paths = paths.into_iter().map(|(id, path)| (id, tamed(path))).collect();
                self.tree = Some(CgroupTree { root, paths });
            }
        }
    }
}

impl ReplayedNames {
    /// Keeps names as they were read until they are taken.
    #[must_use]
    pub fn kept() -> Self {
        Self { latest: Some(Vec::new()), ..Self::default() }
    }

    /// Takes the names that were read since this was asked last.
    pub fn take_latest(&mut self) -> Vec<Name> {
        self.latest.as_mut().map(std::mem::take).unwrap_or_default()
    }
}

impl Names for ReplayedNames {
    fn cgroup_path(&mut self, id: u64) -> Option<String> {
        self.cgroups.get(&id).cloned().flatten()
    }

    fn container_names(&mut self, cgroup: u64) -> Option<ContainerNames> {
        self.containers.get(&cgroup).cloned()
    }

    fn process_cgroup(&mut self, pid: u32) -> Option<ProcessCgroup> {
        self.processes.get(&pid).copied()
    }

    fn command_line(&mut self, pid: u32) -> Option<String> {
        self.command_lines.get(&pid).cloned().flatten()
    }

    fn cgroups(&mut self) -> Option<CgroupTree> {
        self.tree.clone()
    }

    fn processes(&mut self) -> Option<HashMap<u32, Vec<u8>>> {
        None
    }

    fn netns_name(&mut self, inum: Inum) -> Option<String> {
        self.netns.get(&inum).cloned().flatten()
    }

    fn netns(&mut self, netns: &Netns) -> Result<NetnsId, UnknownName> {
        match netns {
            Netns::Inum(inum) => Ok(NetnsId::new(*inum, 0)),
            Netns::Path(path) => {
                let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
                let found = self.netns.by_id.iter().find(|(_, (known, _))| known.is_some() && *known == name);
                found.map(|(inum, _)| NetnsId::new(*inum, 0)).ok_or_else(live_only)
            }
            Netns::Pid(_) => Err(live_only()),
        }
    }

    fn check_pids(&self) -> Result<(), UnknownName> {
        Ok(())
    }
}

fn live_only() -> UnknownName {
    UnknownName(
        "--netns: paths and pid:PID are of the host that is running: give the number of the namespace, as in the column netns"
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_again_takes_no_more_room() {
        let mut names = KeptNames::<u64, Option<String>>::default();
        let name = "x".repeat(1 << 20);
        for _ in 0..1_000 {
            names.keep_tamed(1, Some("a".to_owned()));
            names.keep_tamed(2, Some(name.clone()));
        }
        assert!(names.get(&1).is_some() && names.bytes <= 1 + (1 << 20));
        for id in 0..1_000 {
            names.keep_tamed(id, Some(name.clone()));
            assert!(names.bytes <= MOST_BYTES);
        }
        assert!(names.get(&999).is_some() && names.get(&1).is_none());
    }
}
