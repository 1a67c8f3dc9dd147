//! Names that were looked up on the host that a recording comes from.

use std::{collections::HashMap, path::PathBuf};

use crate::facts::{names::ContainerNames, process_cgroups::ProcessCgroup};

/// A name, escaped, as it was found at its place in the recording. `None`: it has none, or it was not found.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Name {
    /// The path of a cgroup below the root of the v2 hierarchy.
    Cgroup(u64, Option<String>),
    /// The name of a network namespace, by its inode number.
    Netns(u32, Option<String>),
    /// The command line of a process.
    CommandLine(u32, Option<String>),
    /// All cgroups that were there, and where the hierarchy was mounted.
    Cgroups(PathBuf, HashMap<u64, String>),
    /// The names of the container that a cgroup belongs to. There is none if they were not found.
    Container(u64, ContainerNames),
    /// In which cgroup a process runs, by its id: true until something else is said of it.
    Process(u32, ProcessCgroup),
}
