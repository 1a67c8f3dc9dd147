//! Names of what the kernel numbers: cgroups and network namespaces. Only the source knows them, because they
//! are those of the host that the events come from.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use crate::{
    facts::process_cgroups::ProcessCgroup,
    tcp::{
        cgroup::Cgroup,
        netns::{Inum, Netns, NetnsFilter, NetnsId},
        workload::Workload,
    },
    text::{
        choice::{Choice, Choices},
        glob::Glob,
    },
};

/// The cgroups of the v2 hierarchy.
#[derive(Clone, Debug, Default)]
pub struct CgroupTree {
    /// Where the hierarchy is mounted.
    pub root: PathBuf,
    /// The escaped path of each below the root, by id.
    pub paths: HashMap<u64, String>,
}

/// What a container's runtime and Kubernetes call it, escaped. `None`: it has no such name, or it was not found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct ContainerNames {
    /// The container.
    pub container: Option<String>,
    /// Its pod.
    pub pod: Option<String>,
    /// The pod's namespace in Kubernetes.
    pub k8s_namespace: Option<String>,
}

impl ContainerNames {
    /// Whether there is no name.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether these are all names that can be found for a workload: they may come one by one.
    #[must_use]
    pub fn are_all_of(&self, workload: &Workload) -> bool {
        (self.container.is_some() || workload.oci_id().is_none())
            && (self.pod.is_some() || workload.pod_uid.is_none())
    }

    /// The names, if there is one.
    #[must_use]
    pub fn some(self) -> Option<Self> {
        (!self.is_empty()).then_some(self)
    }

    /// The names of `self`, and those of `other` that `self` lacks.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            container: self.container.or(other.container),
            pod: self.pod.or(other.pod),
            k8s_namespace: self.k8s_namespace.or(other.k8s_namespace),
        }
    }

    /// Each of the names.
    pub fn each_mut(&mut self) -> impl Iterator<Item = &mut String> {
        [&mut self.container, &mut self.pod, &mut self.k8s_namespace].into_iter().flatten()
    }
}

/// Looks up names. This happens when something is shown, a filter begins or a container starts, not for every event.
pub trait Names {
    /// The escaped path of a cgroup below the root of the v2 hierarchy; `None` if the cgroup is gone or not
    /// visible.
    fn cgroup_path(&mut self, id: u64) -> Option<String>;

    /// The names of the container that a cgroup belongs to; `None` if it belongs to none, or they were not found.
    fn container_names(&mut self, cgroup: u64) -> Option<ContainerNames>;

    /// In which cgroup a process runs, of the v2 hierarchy or, on hosts that have processes there in its root only, of
    /// another one; `None` if it is gone, or may not be seen.
    fn process_cgroup(&mut self, pid: u32) -> Option<ProcessCgroup>;

    /// The escaped command line of a process; `None` if it has gone, has none, or has
    /// not been read yet: whoever shows it asks again.
    fn command_line(&mut self, pid: u32) -> Option<String>;

    /// All cgroups that are there; `None` if the v2 hierarchy is not.
    fn cgroups(&mut self) -> Option<CgroupTree>;

    /// The cgroups of other hierarchies in which processes run now, with their escaped paths. A recording has none.
    fn cgroups_of_processes(&mut self) -> Vec<(u64, String)> {
        Vec::new()
    }

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
    /// Whose cgroups: these are asked for by patterns, and need not be there.
    pub workloads: Box<WorkloadChoices>,
}

/// Patterns for what runs in a cgroup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkloadChoices {
    /// Names and identifiers of containers.
    pub containers: Choices<Glob>,
    /// Names of pods.
    pub pods: Choices<Glob>,
    /// Namespaces of Kubernetes.
    pub k8s_namespaces: Choices<Glob>,
    /// Units of systemd.
    pub units: Choices<Glob>,
}

impl WorkloadChoices {
    /// Whether everything passes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.need_names() && self.units.is_empty()
    }

    /// Whether names of containers are needed.
    #[must_use]
    pub fn need_names(&self) -> bool {
        !(self.containers.is_empty() && self.pods.is_empty() && self.k8s_namespaces.is_empty())
    }
}

/// What [`FilterNames`] stand for.
#[derive(Clone, Debug, Default)]
pub struct FilterIds {
    /// Network namespaces.
    pub netns: NetnsFilter,
    /// Cgroups, each by its path below the root.
    pub cgroups: Choices<Cgroup>,
    /// Patterns for what runs in a cgroup.
    pub workloads: WorkloadChoices,
    /// The cgroups that are there, if there is a filter on them.
    pub tree: CgroupTree,
    /// Names of the containers that they belong to, if there is a filter on these.
    pub containers: HashMap<u64, ContainerNames>,
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
        if self.cgroups.is_empty() && self.workloads.is_empty() {
            return Ok(ids);
        }
        let mut tree = match names.cgroups() {
            Some(tree) => tree,
            None if self.cgroups.is_empty() => CgroupTree::default(),
            None => return Err(no_hierarchy()),
        };
        let cgroups = self.cgroups.iter().map(|cgroup| cgroup.clone().map(|cgroup| cgroup.below(&tree.root)));
        let cgroups: Vec<Choice<Cgroup>> = cgroups.collect();
        for cgroup in cgroups.iter().map(Choice::value) {
            if !cgroup.is_pattern() && !tree.paths.values().any(|path| cgroup.contains(path)) {
                return Err(no_cgroup(cgroup, &tree.root));
            }
        }
        if !self.workloads.is_empty() {
            tree.paths.extend(names.cgroups_of_processes());
        }
        let named = tree.paths.keys().filter(|_| self.workloads.need_names());
        let containers = named.filter_map(|id| Some((*id, names.container_names(*id)?))).collect();
        let cgroups = cgroups.into_iter().collect();
        Ok(FilterIds { cgroups, workloads: *self.workloads.clone(), tree, containers, ..ids })
    }
}

fn no_hierarchy() -> UnknownName {
    UnknownName(
        "--cgroup: no cgroup v2 hierarchy is mounted here, and sockets are made in cgroups of that"
            .to_owned(),
    )
}

fn no_cgroup(cgroup: &Cgroup, root: &Path) -> UnknownName {
    UnknownName(format!(
        "{cgroup} is not a cgroup of the v2 hierarchy, which is at {}: give a path below that such as /system.slice, a name such as nginx.service, or a pattern such as 'system.slice/*'",
        root.display()
    ))
}
