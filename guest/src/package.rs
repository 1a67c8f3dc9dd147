//! Installs tracer's package for Debian with dpkg, and removes it (`cargo xtask vm --packaged`).

use std::{fs, os::unix::fs::symlink, path::Path, process::Command};

use guest::Found;
use tests::program::run;

/// The package, if the host wants it to be installed.
const FILE: &str = "/tracer.deb";
/// What is installed.
const NAME: &str = "tracer";
/// Where scenarios expect the program, and where the package has it.
const PROGRAM: (&str, &str) = ("/bin/tracer", "/usr/bin/tracer");

/// dpkg without what the guest lacks: the libraries are there, but from no package, and so are the programs.
fn dpkg(arguments: &[&str]) -> String {
    let mut dpkg = Command::new("dpkg");
    dpkg.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    run(dpkg.args(["--log=/dev/null", "--force-depends", "--force-bad-path"]).args(arguments))
}

/// Installs the package, if there is one.
pub(crate) fn install() -> Result<(), String> {
    if !Path::new(FILE).exists() {
        return Ok(());
    }
    let prepared = ["info", "updates", "triggers"]
        .iter()
        .try_for_each(|folder| fs::create_dir_all(Path::new("/var/lib/dpkg").join(folder)))
        .and_then(|()| fs::write("/var/lib/dpkg/status", ""));
    prepared.map_err(|error| format!("/var/lib/dpkg: {error}"))?;
    dpkg(&["--install", FILE]);
    symlink(PROGRAM.1, PROGRAM.0).map_err(|error| format!("{}: {error}", PROGRAM.0))
}

/// Purges the package. None of its files may remain.
pub(crate) fn remove() -> Option<Found> {
    if !Path::new(FILE).exists() {
        return None;
    }
    let listed = dpkg(&["--listfiles", NAME]);
    let files: Vec<_> = listed.lines().map(Path::new).filter(|path| path.is_file()).collect();
    assert!(files.contains(&Path::new(PROGRAM.1)), "{listed}");
    dpkg(&["--purge", NAME]);
    let left: Vec<_> = files.iter().filter(|path| path.exists()).collect();
    assert!(left.is_empty(), "the package has left {left:?}");
    Some(Found::Package { files: files.len() })
}
