//! Paths of cgroups. The id that the kernel reports is the inode number of the cgroup's directory. Those that are
//! made while events are captured are heard of; all others are looked for.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    ffi::OsStr,
    fmt, fs, future,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use aya::maps::{Map, RingBuf};
use tokio::time::sleep_until;
use tracer_common::cgroup::{MadeCgroup, PATH_LEN};
use walkdir::{DirEntry, WalkDir};

use crate::{
    facts::{
        names::CgroupTree,
        process_cgroups::{ProcessCgroup, THERE},
    },
    source::kernel::{
        processes,
        rings::{Ring, register},
    },
    tcp::workload::Workload,
    text::escape::escaped,
};

/// Looks up paths of cgroups, and keeps those that it has found.
#[derive(Debug, Default)]
pub struct Cgroups {
    paths: HashMap<u64, String>,
    /// Those that were made since, or are gone, and in which order that was known.
    others: HashMap<u64, String>,
    order: VecDeque<u64>,
    /// Where the paths in `/proc` begin, once that was needed.
    root: Option<PathBuf>,
    /// Those that were looked for in vain: they were gone before.
    absent: HashSet<u64>,
    /// Paths in hierarchies of version 1 that are among the others. Their ids are [`OF_V1`] and more.
    v1: HashMap<String, u64>,
    /// How many ids those have got.
    v1_ids: u64,
    last_walk: Option<Instant>,
    made: Option<MadeCgroups>,
    /// Containers that were created, and that nobody has asked for yet.
    created: VecDeque<Workload>,
    /// Earlier than this nobody need ask for them.
    next_look: Option<Instant>,
}

/// Reports of cgroups that are made.
struct MadeCgroups(Ring);

impl fmt::Debug for MadeCgroups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MadeCgroups")
    }
}

/// Inode number of the root of the whole hierarchy. In a cgroup namespace that of what is mounted may be another.
const ROOT: u64 = 1;

/// Cgroups that stay known when they are gone: connections may still end in them.
const MOST_OTHERS: usize = 16_384;

/// Cgroups of version 1 have ids of their own here: inode numbers of different hierarchies are the same.
const OF_V1: u64 = 1 << 63;

/// At most so many containers that were created wait to be asked for; the names of later ones are looked up when they are shown.
const MOST_CREATED: usize = 1024;

/// How many are handed out at once: looking up names must not keep events waiting.
const MOST_AT_ONCE: usize = 32;

/// The shortest time between two looks: whoever creates cgroups all the time must not keep the reader of events busy.
const LOOK_PAUSE: Duration = Duration::from_millis(5);

