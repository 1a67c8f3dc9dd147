//! Names in a recording: those that were looked up when it was made.

use std::collections::HashMap;

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

/// The names that have been read.
#[derive(Debug, Default)]
pub struct ReplayedNames {
    cgroups: HashMap<u64, Option<String>>,
    containers: HashMap<u64, ContainerNames>,
    netns: HashMap<Inum, Option<String>>,
    processes: HashMap<u32, ProcessCgroup>,
    command_lines: HashMap<u32, Option<String>>,
    tree: Option<CgroupTree>,
    /// Those that were read last, if a copy asks for them.
    latest: Option<Vec<Name>>,
}

impl ReplayedNames {
    /// Takes a name.
    pub fn learn(&mut self, name: Name) {
        if let Some(latest) = &mut self.latest {
            latest.push(name.clone());
        }
        match name {
            Name::Cgroup(id, path) => keep(&mut self.cgroups, id, path),
            Name::Container(cgroup, mut names) => {
                names.each_mut().for_each(|name| *name = tamed(std::mem::take(name)));
                if self.containers.len() >= MOST {
                    self.containers.clear();
                }
                self.containers.insert(cgroup, names);
            }
            Name::Netns(inum, name) => keep(&mut self.netns, inum, name),
            Name::Process(pid, cgroup) => {
                if self.processes.len() >= MOST {
                    self.processes.clear();
                }
                self.processes.insert(pid, cgroup);
            }
            Name::CommandLine(pid, line) => keep(&mut self.command_lines, pid, line),
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

fn keep<Id: Eq + std::hash::Hash>(names: &mut HashMap<Id, Option<String>>, id: Id, name: Option<String>) {
    if names.len() >= MOST {
        names.clear();
    }
    names.insert(id, name.map(tamed));
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
                let found = self.netns.iter().find(|(_, known)| known.is_some() && **known == name);
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
