//! The folder of a file, however long the way to it.
//!
//! In a folder that others may write to, a part of the way may be a symbolic link that somebody has put there. So
//! links are followed one by one, and those of other users are refused: the kernel's own rule
//! (`fs.protected_symlinks`), but in every folder. What was found is kept as a descriptor, so nothing can be swapped
//! afterwards.

use std::{
    ffi::{OsStr, OsString},
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

use rustix::{
    fs::{CWD, FileType, Mode, OFlags, PROC_SUPER_MAGIC, fstat, fstatfs, openat, readlinkat},
    io::Errno,
    process::geteuid,
};

use crate::text::escape::escaped;

/// How many links are followed, as by the kernel (`MAXSYMLINKS`).
const MAX_LINKS: usize = 40;

/// Why a folder cannot be had.
pub(super) enum Error {
    /// On the way there is a symbolic link of another user.
    Link { name: String, owner: u32 },
    /// The system refuses.
    System(Errno),
}

impl From<Errno> for Error {
    fn from(error: Errno) -> Self {
        Self::System(error)
    }
}

/// Opens a folder.
pub(super) fn open(path: &Path) -> Result<OwnedFd, Error> {
    let mut folder = step(CWD, OsStr::new("."), OFlags::DIRECTORY)?;
    // What is still to be walked, the next part last.
    let mut rest = Vec::new();
    let mut links = 0;
    walk_later(path, &mut rest);
    while let Some(part) = rest.pop() {
        // This also mounts what is mounted on demand, and fails for a link.
        match step(&folder, &part, OFlags::DIRECTORY | OFlags::NOFOLLOW) {
            Ok(next) => folder = next,
            Err(Errno::NOTDIR | Errno::LOOP) => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(Errno::LOOP.into());
                }
                let link = own_link(&folder, &part)?;
                if fstatfs(&folder)?.f_type == PROC_SUPER_MAGIC {
                    // What such a link leads to is not what it says: `/proc/PID/root`.
                    folder = step(&folder, &part, OFlags::DIRECTORY)?;
                } else {
                    let target = readlinkat(&link, "", Vec::new())?;
                    walk_later(Path::new(OsStr::from_bytes(target.as_bytes())), &mut rest);
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(folder)
}

/// Opens what is called `part` in a folder, without a look into it.
fn step(folder: impl AsFd, part: &OsStr, how: OFlags) -> Result<OwnedFd, Errno> {
    openat(folder, part, OFlags::PATH | OFlags::CLOEXEC | how, Mode::empty())
}

fn walk_later(path: &Path, rest: &mut Vec<OsString>) {
    // The root is a part, too, and leads there from everywhere.
    rest.extend(path.components().rev().map(|part| part.as_os_str().to_owned()));
}

/// The link of this name, if nobody but root and this user could have made it.
fn own_link(folder: &OwnedFd, part: &OsStr) -> Result<OwnedFd, Error> {
    let link = step(folder, part, OFlags::NOFOLLOW)?;
    let found = fstat(&link)?;
    if !FileType::from_raw_mode(found.st_mode).is_symlink() {
        return Err(Errno::NOTDIR.into());
    }
    let owner = found.st_uid;
    if owner != 0 && owner != geteuid().as_raw() {
        return Err(Error::Link { name: escaped(part.as_bytes()), owner });
    }
    Ok(link)
}
