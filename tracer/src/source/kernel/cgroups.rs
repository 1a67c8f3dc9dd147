//! Paths of cgroups. The id that the kernel reports is the inode number of the cgroup's directory.

use std::{
    collections::{HashMap, VecDeque},
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use walkdir::{DirEntry, WalkDir};

use crate::{facts::names::CgroupTree, text::escape::escaped};

/// Looks up paths of cgroups, and keeps those that it has found.
#[derive(Debug, Default)]
pub struct Cgroups {
    paths: HashMap<u64, String>,
    /// Those that are gone, and in which order they were found to be.
    gone: HashMap<u64, String>,
    gone_order: VecDeque<u64>,
    last_walk: Option<Instant>,
}

/// Cgroups that are gone and stay known: connections may still end in them.
const MOST_GONE: usize = 16_384;

/// The shortest time between two walks through the hierarchy.
const MIN_PAUSE: Duration = Duration::from_secs(2);

impl Cgroups {
    /// The escaped path of a cgroup. Walks through the hierarchy if the id is unknown.
    pub fn path(&mut self, id: u64) -> Option<String> {
        if id == 0 {
            return None;
        }
        if let Some(path) = self.gone.get(&id) {
            return Some(path.clone());
        }
        let may_walk = self.last_walk.is_none_or(|last_walk| last_walk.elapsed() > MIN_PAUSE);
        if !self.paths.contains_key(&id) && may_walk {
            self.walk();
        }
        self.paths.get(&id).cloned()
    }

    /// All cgroups that are there now.
    pub fn tree(&mut self) -> Option<CgroupTree> {
        let root = hierarchy()?;
        self.walk();
        Some(CgroupTree { root, paths: self.paths.clone() })
    }

    fn walk(&mut self) {
        self.last_walk = Some(Instant::now());
        let there = hierarchy().map(|root| paths_below(&root)).unwrap_or_default();
        self.replace(there);
    }

    /// Takes the cgroups that are there now. Ids of those that are gone are not used again.
    fn replace(&mut self, there: HashMap<u64, String>) {
        for (id, path) in std::mem::replace(&mut self.paths, there) {
            if !self.paths.contains_key(&id) && self.gone.insert(id, path).is_none() {
                self.gone_order.push_back(id);
            }
        }
        while self.gone_order.len() > MOST_GONE {
            self.gone_order.pop_front().and_then(|first| self.gone.remove(&first));
        }
    }
}

/// The escaped paths of all cgroups, below the root of their hierarchy, by their ids.
fn paths_below(root: &Path) -> HashMap<u64, String> {
    let folders = WalkDir::new(root).into_iter().filter_map(Result::ok);
    let path = |folder: DirEntry| {
        let below = folder.path().strip_prefix(root).ok()?;
        let path = format!("/{}", escaped(below.as_os_str().as_encoded_bytes()));
        Some((folder.metadata().ok()?.ino(), path))
    };
    folders.filter(|entry| entry.file_type().is_dir()).filter_map(path).collect()
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
    fn cgroups_that_are_gone_stay_known_for_a_while() {
        let mut cgroups = Cgroups { last_walk: Some(Instant::now()), ..Cgroups::default() };
        cgroups.replace([(7, "/a".to_owned())].into());
        cgroups.replace(HashMap::new());
        assert!(cgroups.paths.is_empty());
        assert_eq!(cgroups.path(7).as_deref(), Some("/a"));
        for id in 0..MOST_GONE as u64 {
            cgroups.replace([(1000 + id, "/b".to_owned())].into());
        }
        cgroups.replace(HashMap::new());
        assert_eq!((cgroups.gone.len(), cgroups.gone_order.len()), (MOST_GONE, MOST_GONE));
        assert_eq!(cgroups.path(7), None);
    }

    #[test]
    fn cgroups_are_found_by_their_inodes() {
        let folder = tempfile::tempdir().unwrap();
        let inode = |path: &Path| path.metadata().unwrap().ino();
        let inner = folder.path().join("a\nb").join("inner");
        fs::create_dir_all(&inner).unwrap();
        fs::write(folder.path().join("cgroup.procs"), "").unwrap();
        let paths = paths_below(folder.path());
        assert_eq!(paths.len(), 3);
        assert_eq!(paths[&inode(folder.path())], "/");
        assert_eq!(paths[&inode(&inner)], "/a\\nb/inner");
    }
}
