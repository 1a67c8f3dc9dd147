//! Whether a file that is being written is still where others will look for it.
//!
//! The kernel goes on taking what is written to a file whose file system was unmounted (`umount --lazy`).

use std::{
    fs::File,
    io::{self, Read as _, Seek as _},
    os::unix::fs::MetadataExt as _,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{AtFlags, StatxFlags, statx},
};

/// Tells when its state was changed, without being read.
const MOUNTS: &str = "/proc/self/mountinfo";

/// Where a file is.
#[derive(Debug)]
pub(super) struct FilePlace {
    /// It had a name when it was opened.
    had_name: bool,
    /// Its mount, and the list of all mounts; `None` if that does not have it, such as for a file that was opened
    /// elsewhere.
    mount: Option<(u64, File)>,
}

impl FilePlace {
    /// Those of this file now.
    pub(super) fn of(file: &File) -> Self {
        Self { had_name: has_name(file).unwrap_or(false), mount: mount(file) }
    }

    /// Fails if nobody will find the file any more.
    pub(super) fn check(&mut self, file: &File) -> io::Result<()> {
        if self.had_name && !has_name(file)? {
            return Err(io::Error::other("the file has been removed"));
        }
        let Some((id, mounts)) = &mut self.mount else {
            return Ok(());
        };
        let now = Timespec::default();
        let has_changed = poll(&mut [PollFd::new(mounts, PollFlags::PRI)], Some(&now))? > 0;
        if has_changed && !has(mounts, *id)? {
            return Err(io::Error::other("its file system was unmounted"));
        }
        Ok(())
    }
}

fn has_name(file: &File) -> io::Result<bool> {
    Ok(file.metadata()?.nlink() > 0)
}

fn mount(file: &File) -> Option<(u64, File)> {
    let found = statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID).ok()?;
    let id = StatxFlags::from_bits_retain(found.stx_mask).contains(StatxFlags::MNT_ID);
    let (id, mut mounts) = (id.then_some(found.stx_mnt_id)?, File::open(MOUNTS).ok()?);
    has(&mut mounts, id).ok()?.then_some((id, mounts))
}

/// Whether the mount with this number is in the list.
fn has(mounts: &mut File, id: u64) -> io::Result<bool> {
    mounts.rewind()?;
    let mut lines = Vec::new();
    mounts.read_to_end(&mut lines)?;
    let id = format!("{id} ");
    Ok(lines.split(|byte| *byte == b'\n').any(|line| line.starts_with(id.as_bytes())))
}
