//! Paths of cgroups. The id that the kernel reports is the inode number of the cgroup's directory. Those that are
//! made while events are captured are heard of; all others are looked for.

use std::{
    collections::{HashMap, VecDeque},
    fmt, fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use aya::maps::{Map, MapData, RingBuf};
use tracer_common::cgroup::{MadeCgroup, PATH_LEN};
use walkdir::{DirEntry, WalkDir};

use crate::{facts::names::CgroupTree, text::escape::escaped};

/// Looks up paths of cgroups, and keeps those that it has found.
#[derive(Debug, Default)]
pub struct Cgroups {
    paths: HashMap<u64, String>,
    /// Those that were made since, or are gone, and in which order that was known.
    others: HashMap<u64, String>,
    order: VecDeque<u64>,
    last_walk: Option<Instant>,
    made: Option<MadeCgroups>,
}

/// Reports of cgroups that are made.
struct MadeCgroups(RingBuf<MapData>);

impl fmt::Debug for MadeCgroups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MadeCgroups")
    }
}

/// Inode number of the root of the whole hierarchy. In a cgroup namespace that of what is mounted may be another.
const ROOT: u64 = 1;

/// Cgroups that stay known when they are gone: connections may still end in them.
const MOST_OTHERS: usize = 16_384;

/// The shortest time between two walks through the hierarchy.
const MIN_PAUSE: Duration = Duration::from_secs(2);

impl Cgroups {
    /// The escaped path of a cgroup. Walks through the hierarchy if the id is unknown.
    pub fn path(&mut self, id: u64) -> Option<String> {
        if id == 0 {
            return None;
        }
        if !self.paths.contains_key(&id) {
            self.note_made();
            if let Some(path) = self.others.get(&id) {
                return Some(path.clone());
            }
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
            if !self.paths.contains_key(&id) {
                self.keep(id, path);
            }
        }
    }

    /// Keeps the path of one that is gone, or may be soon.
    fn keep(&mut self, id: u64, path: String) {
        if self.others.insert(id, path).is_none() {
            self.order.push_back(id);
        }
        if self.order.len() > MOST_OTHERS {
            self.order.pop_front().and_then(|first| self.others.remove(&first));
        }
    }

    /// From now on hears of cgroups that are made, from this ring buffer.
    pub fn hear(&mut self, ring: Map) {
        let is_whole =
            hierarchy().and_then(|root| root.metadata().ok()).is_some_and(|root| root.ino() == ROOT);
        if is_whole {
            self.made = RingBuf::try_from(ring).ok().map(MadeCgroups);
        }
    }

    /// Takes note of those that were made.
    pub fn note_made(&mut self) {
        let Some(mut made) = self.made.take() else {
            return;
        };
        while let Some(record) = made.0.next() {
            if let Some((id, path)) = decode(&record) {
                self.keep(id, path);
            }
        }
        self.made = Some(made);
    }
}

/// The id and the escaped path of a cgroup that was made; `None` if the path is longer than the report.
fn decode(record: &[u8]) -> Option<(u64, String)> {
    let record: &[u8; size_of::<MadeCgroup>()] = record.try_into().ok()?;
    let (id, rest) = record.split_first_chunk()?;
    let (len, path) = rest.split_first_chunk()?;
    let len = usize::try_from(i64::from_ne_bytes(*len)).ok().filter(|len| (2..PATH_LEN).contains(len))?;
    let path = path.get(..len - 1)?;
    Some((u64::from_ne_bytes(*id), escaped(path)))
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
        for id in 0..MOST_OTHERS as u64 {
            cgroups.replace([(1000 + id, "/b".to_owned())].into());
        }
        cgroups.replace(HashMap::new());
        assert_eq!((cgroups.others.len(), cgroups.order.len()), (MOST_OTHERS, MOST_OTHERS));
        assert_eq!(cgroups.path(7), None);
    }

    #[test]
    fn reports_of_cgroups_are_checked() {
        let record = |len: i64, path: &[u8]| {
            let mut record = [&7_u64.to_ne_bytes()[..], &len.to_ne_bytes(), path].concat();
            record.resize(size_of::<MadeCgroup>(), b'x');
            record
        };
        assert_eq!(decode(&record(6, b"/a\nbc\0")), Some((7, "/a\\nbc".to_owned())));
        for len in [-14, 0, 1, 512, i64::MAX] {
            assert_eq!(decode(&record(len, b"/abc\0")), None);
        }
        assert_eq!(decode(&record(5, b"/abc\0")[1..]), None);
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