/// Cgroups that are known to be gone.
const MOST_ABSENT: usize = 65_536;

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
        if !self.paths.contains_key(&id) && !self.absent.contains(&id) && may_walk {
            self.walk();
            // Its socket was there before: so it will not come. (Without any the hierarchy could not be read.)
            if !self.paths.is_empty() && !self.paths.contains_key(&id) {
                if self.absent.len() >= MOST_ABSENT {
                    self.absent.clear();
                }
                self.absent.insert(id);
            }
        }
        self.paths.get(&id).cloned()
    }

    /// In which cgroup a process of this host runs: of the v2 hierarchy, if it is not in its root there; else of another
    /// one. `None` if it is gone, or not visible.
    pub fn of_process(&mut self, pid: u32) -> Option<ProcessCgroup> {
        if !processes::sees_all() {
            return None;
        }
        let process = PathBuf::from(format!("/proc/{pid}"));
        let started_ns = processes::started_ns(&process)?;
        let (version, path) = chosen(&fs::read(process.join("cgroup")).ok()?)?;
        let id = match version {
            CgroupVersion::V2 => {
                self.root = self.root.take().or_else(root_of_proc);
                let root = self.root.as_ref()?;
                let below = Path::new(OsStr::from_bytes(path.strip_prefix(b"/")?));
                root.join(below).metadata().ok()?.ino()
            }
            CgroupVersion::V1 => self.id_of_v1(escaped(&path)),
        };
        Some(ProcessCgroup { id, started_ns, gone_ns: THERE })
    }

    fn id_of_v1(&mut self, path: String) -> u64 {
        if let Some(id) = self.v1.get(&path) {
            return *id;
        }
        let id = OF_V1 + self.v1_ids;
        self.v1_ids += 1;
        self.v1.insert(path.clone(), id);
        self.keep(id, path);
        id
    }

    /// The cgroups of version 1 in which processes run; none where there is no such hierarchy.
    pub fn of_processes(&mut self) -> Vec<(u64, String)> {
        let own = fs::read("/proc/self/cgroup").unwrap_or_default();
        if own.split(|byte| *byte == b'\n').all(|line| line.is_empty() || line.starts_with(b"0::")) {
            return Vec::new();
        }
        let pids = processes::named().unwrap_or_default().into_keys();
        let ids: HashSet<u64> = pids.filter_map(|pid| Some(self.of_process(pid)?.id)).collect();
        let of_v1 = ids.into_iter().filter(|id| *id >= OF_V1);
        of_v1.filter_map(|id| Some((id, self.others.get(&id)?.clone()))).collect()
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
        if self.order.len() > MOST_OTHERS
            && let Some(first) = self.order.pop_front()
            && let Some(path) = self.others.remove(&first)
            && first >= OF_V1
        {
            self.v1.remove(&path);
        }
    }

    /// From now on hears of cgroups that are made, from this ring buffer. Must run in a tokio runtime.
    pub fn hear(&mut self, ring: Map) {
        let is_whole =
            hierarchy().and_then(|root| root.metadata().ok()).is_some_and(|root| root.ino() == ROOT);
        if is_whole {
            match RingBuf::try_from(ring).and_then(register) {
                Ok(ring) => self.made = Some(MadeCgroups(ring)),
                Err(error) => log::warn!("cgroups that are created are not heard of: {error}"),
            }
        }
    }

    /// Takes note of those that were made.
    pub fn note_made(&mut self) {
        let Some(mut made) = self.made.take() else {
            return;
        };
        while let Some(record) = made.0.get_mut().next() {
            if let Some((id, path)) = decode(&record) {
                let workload = Workload::of(&path);
                if workload.oci_id().is_some() && self.created.len() < MOST_CREATED {
                    self.created.push_back(workload);
                }
                self.keep(id, path);
            }
        }
        self.made = Some(made);
    }

    /// Waits until containers may have been created.
    pub async fn created(&self) {
        if let Some(next_look) = self.next_look {
            sleep_until(next_look.into()).await;
        }
        if !self.created.is_empty() {
            return;
        }
        let ready = match &self.made {
            Some(made) => made.0.readable().await,
            None => future::pending().await,
        };
        match ready {
            // Before they are read: one that is created after this wakes again.
            Ok(mut guard) => guard.clear_ready(),
            Err(_) => future::pending().await,
        }
    }

    /// Some of the containers that were created and not taken yet.
    pub fn take_created(&mut self) -> Vec<Workload> {
        self.note_made();
        self.next_look = Some(Instant::now() + LOOK_PAUSE);
        let count = self.created.len().min(MOST_AT_ONCE);
        self.created.drain(..count).collect()
    }
}

/// Where the cgroups are mounted whose paths in `/proc` begin there; `None` if that is nowhere. Paths begin at the root of the
/// cgroup namespace (cgroup_namespaces(7)); a pod that has one may have the host's whole hierarchy mounted.
fn root_of_proc() -> Option<PathBuf> {
    let mounts = mounts()?;
    // What is mounted last hides what was there.
    let last: HashMap<&str, &str> = mounts.lines().filter_map(mount_of_v2).collect();
    last.into_iter().find(|(_, root)| *root == "/").map(|(folder, _)| folder.into())
}

/// Where the v2 hierarchy is mounted, and what of it: the path of its root as this process sees it (proc_pid_mountinfo(5)).
fn mount_of_v2(line: &str) -> Option<(&str, &str)> {
    let (mount, file_system) = line.split_once(" - ")?;
    let mut fields = mount.split(' ').skip(3);
    let (root, folder) = (fields.next()?, fields.next()?);
    file_system.starts_with("cgroup2 ").then_some((folder, root))
}

/// Of which hierarchies a cgroup is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CgroupVersion {
    V1,
    V2,
}

/// Hierarchies of version 1 that tell whose a process is, the best first: that of systemd, and what all container
/// runtimes use.
const TELLING: [&[u8]; 4] = [b"name=systemd", b"pids", b"memory", b"cpu,cpuacct"];

