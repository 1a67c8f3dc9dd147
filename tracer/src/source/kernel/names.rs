//! Names on this host.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
};

use crate::{
    facts::names::{Names, UnknownName},
    source::kernel::{
        cgroups::{self, Cgroups},
        namespaces, processes,
    },
    tcp::netns::{Inum, Netns},
};

/// Looks names up in `/proc` and `/sys/fs/cgroup`.
#[derive(Debug, Default)]
pub struct HostNames {
    cgroups: Cgroups,
    /// Namespaces that were found. Without capabilities they might not be found again.
    netns: HashMap<Netns, Inum>,
}

impl Names for HostNames {
    fn cgroup_path(&mut self, id: u64) -> Option<String> {
        self.cgroups.path(id)
    }

    fn cgroups_below(&mut self, path: &Path) -> Result<HashSet<u64>, UnknownName> {
        cgroups::below(path)
    }

    fn netns(&mut self, netns: &Netns) -> Result<Inum, UnknownName> {
        if let Some(inum) = self.netns.get(netns) {
            return Ok(*inum);
        }
        let inum = namespaces::resolve(netns)?;
        self.netns.insert(netns.clone(), inum);
        Ok(inum)
    }

    fn check_pids(&self) -> Result<(), UnknownName> {
        processes::check_ids()
    }
}
