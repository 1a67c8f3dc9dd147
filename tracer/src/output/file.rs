//! Files that appear when they are whole.
//!
//! As root, and in folders that others may write to, a file cannot simply be opened: its name may be a symbolic
//! link or a pipe that somebody has put there. So a file is written beside its place, and renamed at the end.
//! That follows no link and waits for nobody, and what is there stays as it is until then.

use std::{
    fs::{self, File, Metadata, Permissions},
    io::{self, Write as _},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    },
    path::{Path, PathBuf},
};

use rustix::{
    event::Timespec,
    fs::{AtFlags, CWD, OFlags, StatxAttributes, StatxFlags, statx},
    process::geteuid,
};
use tempfile::NamedTempFile;

use crate::{output::write::write_some, text::escape::escaped};

/// Permissions of a new file, before the process's mask.
const NEW: u32 = 0o666;

/// Permissions that a new file takes over from the one in its place.
const KEPT: u32 = 0o777;

/// How long a reader may take nothing.
const PATIENCE: Timespec = Timespec { tv_sec: 5, tv_nsec: 0 };

/// Why a file cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is something else in its place.
    #[error("{name}, which is {what}: {remedy}")]
    Occupied {
        /// The path, escaped.
        name: String,
        /// What is there.
        what: &'static str,
        /// What to do about it.
        remedy: &'static str,
    },
    /// The system refuses.
    #[error("{name}: {cause}")]
    System {
        /// The path, escaped.
        name: String,
        /// The system's error.
        cause: io::Error,
    },
}

/// Where a file is to be written.
pub struct Destination {
    path: PathBuf,
    /// The process's own descriptor, for a path that stands for one.
    descriptor: Option<File>,
}

impl Destination {
    /// Looks whether a file can be written there, which leaves everything as it is. A path such as `/dev/stdout`
    /// or `/dev/fd/3` stands for a descriptor that the user has opened.
    pub fn check(path: &Path) -> Result<Self, Error> {
        let system = |cause| Error::System { name: name(path), cause };
        let descriptor = descriptor(path).map(|path| append(&path)).transpose().map_err(system)?;
        let destination = Self { path: path.to_owned(), descriptor };
        if destination.descriptor.is_none() {
            if let Some((what, remedy)) = destination.occupant().map_err(system)? {
                return Err(Error::Occupied { name: name(path), what, remedy });
            }
            // It goes away at once.
            destination.beside().map_err(system)?;
        }
        Ok(destination)
    }

    /// The path, escaped.
    #[must_use]
    pub fn name(&self) -> String {
        name(&self.path)
    }

    /// Writes the whole file, in place of an older one.
    pub fn write(&self, bytes: &[u8]) -> io::Result<()> {
        if let Some(descriptor) = &self.descriptor {
            let mut rest = bytes;
            while !rest.is_empty() {
                rest = &rest[write_some(descriptor, rest, Some(&PATIENCE))?..];
            }
            return Ok(());
        }
        let mut file = self.beside()?;
        file.write_all(bytes)?;
        if let Some(older) = fs::symlink_metadata(&self.path).ok().filter(is_own_file) {
            file.as_file().set_permissions(Permissions::from_mode(older.mode() & KEPT))?;
        }
        file.persist(&self.path).map_err(|error| error.error)?;
        Ok(())
    }

    /// A new file in the same folder. It is removed unless it is renamed.
    fn beside(&self) -> io::Result<NamedTempFile> {
        let folder = self.path.parent().ok_or(io::ErrorKind::NotFound)?;
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        // The name is by chance, and nothing that has it already is opened (O_EXCL).
        tempfile::Builder::new()
            .prefix(".tracer-")
            .permissions(Permissions::from_mode(NEW))
            .tempfile_in(folder)
    }

    /// What is there that is no file, and what to do about it.
    fn occupant(&self) -> io::Result<Option<(&'static str, &'static str)>> {
        let kind = match fs::symlink_metadata(&self.path) {
            Ok(found) => found.file_type(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let is_folder = self.path.as_os_str().as_bytes().ends_with(b"/");
                return Ok(is_folder.then_some(("a folder", "add the name of a file")));
            }
            Err(error) => return Err(error),
        };
        Ok(if kind.is_file() {
            is_mounted(&self.path)?.then_some((
                "a file that is mounted there, as into a container, and cannot be replaced",
                "mount its folder, or give a descriptor, as /dev/fd/3 with 3>FILE",
            ))
        } else if kind.is_symlink() {
            Some(("a symbolic link", "give the path that it leads to"))
        } else if kind.is_dir() {
            Some(("a folder", "add the name of a file"))
        } else if kind.is_fifo() {
            Some((
                "a pipe",
                "give a file, or open the pipe and give its descriptor, as /dev/fd/3 with 3>PIPE",
            ))
        } else {
            Some(("a device or a socket", "give a file"))
        })
    }
}

/// Whether something is mounted at this path (`statx`; kernels before 5.8 do not tell).
fn is_mounted(path: &Path) -> io::Result<bool> {
    let found = statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::empty())?;
    Ok(found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// Whether this is a file of this user, whose permissions nobody else has chosen.
fn is_own_file(found: &Metadata) -> bool {
    found.is_file() && found.uid() == geteuid().as_raw()
}

fn name(path: &Path) -> String {
    escaped(path.as_os_str().as_bytes())
}

/// The path of the descriptor that `path` stands for, if it stands for one.
fn descriptor(path: &Path) -> Option<PathBuf> {
    let number = match path.to_str()? {
        "/dev/stdout" => "1",
        "/dev/stderr" => "2",
        path => path.strip_prefix("/dev/fd/").or_else(|| path.strip_prefix("/proc/self/fd/"))?,
    };
    number.parse::<u16>().ok()?;
    Some(Path::new("/proc/self/fd").join(number))
}

/// Opens a descriptor a second time. What is written goes behind what is there, and waits for no reader.
fn append(path: &Path) -> io::Result<File> {
    File::options().append(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)
}
