//! Paths of cgroups. The id that the kernel reports is the inode number of the cgroup's directory.

use std::{
    collections::{HashMap, HashSet},
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use walkdir::WalkDir;

use crate::{facts::names::UnknownName, text::escape::escaped};

/// Looks up paths of cgroups, and keeps those that it has found.
#[derive(Debug, Default)]
pub struct Cgroups {
    paths: HashMap<u64, String>,
    last_walk: Option<Instant>,
}

/// The shortest time between two walks through the hierarchy.
const MIN_PAUSE: Duration = Duration::from_secs(2);

impl Cgroups {
    /// The escaped path of a cgroup. Walks through the hierarchy if the id is unknown.
    pub fn path(&mut self, id: u64) -> Option<String> {
        if id == 0 {
            return None;
        }
        let may_walk = self.last_walk.is_none_or(|last_walk| last_walk.elapsed() > MIN_PAUSE);
        if !self.paths.contains_key(&id) && may_walk {
            self.walk();
        }
        self.paths.get(&id).cloned()
    }

    fn walk(&mut self) {
        self.last_walk = Some(Instant::now());
        // Ids of cgroups that are gone are not used again, so their paths can be dropped.
        self.paths.clear();
        let Some(root) = hierarchy() else {
            return;
        };
        for folder in WalkDir::new(&root).into_iter().filter_map(Result::ok) {
            if folder.file_type().is_dir()
                && let (Ok(metadata), Ok(below)) = (folder.metadata(), folder.path().strip_prefix(&root))
            {
                let path = format!("/{}", escaped(below.as_os_str().as_encoded_bytes()));
                self.paths.insert(metadata.ino(), path);
            }
        }
    }
}

/// Ids of the cgroup at a path and of all below it. The path is one in the file system, or one below the
/// root of the v2 hierarchy.
pub fn below(path: &Path) -> Result<HashSet<u64>, UnknownName> {
    let name = escaped(path.as_os_str().as_encoded_bytes());
    let below_root = || hierarchy().map(|root| root.join(path.strip_prefix("/").unwrap_or(path)));
    let folder = [Some(path.to_path_buf()), below_root()]
        .into_iter()
        .flatten()
        .find(|folder| folder.join("cgroup.procs").exists())
        .ok_or_else(|| UnknownName(format!("{name} is not a cgroup of the v2 hierarchy: give a folder such as /sys/fs/cgroup/system.slice")))?;
    let folders = WalkDir::new(folder).into_iter().filter_map(Result::ok);
    Ok(folders
        .filter(|entry| entry.file_type().is_dir())
        .filter_map(|entry| Some(entry.metadata().ok()?.ino()))
        .collect())
}

/// Where the cgroup v2 hierarchy is mounted; `None` if it is not.
#[must_use]
pub fn hierarchy() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    let mut fields = mounts.lines().map(|line| line.split(' '));
    fields.find_map(|mut line| {
        let folder = line.nth(1)?;
        (line.next()? == "cgroup2").then(|| folder.into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cgroups_below_a_path_are_found_by_their_inodes() {
        let folder = tempfile::tempdir().unwrap();
        let inode = |path: &Path| path.metadata().unwrap().ino();
        let inner = folder.path().join("inner");
        fs::create_dir(&inner).unwrap();
        assert!(below(folder.path()).is_err(), "it is no cgroup yet");
        fs::write(folder.path().join("cgroup.procs"), "").unwrap();
        assert_eq!(below(folder.path()), Ok(HashSet::from([inode(folder.path()), inode(&inner)])));
    }
}
