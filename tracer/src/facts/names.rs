//! Names of what the kernel numbers: cgroups and network namespaces. Only the source knows them, because they
//! are those of the host that the events come from.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use crate::tcp::netns::{Netns, NetnsId, NetnsIds};

/// Looks up names. This happens when something is shown or a filter begins, not for every event.
pub trait Names {
    /// The escaped path of a cgroup below the root of the v2 hierarchy; `None` if the cgroup is gone or not
    /// visible.
    fn cgroup_path(&mut self, id: u64) -> Option<String>;

    /// The escaped command line of a process; `None` if it has gone, or has none.
    fn command_line(&mut self, pid: u32) -> Option<String>;

    /// The ids of the cgroup at this path and of all below it.
    fn cgroups_below(&mut self, path: &Path) -> Result<HashSet<u64>, UnknownName>;

    /// The network namespace that a user means.
    fn netns(&mut self, netns: &Netns) -> Result<NetnsId, UnknownName>;

    /// Checks that process ids mean the same to the user as in the events.
    fn check_pids(&self) -> Result<(), UnknownName>;
}

/// A name that the source does not know. The text says which one, and what to give instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnknownName(pub String);

/// The names in a filter, as the user gave them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilterNames {
    /// Network namespaces.
    pub netns: Vec<Netns>,
    /// Cgroups, each with all below it.
    pub cgroups: Vec<PathBuf>,
}

/// What [`FilterNames`] stand for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilterIds {
    /// Network namespaces.
    pub netns: NetnsIds,
    /// Ids of cgroups.
    pub cgroups: HashSet<u64>,
}

impl FilterNames {
    /// Files that refer to network namespaces.
    #[must_use]
    pub fn paths(&self) -> Vec<PathBuf> {
        let path = |netns: &Netns| match netns {
            Netns::Path(path) => Some(path.clone()),
            Netns::Inum(_) | Netns::Pid(_) => None,
        };
        self.netns.iter().filter_map(path).collect()
    }

    /// Looks all of them up.
    ///
    /// # Errors
    /// One of them is unknown.
    pub fn resolve(&self, names: &mut dyn Names) -> Result<FilterIds, UnknownName> {
        let mut ids = FilterIds::default();
        for netns in &self.netns {
            ids.netns.insert(names.netns(netns)?);
        }
        for path in &self.cgroups {
            ids.cgroups.extend(names.cgroups_below(path)?);
        }
        Ok(ids)
    }
}
