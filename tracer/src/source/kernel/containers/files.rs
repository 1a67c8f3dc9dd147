//! Reading files of others: with bounds, and without waiting.

use std::{
    fs::{self, File},
    io::Read as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;

/// The contents of a JSON file of at most so many bytes; `None` if it is not there, is no plain file or is larger.
pub(super) fn json<T: DeserializeOwned>(path: &Path, most: u64) -> Option<T> {
    // Opening a pipe would wait for its other end.
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path).ok()?;
    let metadata = file.metadata().ok()?;
    if !metadata.is_file() || metadata.len() > most {
        return None;
    }
    let mut bytes = Vec::new();
    // It may grow while it is read.
    file.take(most + 1).read_to_end(&mut bytes).ok()?;
    if bytes.len() as u64 > most {
        return None;
    }
    serde_json::from_slice(&bytes).ok()
}

/// What is in a folder, at most so much of it.
pub(super) fn entries(folder: &Path, most: usize) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs::read_dir(folder).into_iter().flatten().take(most);
    entries.filter_map(|entry| Some(entry.ok()?.path()))
}