/// The cgroup that says most, of those that the kernel lists for a process (`/proc/PID/cgroup`, see cgroups(7)).
/// `None` if it lists none, or one that is outside of what is visible here.
fn chosen(list: &[u8]) -> Option<(CgroupVersion, Vec<u8>)> {
    let entries: Vec<(&[u8], &[u8])> = list
        .split(|byte| *byte == b'\n')
        .filter_map(|line| {
            let mut fields = line.splitn(3, |byte| *byte == b':');
            let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
            // The kernel says so of a cgroup that was removed while the process was ending.
            let path = path.strip_suffix(b" (deleted)").unwrap_or(path);
            (path.starts_with(b"/") && !path.starts_with(b"/..")).then_some((controllers, path))
        })
        .collect();
    let of = |wanted: &[u8]| entries.iter().find(|(controllers, _)| *controllers == wanted);
    let is_inner = |entry: &&(&[u8], &[u8])| entry.1 != b"/";
    let v2 = of(b"");
    let v1 = TELLING.iter().filter_map(|name| of(name)).find(is_inner);
    match (v2.filter(is_inner), v1) {
        (Some((_, path)), _) => Some((CgroupVersion::V2, path.to_vec())),
        (None, Some((_, path))) => Some((CgroupVersion::V1, path.to_vec())),
        (None, None) => v2.map(|(_, path)| (CgroupVersion::V2, path.to_vec())),
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
    mounts()?.lines().find_map(mount_of_v2).map(|(folder, _)| folder.into())
}

fn mounts() -> Option<String> {
    fs::read_to_string("/proc/self/mountinfo").ok()
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
    fn however_many_cgroups_of_version_1_come_the_last_are_known() {
        let mut cgroups = Cgroups::default();
        let ids: HashSet<u64> =
            (0..2 * MOST_OTHERS).map(|number| cgroups.id_of_v1(format!("/docker/{number}"))).collect();
        assert_eq!((ids.len(), cgroups.v1.len()), (2 * MOST_OTHERS, MOST_OTHERS));
        let last = format!("/docker/{}", 2 * MOST_OTHERS - 1);
        let id = cgroups.id_of_v1(last.clone());
        assert!(ids.contains(&id) && cgroups.path(id) == Some(last));
    }

    #[test]
    fn the_cgroup_that_says_most_is_taken() {
        let of = |list: &str| {
            chosen(list.as_bytes()).map(|(version, path)| (version, String::from_utf8(path).unwrap()))
        };
        let v1 = |path: &str| Some((CgroupVersion::V1, path.to_owned()));
        let v2 = |path: &str| Some((CgroupVersion::V2, path.to_owned()));
        assert_eq!(of("0::/system.slice/a:b.service\n"), v2("/system.slice/a:b.service"));
        assert_eq!(of("0::/\n"), v2("/"));
        // systemd's hybrid hierarchy, and Docker with version 1 only.
        assert_eq!(
            of("4:pids:/x\n1:name=systemd:/system.slice/x\n0::/system.slice/x\n"),
            v2("/system.slice/x")
        );
        assert_eq!(of("4:memory:/docker/0a\n3:cpu,cpuacct:/\n0::/\n"), v1("/docker/0a"));
        assert_eq!(of("4:pids:/docker/0a\n1:name=systemd:/\n"), v1("/docker/0a"));
        assert_eq!(of("0::/gone (deleted)\n"), v2("/gone"));
        for hidden in ["0::/../a\n", "0::/..\n", "", "garbage", "0::relative\n"] {
            assert_eq!(of(hidden), None);
        }
    }

    #[test]
    fn mounts_are_told_apart_by_what_of_the_hierarchy_they_show() {
        let whole = "30 24 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw";
        let of_host =
            "31 24 0:26 /../../.. /sys/fs/cgroup ro shared:4 master:1 - cgroup2 cgroup rw,nsdelegate";
        assert_eq!(mount_of_v2(whole), Some(("/sys/fs/cgroup", "/")));
        assert_eq!(mount_of_v2(of_host), Some(("/sys/fs/cgroup", "/../../..")));
        for other in ["30 24 0:26 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids", "", "1 2 - cgroup2 x"] {
            assert_eq!(mount_of_v2(other), None);
        }
    }

    #[test]
    fn this_process_is_in_a_cgroup_that_is_known() {
        let mut cgroups = Cgroups::default();
        let own = cgroups.of_process(std::process::id());
        assert_eq!(own.is_some(), processes::sees_all());
        assert_eq!(cgroups.of_process(u32::MAX), None);
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
