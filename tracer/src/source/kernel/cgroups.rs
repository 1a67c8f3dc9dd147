//! The folders of cgroups, which the kernel names by inode number.

use std::{
    collections::{HashMap, HashSet},
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use walkdir::WalkDir;

use crate::{facts::names::Names, text::escape::escaped};

/// The paths that are known so far.
#[derive(Debug, Default)]
pub struct Cgroups {
    paths: HashMap<u64, String>,
    walked: Option<Instant>,
}

/// The hierarchy is walked at most this often.
const PAUSE: Duration = Duration::from_secs(2);

impl Names for Cgroups {
    /// Walks the hierarchy when it meets an id that it does not know.
    fn cgroup_path(&mut self, id: u64) -> Option<String> {
        if id == 0 {
            return None;
        }
        let may_walk = self.walked.is_none_or(|walked| walked.elapsed() > PAUSE);
        if !self.paths.contains_key(&id) && may_walk {
            self.walk();
        }
        self.paths.get(&id).cloned()
    }
}

impl Cgroups {
    fn walk(&mut self) {
        self.walked = Some(Instant::now());
        // Those that are gone do not come back.
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

/// The cgroup at a path and all below it; the path as below `/sys/fs/cgroup`, or below the v2
/// hierarchy's root.
pub fn below(path: &Path) -> Result<HashSet<u64>, String> {
    let told = escaped(path.as_os_str().as_encoded_bytes());
    let below_root = || hierarchy().map(|root| root.join(path.strip_prefix("/").unwrap_or(path)));
    let folder = [Some(path.to_path_buf()), below_root()]
        .into_iter()
        .flatten()
        .find(|folder| folder.join("cgroup.procs").exists())
        .ok_or_else(|| format!("{told} is not a cgroup of the v2 hierarchy: give a folder such as /sys/fs/cgroup/system.slice"))?;
    let folders = WalkDir::new(folder).into_iter().filter_map(Result::ok);
    Ok(folders
        .filter(|entry| entry.file_type().is_dir())
        .filter_map(|entry| Some(entry.metadata().ok()?.ino()))
        .collect())
}

/// Where the v2 hierarchy is mounted.
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
    fn the_root_cgroup_is_one() {
        let root = hierarchy().unwrap();
        assert!(below(&root).unwrap().contains(&root.metadata().unwrap().ino()));
        assert!(below(Path::new("/etc")).is_err());
    }
}
