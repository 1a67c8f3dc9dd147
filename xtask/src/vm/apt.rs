//! Downloads Debian's packages of other suites and architectures, through a private apt. It has its own
//! lists, cache and sources, so that this machine's apt does not change.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result, bail};

use crate::{
    command::{output, run},
    vm::{arch::Arch, beside, say, sources},
};

/// The private apt.
pub(crate) struct Apt {
    folder: PathBuf,
}

const ETC_APT: &str = "/etc/apt";

/// Lists older than this are fetched again.
const OLD: Duration = Duration::from_secs(24 * 60 * 60);

/// The suite whose programs run beside ours in all guests.
const USERLAND_SUITE: &str = "bookworm";

impl Apt {
    /// Sets it up, and fetches the lists if they are missing or old.
    pub(crate) fn open(folder: PathBuf) -> Result<Self> {
        let apt = Self { folder };
        for part in ["lists/partial", "cache/archives/partial", "sources.list.d", "preferences.d"] {
            fs::create_dir_all(apt.folder.join(part))?;
        }
        fs::write(apt.folder.join("apt.conf"), apt.config())?;
        // No package is installed in it.
        fs::write(apt.folder.join("status"), "")?;
        let sources = sources::for_all_suites(Path::new(ETC_APT), &Arch::ALL.map(Arch::name).join(" "))?;
        let file = apt.folder.join("sources.list.d/debian.sources");
        let is_known = fs::read_to_string(&file).is_ok_and(|known| known == sources);
        fs::write(file, sources)?;
        if !is_known || !apt.is_fresh() {
            apt.update()?;
        }
        Ok(apt)
    }

    /// Fetches the lists.
    fn update(&self) -> Result<()> {
        say("fetching the package lists of Debian's suites");
        run(self.command("apt-get").args(["-qq", "update"]))?;
        Ok(fs::write(self.stamp(), "")?)
    }

    fn stamp(&self) -> PathBuf {
        self.folder.join("fetched")
    }

    fn is_fresh(&self) -> bool {
        self.fetched().is_some_and(|time| time.elapsed().is_ok_and(|age| age < OLD))
    }

    /// When the lists were fetched.
    pub(crate) fn fetched(&self) -> Option<SystemTime> {
        fs::metadata(self.stamp()).and_then(|stamp| stamp.modified()).ok()
    }

    fn config(&self) -> String {
        let folder = self.folder.display();
        format!(
            r#"Dir::State "{folder}";
Dir::State::lists "lists";
Dir::State::status "{folder}/status";
Dir::Cache "{folder}/cache";
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "{folder}/sources.list.d";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "{folder}/preferences.d";
APT::Architecture "amd64";
APT::Architectures {{ "amd64"; "arm64"; }};
APT::Sandbox::User "root";
Acquire::Languages "none";
"#
        )
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("APT_CONFIG", self.folder.join("apt.conf"));
        // Container images turn these caches off, and then each call takes seconds. Only options on the
        // command line override the images' settings.
        for cache in ["pkgcache", "srcpkgcache"] {
            command.arg("-o").arg(format!("Dir::Cache::{cache}={cache}.bin"));
        }
        command
    }

    /// The packages whose names match a regular expression.
    pub(crate) fn search(&self, names: &str) -> Result<Vec<String>> {
        let found = output(self.command("apt-cache").args(["search", "--names-only", names]))?;
        Ok(found.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect())
    }

    /// Downloads and unpacks packages, each in apt's notation: `NAME:ARCH` or `NAME:ARCH=VERSION`.
    pub(crate) fn unpack(&self, packages: &[String], into: &Path) -> Result<()> {
        fetch(into, |folder| {
            let mut apt = self.command("apt-get");
            apt.current_dir(folder).args(["-qq", "download"]).args(packages);
            apt
        })
    }

    /// Downloads and unpacks packages with all their dependencies.
    pub(crate) fn unpack_userland(&self, programs: &[&str], arch: Arch, into: &Path) -> Result<()> {
        fetch(into, |folder| {
            let mut apt = self.command("apt-get");
            apt.arg("-o").arg(format!("APT::Architecture={}", arch.name()));
            apt.arg("-o").arg(format!("Dir::Cache::archives={}", folder.display()));
            apt.args(["-qq", "-y", "--download-only", "--no-install-recommends", "-t", USERLAND_SUITE]);
            apt.arg("install").args(programs);
            apt
        })
    }
}

/// Fetches archives with a command that puts them into a folder, and unpacks them into `into`. If that folder
/// exists, it is complete.
fn fetch(into: &Path, command: impl Fn(&Path) -> Command) -> Result<()> {
    let archives = beside(into, ".archives");
    let unpacked = beside(into, ".unpacked");
    for folder in [&archives.join("partial"), &unpacked] {
        fs::create_dir_all(folder)?;
    }
    let apt = command(&archives).output().context("cannot start apt-get")?;
    if !apt.status.success() {
        for folder in [&archives, &unpacked] {
            fs::remove_dir_all(folder)?;
        }
        bail!("{}", String::from_utf8_lossy(&apt.stderr).trim());
    }
    for entry in fs::read_dir(&archives)? {
        let archive = entry?.path();
        if archive.extension().is_some_and(|extension| extension == "deb") {
            run(Command::new("dpkg-deb").arg("-x").args([&archive, &unpacked]))?;
        }
    }
    fs::remove_dir_all(archives)?;
    fs::rename(unpacked, into).with_context(|| format!("making {}", into.display()))
}
