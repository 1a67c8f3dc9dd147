//! Names on this host.

use std::collections::HashMap;

use crate::{
<<<<<<< HEAD
    facts::names::{CgroupTree, Names, UnknownName},
    source::kernel::{cgroups::Cgroups, namespaces, processes},
    tcp::netns::{Netns, NetnsId},
=======
    facts::names::{Names, UnknownName},
    source::kernel::{
        cgroups::{self, Cgroups},
        mounts::NetnsNames,
        namespaces, processes,
    },
    tcp::netns::{Inum, Netns, NetnsId},
>>>>>>> 199d83c (The log's manners: slow states, groups, names, and a receipt that adds up)
};

/// Looks names up in `/proc` and `/sys/fs/cgroup`.
#[derive(Debug, Default)]
pub struct HostNames {
    cgroups: Cgroups,
    netns_names: NetnsNames,
    /// Namespaces that were found. Without capabilities they might not be found again.
    netns: HashMap<Netns, NetnsId>,
}

impl Names for HostNames {
    fn cgroup_path(&mut self, id: u64) -> Option<String> {
        self.cgroups.path(id)
    }

<<<<<<< HEAD
    fn command_line(&mut self, pid: u32) -> Option<String> {
        processes::command_line(pid)
    }

    fn cgroups(&mut self) -> Option<CgroupTree> {
        self.cgroups.tree()
    }

    fn processes(&mut self) -> Option<HashMap<u32, Vec<u8>>> {
        processes::named()
=======
    fn netns_name(&mut self, inum: Inum) -> Option<String> {
        self.netns_names.name(inum)
    }

    fn cgroups_below(&mut self, path: &Path) -> Result<HashSet<u64>, UnknownName> {
        cgroups::below(path)
>>>>>>> 199d83c (The log's manners: slow states, groups, names, and a receipt that adds up)
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
