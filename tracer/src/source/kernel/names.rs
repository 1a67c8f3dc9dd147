//! Names on this host.

use std::collections::HashMap;

use aya::maps::Map;

use crate::{
    facts::{
        names::{CgroupTree, ContainerNames, Names, UnknownName},
        process_cgroups::ProcessCgroup,
    },
    source::kernel::{
        cgroups::Cgroups, command_lines::CommandLines, containers::Containers, mounts::NetnsNames,
        namespaces, processes,
    },
    tcp::{
        netns::{Inum, Netns, NetnsId},
        workload::Workload,
    },
};

/// Looks names up in `/proc` and `/sys/fs/cgroup`.
#[derive(Debug, Default)]
pub struct HostNames {
    cgroups: Cgroups,
    containers: Containers,
    netns_names: NetnsNames,
    command_lines: CommandLines,
    /// Namespaces that were found. Without capabilities they might not be found again.
    netns: HashMap<Netns, NetnsId>,
}

impl HostNames {
    /// From now on hears of cgroups that are made. Must run in a tokio runtime.
    pub(super) fn hear_of_cgroups(&mut self, ring: Map) {
        self.cgroups.hear(ring);
    }

    /// Waits until there may be cgroups to take note of.
    pub(super) async fn cgroups_created(&self) {
        self.cgroups.created().await;
    }

    /// Takes note of cgroups that were created, and looks up the names of containers among them: a container may be gone
    /// when its connection is told of.
    pub(super) fn note_cgroups(&mut self) {
        for workload in self.cgroups.take_created() {
            self.containers.prefetch(&workload);
        }
    }
}

impl Names for HostNames {
    fn cgroup_path(&mut self, id: u64) -> Option<String> {
        self.cgroups.path(id)
    }

    fn container_names(&mut self, cgroup: u64) -> Option<ContainerNames> {
        let path = self.cgroups.path(cgroup)?;
        self.containers.names(&Workload::of(&path))
    }

    fn process_cgroup(&mut self, pid: u32) -> Option<ProcessCgroup> {
        self.cgroups.of_process(pid)
    }

    fn netns_name(&mut self, inum: Inum) -> Option<String> {
        self.netns_names.name(inum)
    }

    fn command_line(&mut self, pid: u32) -> Option<String> {
        self.command_lines.get(pid)
    }

    fn cgroups(&mut self) -> Option<CgroupTree> {
        self.cgroups.tree()
    }

    fn cgroups_of_processes(&mut self) -> Vec<(u64, String)> {
        self.cgroups.of_processes()
    }

    fn processes(&mut self) -> Option<HashMap<u32, Vec<u8>>> {
        processes::named()
    }

    fn netns(&mut self, netns: &Netns) -> Result<NetnsId, UnknownName> {
        if let Some(id) = self.netns.get(netns) {
            return Ok(*id);
        }
        let id = namespaces::resolve(netns)?;
        self.netns.insert(netns.clone(), id);
        Ok(id)
    }

    fn check_pids(&self) -> Result<(), UnknownName> {
        processes::check_ids()
    }
}
