//! Namespaces of who was killed.

use std::{
    fs, io,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, Stdio},
};

use tests::place::Place;

use crate::NAME;

/// A process that waits for the end of this one, however that comes, and removes what it left.
pub(crate) struct Sweeper(Child);

impl Sweeper {
    pub(crate) fn start() -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["sweep", &std::process::id().to_string()]);
        // In a group of its own: Ctrl-C is for the others.
        Self(command.stdin(Stdio::piped()).process_group(0).spawn().unwrap())
    }

    pub(crate) fn end(mut self) {
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}

/// What the other process does.
pub(crate) fn behind(pid: &str) {
    let _ = io::copy(&mut io::stdin(), &mut io::sink());
    remove(NAME, |of| of == pid);
}

/// Those of which not even the other process is left; and those of tests that were killed.
pub(crate) fn stale() {
    let is_gone = |pid: &str| !Path::new("/proc").join(pid).exists();
    remove(NAME, is_gone);
    remove(Place::KIND, is_gone);
}

/// What is called `kind`, the process's id, and a number.
fn remove(kind: &str, is_wanted: impl Fn(&str) -> bool) {
    for entry in fs::read_dir("/run/netns").into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let rest = name.strip_prefix(kind).and_then(|rest| rest.strip_prefix('-')?.split_once('-'));
        if rest.is_some_and(|(pid, number)| number.parse::<u32>().is_ok() && is_wanted(pid)) {
            // It may have gone by itself.
            let _ = Command::new("ip").args(["netns", "del", &name]).stderr(Stdio::null()).status();
        }
    }
}
