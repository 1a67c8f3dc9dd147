//! Names of what the kernel numbers: cgroups and network namespaces. Only the source knows them, because they
//! are those of the host that the events come from.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use crate::{
    tcp::{
        cgroup::Cgroup,
        netns::{Inum, Netns, NetnsFilter, NetnsId},
    },
    text::choice::{Choice, Choices},
};

/// The cgroups of the v2 hierarchy.
#[derive(Clone, Debug, Default)]
pub struct CgroupTree {
    /// Where the hierarchy is mounted.
    pub root: PathBuf,
    /// The escaped path of each below the root, by id.
    pub paths: HashMap<u64, String>,
}

/// Looks up names. This happens when something is shown or a filter begins, not for every event.
pub trait Names {
    /// The escaped path of a cgroup below the root of the v2 hierarchy; `None` if the cgroup is gone or not
    /// visible.
    fn cgroup_path(&mut self, id: u64) -> Option<String>;

    /// The escaped command line of a process; `None` if it has gone, has none, or has
    /// not been read yet: whoever shows it asks again.
    fn command_line(&mut self, pid: u32) -> Option<String>;

    /// All cgroups that are there; `None` if the v2 hierarchy is not.
    fn cgroups(&mut self) -> Option<CgroupTree>;

    /// All processes that are there, with their names; `None` if that cannot be told.
    fn processes(&mut self) -> Option<HashMap<u32, Vec<u8>>>;

    /// The escaped name of the network namespace with this inode number: that of the file that keeps it, as with
    /// `ip netns`. `None` if it has none.
    fn netns_name(&mut self, inum: Inum) -> Option<String>;

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
    pub netns: Vec<Choice<Netns>>,
    /// Cgroups, each with all below it.
    pub cgroups: Vec<Choice<Cgroup>>,
}

/// What [`FilterNames`] stand for.
#[derive(Clone, Debug, Default)]
pub struct FilterIds {
    /// Network namespaces.
    pub netns: NetnsFilter,
    /// Cgroups, each by its path below the root.
    pub cgroups: Choices<Cgroup>,
    /// The cgroups that are there, if there is a filter on them.
    pub tree: CgroupTree,
}

impl FilterNames {
    /// Files that refer to network namespaces.
    #[must_use]
    pub fn paths(&self) -> Vec<PathBuf> {
        let path = |netns: &Choice<Netns>| match netns.value() {
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
        let netns = self.netns.iter().map(|netns| netns.clone().try_map(|netns| names.netns(&netns)));
        let netns: Choices<NetnsId> = netns.collect::<Result<_, _>>()?;
        let ids = FilterIds { netns: netns.into(), ..FilterIds::default() };
        if self.cgroups.is_empty() {
            return Ok(ids);
        }
        let tree = names.cgroups().ok_or_else(no_hierarchy)?;
        let cgroups = self.cgroups.iter().map(|cgroup| cgroup.clone().map(|cgroup| cgroup.below(&tree.root)));
        let cgroups: Vec<Choice<Cgroup>> = cgroups.collect();
        for cgroup in cgroups.iter().map(Choice::value) {
            if !cgroup.is_pattern() && !tree.paths.values().any(|path| cgroup.contains(path)) {
                return Err(no_cgroup(cgroup, &tree.root));
            }
        }
        Ok(FilterIds { cgroups: cgroups.into_iter().collect(), tree, ..ids })
    }
}

fn no_hierarchy() -> UnknownName {
    UnknownName(
        "--cgroup: no cgroup v2 hierarchy is mounted here, and sockets belong to cgroups of that".to_owned(),
    )
}

fn no_cgroup(cgroup: &Cgroup, root: &Path) -> UnknownName {
    UnknownName(format!(
        "{cgroup} is not a cgroup of the v2 hierarchy, which is at {}: give a path below that such as /system.slice, a name such as nginx.service, or a pattern such as 'system.slice/*'",
        root.display()
    ))
}
