//! Cgroups with a limit, in whichever hierarchy has the controller.

use std::{
    ffi::OsStr,
    fs::{self, File},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use crate::attack::sandbox::Step;

/// A cgroup. It is removed when this is dropped.
pub struct Cgroup(PathBuf);

static COUNT: AtomicU32 = AtomicU32::new(0);

impl Cgroup {
    /// A cgroup that holds at most so many threads.
    pub fn of_threads(most: u32) -> Self {
        Self::limited("pids", "pids.max", "pids.max", &most.to_string())
    }

    /// A cgroup that holds at most so much memory, in MiB.
    pub fn of_memory(mib: u64) -> Self {
        Self::limited("memory", "memory.max", "memory.limit_in_bytes", &(mib << 20).to_string())
    }

    fn limited(controller: &str, new: &str, old: &str, limit: &str) -> Self {
        let unified = unified();
        let controllers = fs::read_to_string(unified.join("cgroup.controllers")).unwrap_or_default();
        let is_new = controllers.split_whitespace().any(|one| one == controller);
        let parent = if is_new {
            fs::write(unified.join("cgroup.subtree_control"), format!("+{controller}")).unwrap();
            unified
        } else {
            PathBuf::from("/sys/fs/cgroup").join(controller)
        };
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tracer-attack-{}-{number}", std::process::id());
        let cgroup = Self::made(parent.join(name));
        fs::write(cgroup.0.join(if is_new { new } else { old }), limit).unwrap();
        cgroup
    }

    /// A cgroup in the hierarchy that sockets belong to, whose name begins with this.
    pub fn named(name: &OsStr) -> Self {
        let mut name = name.to_owned();
        name.push(format!("-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
        Self::made(unified().join(name))
    }

    fn made(path: PathBuf) -> Self {
        fs::create_dir(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self(path)
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Has a command run in it.
    pub fn hold(&self, command: &mut Command) {
        let step = self.entered();
        // SAFETY: a step makes system calls only.
        unsafe { command.pre_exec(move || step.take()) };
    }

    /// Enters it.
    pub fn entered(&self) -> Step {
        let procs = File::options().write(true).open(self.0.join("cgroup.procs")).unwrap();
        Step::Cgroup(Arc::new(procs.into()))
    }
}

/// Where the hierarchy of version 2 is mounted.
fn unified() -> PathBuf {
    let paths = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(PathBuf::from);
    paths.into_iter().find(|path| path.join("cgroup.controllers").exists()).expect("cgroup2")
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Its last process may not have left it yet.
        for _ in 0..100 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}
