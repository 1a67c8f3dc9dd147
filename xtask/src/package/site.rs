//! Where packages are made, and of which sources.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::command::output;

/// A folder with the sources. All that is made of them is below its `target/package`.
pub(super) struct Site {
    /// The root of the workspace.
    pub(super) source: PathBuf,
    /// What all files of packages are dated, in seconds since 1970: when the sources were committed.
    pub(super) epoch: String,
    /// The version.
    pub(super) version: String,
}

impl Site {
    pub(super) fn new(source: PathBuf) -> Result<Self> {
        let committed = || {
            let mut log = Command::new("git");
            output(log.current_dir(&source).args(["log", "-1", "--format=%ct"]))
                .context("no git: set SOURCE_DATE_EPOCH")
        };
        let epoch = env::var("SOURCE_DATE_EPOCH").or_else(|_| committed())?.trim().to_owned();
        // All crates have the version of the workspace, this one as well.
        Ok(Self { source, epoch, version: env!("CARGO_PKG_VERSION").to_owned() })
    }

    /// Where packages are made.
    pub(super) fn work(&self) -> PathBuf {
        self.source.join("target/package")
    }

    /// Where cargo builds.
    pub(super) fn build(&self) -> PathBuf {
        self.work().join("build")
    }

    /// What comes with the program.
    pub(super) fn inside(&self) -> PathBuf {
        self.work().join("inside")
    }

    /// The packages.
    pub(super) fn out(&self) -> PathBuf {
        self.work().join("out")
    }

    /// The name of a file for users: the product's, its version, and this.
    pub(super) fn named(&self, rest: &str) -> String {
        format!("tracer-{}.{rest}", self.version)
    }

    /// An empty folder below [`Self::work`].
    pub(super) fn empty(&self, name: &str) -> Result<PathBuf> {
        let folder = self.work().join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// Copies a file to the packages.
    pub(super) fn copy_out(&self, file: &Path, name: &str) -> Result<PathBuf> {
        let copy = self.out().join(name);
        fs::copy(file, &copy).with_context(|| format!("copying {}", file.display()))?;
        Ok(copy)
    }

    /// A command whose output depends on nothing but the sources.
    pub(super) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.source).env("SOURCE_DATE_EPOCH", &self.epoch);
        command.env("LC_ALL", "C.UTF-8").env("TZ", "UTC");
        command
    }

    /// Packs a folder's entries with GNU tar, in an order and with owners that are the same everywhere.
    pub(super) fn tar(&self, folder: &Path, entries: &[&str], to: &Path) -> Result<()> {
        let mut tar = self.command("tar");
        tar.args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--format=ustar"]);
        tar.arg(format!("--mtime=@{}", self.epoch)).arg("--mode=u=rwX,go=rX");
        tar.arg("-C").arg(folder).arg("-cf").arg(to).args(entries);
        crate::command::run(&mut tar)
    }

    /// Compresses a file with gzip, without name and time.
    pub(super) fn gzip(&self, file: &Path) -> Result<PathBuf> {
        crate::command::run(self.command("gzip").args(["-9", "-n", "-f"]).arg(file))?;
        let mut name = file.as_os_str().to_owned();
        name.push(".gz");
        Ok(name.into())
    }
}
