//! Where things are: mostly beside this very program.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

/// Memory as files. What is measured is the tracer and not a disk; and a gigabyte of lines a round
/// is nothing to wear a disk with.
const TMPFS: &str = "/dev/shm";

/// A program of this build.
pub(crate) fn built(name: &str) -> Result<PathBuf> {
    let ours = env::current_exe().context("where are we?")?;
    Ok(ours.with_file_name(name))
}

/// A C program, compiled by `cargo xtask bench`.
pub(crate) fn object(name: &str) -> Result<PathBuf> {
    Ok(folder()?.join(format!("{name}.bpf.o")))
}

/// The first of these programs that is on the path.
pub(crate) fn on_path(names: &[&str]) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let mut candidates =
        env::split_paths(&path).flat_map(|folder| names.iter().map(move |name| folder.join(name)));
    candidates.find(|program| program.is_file())
}

/// Where reports go.
pub(crate) fn folder() -> Result<PathBuf> {
    let ours = env::current_exe().context("where are we?")?;
    let target = ours.parent().and_then(Path::parent).context("this program lies in no target folder")?;
    Ok(target.join("bench"))
}

/// A folder for what contestants write, which goes away with the value.
pub(crate) fn scratch() -> Result<TempDir> {
    let base = if Path::new(TMPFS).is_dir() { PathBuf::from(TMPFS) } else { env::temp_dir() };
    tempfile::Builder::new().prefix("tracer-bench-").tempdir_in(base).context("making a temporary folder")
}
