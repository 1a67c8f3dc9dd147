//! The machine on which a report was measured.

use std::{fs, process::Command};

use serde::{Deserialize, Serialize};

/// A machine, the date, and the state of the sources.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Host {
    /// The kernel's release.
    pub kernel: String,
    /// The CPU's model.
    pub cpu: String,
    /// How many CPUs there are.
    pub cores: usize,
    /// The date of the run.
    pub date: String,
    /// The commit, marked if the sources differ from it. `None` outside of git.
    pub commit: Option<String>,
}

impl Host {
    /// This machine, today.
    pub(crate) fn here() -> Self {
        let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model =
            cpus.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split(": ").nth(1));
        Self {
            kernel: release(&rustix::system::uname().release().to_string_lossy()),
            cpu: model.unwrap_or("unknown").to_owned(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            date: jiff::Zoned::now().date().to_string(),
            commit: commit(),
        }
    }
}

/// The version alone: what a vendor or a host adds to it means nothing to others.
fn release(release: &str) -> String {
    release.split('-').next().unwrap_or_default().to_owned()
}

fn commit() -> Option<String> {
    let mut git = Command::new("git");
    // Through sudo, the folder belongs to another user, which git refuses by default.
    git.current_dir(env!("CARGO_MANIFEST_DIR")).args(["-c", "safe.directory=*"]);
    git.args(["describe", "--always", "--dirty", "--abbrev=12"]);
    let output = git.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
