//! Removes the namespaces of processes that were killed.

use std::{
    fs, io,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, Stdio},
};

use tests::place::Place;

use crate::NAME;

/// A process that waits until this one has ended in any way, and removes its namespaces.
pub(crate) struct Sweeper(Child);

impl Sweeper {
    pub(crate) fn start() -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["sweep", &std::process::id().to_string()]);
        // In a process group of its own, so that Ctrl-C does not end it.
        Self(command.stdin(Stdio::piped()).process_group(0).spawn().unwrap())
    }

    pub(crate) fn end(mut self) {
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}

/// The work of the sweeper process.
pub(crate) fn clean_up_after(pid: &str) {
    let _ = io::copy(&mut io::stdin(), &mut io::sink());
    remove(NAME, |of| of == pid);
}

/// Removes the namespaces of noise and tests that no longer run, for example when the sweeper was killed,
/// too.
pub(crate) fn stale() {
    let is_gone = |pid: &str| !Path::new("/proc").join(pid).exists();
    remove(NAME, is_gone);
    remove(Place::KIND, is_gone);
}

/// Removes the namespaces with the name `kind-PID-NUMBER` whose PID is wanted.
fn remove(kind: &str, is_wanted: impl Fn(&str) -> bool) {
    for entry in fs::read_dir("/run/netns").into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let rest = name.strip_prefix(kind).and_then(|rest| rest.strip_prefix('-')?.split_once('-'));
        if rest.is_some_and(|(pid, number)| number.parse::<u32>().is_ok() && is_wanted(pid)) {
            // This fails if it is already gone.
            let _ = Command::new("ip").args(["netns", "del", &name]).stderr(Stdio::null()).status();
        }
    }
}
