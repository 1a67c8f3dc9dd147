//! A clean Debian in a folder. What runs there has this machine's kernel, with `/proc`, `/sys` and `/dev`.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::Result;
use walkdir::WalkDir;

use crate::{
    command::{as_root, output, run},
    package::site::Site,
};

/// The one that packages are built on.
pub(super) const HERE: Suite = Suite { name: "bookworm", packages: "man-db" };

/// One with another glibc, which is configured to ask a module for names of users.
pub(super) const ELSEWHERE: Suite = Suite { name: "trixie", packages: "libnss-systemd" };

/// Mounts for one command, which are gone with it.
const ENTER: &str =
    "for folder in proc sys dev; do mount --rbind /$folder \"$0/$folder\"; done && exec chroot \"$0\" \"$@\"";

/// What package managers and readers of manuals keep for themselves.
const KEPT: [&str; 6] =
    ["var/lib/dpkg", "var/lib/rpm", "var/log", "var/cache", "var/lib/systemd", "root/.rpmdb"];

/// A release of Debian.
pub(super) struct Suite {
    name: &'static str,
    /// Beside what each system has.
    packages: &'static str,
}

/// A folder with a system in it.
pub(super) struct Chroot(pub(super) PathBuf);

impl Chroot {
    /// A new copy of a clean system, which is downloaded once.
    pub(super) fn new(site: &Site, Suite { name, packages }: Suite) -> Result<Self> {
        let clean = site.work().join(format!("clean-{name}"));
        if !clean.exists() {
            println!("package: making a clean {name}");
            let unfinished = site.empty("unfinished")?;
            run(as_root("debootstrap")
                .args(["--variant=minbase", &format!("--include={packages}"), name])
                .arg(&unfinished)
                .stdout(Stdio::null()))?;
            fs::rename(unfinished, &clean)?;
        }
        let copy = site.work().join("chroot");
        run(as_root("rm").arg("-rf").arg(&copy))?;
        run(as_root("cp").arg("-a").arg(clean).arg(&copy))?;
        Ok(Self(copy))
    }

    /// A command that runs in it.
    pub(super) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = as_root("unshare");
        command.args(["--mount", "sh", "-c", ENTER]).arg(&self.0).arg("env").arg("-i");
        command.args(["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "TERM=dumb", "MANWIDTH=100"]);
        command.arg(program).stdin(Stdio::null());
        command
    }

    /// The same, with these arguments.
    pub(super) fn with(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = self.command(program);
        command.args(arguments);
        command
    }

    /// What a command says that runs in it, and must succeed.
    pub(super) fn says(&self, program: &str, arguments: &[&str]) -> Result<String> {
        output(&mut self.with(program, arguments))
    }

    /// Copies a file into its `/tmp`. Returns where it is there.
    pub(super) fn take(&self, file: &Path) -> Result<String> {
        run(as_root("cp").arg(file).arg(self.0.join("tmp")))?;
        Ok(format!("/tmp/{}", file.file_name().unwrap_or_default().to_string_lossy()))
    }

    /// The names of everything in it, but for what package managers keep.
    pub(super) fn names(&self) -> Result<BTreeSet<PathBuf>> {
        let below = |entry: &walkdir::DirEntry| {
            let name = entry.path().strip_prefix(&self.0).unwrap_or(entry.path());
            !KEPT.iter().any(|kept| name.starts_with(kept)) && !name.starts_with("tmp")
        };
        let entries = WalkDir::new(&self.0).same_file_system(true).into_iter().filter_entry(below);
        entries.map(|entry| Ok(entry?.path().strip_prefix(&self.0)?.to_owned())).collect()
    }
}
