//! File systems that fill up and go away.

use std::{path::Path, process::Command};

use crate::program;

/// A file system in memory. It is unmounted when this is dropped.
pub struct Disk(tempfile::TempDir);

impl Disk {
    /// Mounts it, with these options.
    pub fn new(options: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        program::run(mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(folder.path()));
        Self(folder)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Changes its options.
    pub fn remount(&self, options: &str) {
        program::run(Command::new("mount").args(["-o", &format!("remount,{options}")]).arg(self.path()));
    }

    /// Unmounts it while files on it are open.
    pub fn unmount(&self) {
        program::run(Command::new("umount").arg("--lazy").arg(self.path()));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // A test may have done so already.
        program::output(Command::new("umount").arg("--lazy").arg(self.path()));
    }
}
