//! Paths of programs and folders. Most are beside this program in the target folder.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

/// Files in memory. The speed of a disk must not be measured, and a gigabyte of lines per round would wear
/// it.
const TMPFS: &str = "/dev/shm";

/// A program of the same build.
pub(crate) fn built(name: &str) -> Result<PathBuf> {
    let ours = env::current_exe().context("where are we?")?;
    Ok(ours.with_file_name(name))
}

/// A C program, which `cargo xtask bench` has compiled.
pub(crate) fn object(name: &str) -> Result<PathBuf> {
    Ok(folder()?.join(format!("{name}.bpf.o")))
}

/// The program of the first of these names that is on the path.
pub(crate) fn on_path(names: &[&str]) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let mut candidates =
        env::split_paths(&path).flat_map(|folder| names.iter().map(move |name| folder.join(name)));
    candidates.find(|program| program.is_file())
}

/// The folder for reports and compiled C programs.
pub(crate) fn folder() -> Result<PathBuf> {
    let ours = env::current_exe().context("where are we?")?;
    let target = ours.parent().and_then(Path::parent).context("this program lies in no target folder")?;
    Ok(target.join("bench"))
}

/// A folder for the output of contestants. It is removed when the value is dropped.
pub(crate) fn scratch() -> Result<TempDir> {
    let base = if Path::new(TMPFS).is_dir() { PathBuf::from(TMPFS) } else { env::temp_dir() };
    tempfile::Builder::new().prefix("tracer-bench-").tempdir_in(base).context("making a temporary folder")
}
