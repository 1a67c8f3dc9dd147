//! Reading files of others: with bounds, and without waiting.

use std::{
    fs::{self, File},
    io::Read as _,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::{Instant, SystemTime},
};

use serde::de::DeserializeOwned;

/// How often a file or folder of all containers is read: when it has changed, but for a fifth of the time at most.
/// Containers are made one after the other, and one that is gone soon needs its name at once.
#[derive(Debug, Default)]
pub(super) struct Rereading {
    /// What the file was when it was read: its time of change, inode number and size.
    stamp: Option<(SystemTime, u64, u64)>,
    /// From when on it may be read again.
    next: Option<Instant>,
}

impl Rereading {
    /// Reads, if it is time to.
    pub(super) fn read<T>(&mut self, path: &Path, read: impl FnOnce() -> T) -> Option<T> {
        let metadata = fs::metadata(path).ok()?;
        let stamp = Some((metadata.modified().ok()?, metadata.ino(), metadata.len()));
        let begun = Instant::now();
        if stamp == self.stamp || self.next.is_some_and(|next| begun < next) {
            return None;
        }
        self.stamp = stamp;
        let found = read();
        let done = Instant::now();
        self.next = Some(done + 4 * (done - begun));
        Some(found)
    }
}

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
