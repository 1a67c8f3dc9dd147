//! Files that appear when they are whole.
//!
//! As root, and in folders that others may write to, a file cannot simply be opened: its name may be a symbolic
//! link or a pipe that somebody has put there. So a file is written beside its place, and renamed at the end.
//! That follows no link and waits for nobody, and what is there stays as it is until then.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    io::{self, Read as _, Write as _},
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::{ffi::OsStrExt as _, fs::OpenOptionsExt as _},
    },
    path::{Path, PathBuf},
};

use rustix::{
    event::Timespec,
    fs::{
        AtFlags, FileType, Mode, OFlags, Stat, StatxAttributes, StatxFlags, fchmod, fsync, openat, renameat,
        statat, statx, unlinkat,
    },
    io::Errno,
    process::geteuid,
    rand::{GetRandomFlags, getrandom},
};

use crate::{
    output::{folder, write::write_some},
    text::escape::escaped,
};

/// Permissions of a new file, before the process's mask.
const NEW: u32 = 0o666;

/// Permissions that a new file takes over from the one in its place.
const KEPT: u32 = 0o777;

/// What is there if it is a folder, and what to do about it.
const FOLDER: (&str, &str) = ("a folder", "add the name of a file");

/// What is there if it is a recording, which may be the one that is being read, and what to do about it.
const RECORDING: (&str, &str) = ("a recording", "give another name, or remove it");

/// What a recording begins with.
pub const RECORDING_MARK: [u8; 8] = *b"\x89TRC\r\n\x1a\n";

/// What is there where a new file is asked for, and what to do about it.
const TAKEN: (&str, &str) = ("there already", "remove it, or give another name");

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
    /// Another user decides where the path leads.
    #[error(
        "{name}: on the way there {link} is a symbolic link of another user (uid {owner}), who might change where it leads: give the path that it leads to"
    )]
    Link {
        /// The path, escaped.
        name: String,
        /// The link's own name, escaped.
        link: String,
        /// Whose it is.
        owner: u32,
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

/// A folder that files are to be made in, and the beginning of their names.
pub struct Folder {
    /// The folder, which is kept, because the path might lead elsewhere later.
    pub folder: OwnedFd,
    /// The name in it.
    pub name: OsString,
    /// The path, escaped.
    pub shown: String,
}

impl Folder {
    /// Makes a new file in it, and opens nothing that has the name already.
    ///
    /// # Errors
    /// The system refuses.
    pub fn create(folder: &OwnedFd, name: &OsStr) -> Result<File, Errno> {
        let how = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        openat(folder, name, how, Mode::from_raw_mode(NEW)).map(File::from)
    }

    /// The folder of a path.
    ///
    /// # Errors
    /// It is not there, another user decides where the path leads, or the path is that of a folder.
    pub fn of(path: &Path) -> Result<Self, Error> {
        let shown = escaped(path.as_os_str().as_bytes());
        let Some((folder, name)) = split(path) else {
            let (what, remedy) = FOLDER;
            return Err(Error::Occupied { name: shown, what, remedy });
        };
        let opened = folder::open(folder).map_err(|error| match error {
            folder::Error::Link { name: link, owner } => Error::Link { name: shown.clone(), link, owner },
            folder::Error::System(cause) => Error::System { name: shown.clone(), cause: cause.into() },
        });
        Ok(Self { folder: opened?, name: name.to_owned(), shown })
    }
}

/// Where a file is to be written.
pub struct Destination {
    /// The path, escaped.
    name: String,
    outlet: Outlet,
}

enum Outlet {
    /// The process's own descriptor, for a path that stands for one.
    Descriptor(File),
    /// The name of a file in a folder, which is kept, because the path might lead elsewhere later.
    Folder(OwnedFd, OsString),
}

impl Destination {
    /// The folder in which files are made, if it has a path.
    #[must_use]
    pub fn folder(&self) -> Option<PathBuf> {
        match &self.outlet {
            Outlet::Descriptor(_) => None,
            Outlet::Folder(folder, _) => fs::read_link(format!("/proc/self/fd/{}", folder.as_raw_fd())).ok(),
        }
    }

    /// Looks whether a file can be written there, which leaves everything as it is. A path such as `/dev/stdout`
    /// or `/dev/fd/3` stands for a descriptor that the user has opened.
    pub fn check(path: &Path) -> Result<Self, Error> {
        let name = escaped(path.as_os_str().as_bytes());
        let system = |cause| Error::System { name: name.clone(), cause };
        if let Some(descriptor) = descriptor(path) {
            let outlet = Outlet::Descriptor(append(&descriptor).map_err(system)?);
            return Ok(Self { name, outlet });
        }
        let Folder { folder, name: file, .. } = Folder::of(path)?;
        if let Some((what, remedy)) = occupant(&folder, &file).map_err(|cause| system(cause.into()))? {
            return Err(Error::Occupied { name, what, remedy });
        }
        let beside = beside(&folder).and_then(|(beside, _)| unlinkat(&folder, beside, AtFlags::empty()));
        beside.map_err(|cause| system(cause.into()))?;
        Ok(Self { name, outlet: Outlet::Folder(folder, file) })
    }

    /// The same where nothing may be yet.
    pub fn check_new(path: &Path) -> Result<Self, Error> {
        let new = Self::check(path)?;
        if let Outlet::Folder(folder, name) = &new.outlet
            && statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
        {
            let (what, remedy) = TAKEN;
            return Err(Error::Occupied { name: new.name, what, remedy });
        }
        Ok(new)
    }

    /// Makes a new file there, to be written bit by bit, and returns its escaped path with it.
    pub fn new_file(path: &Path) -> Result<(String, File), Error> {
        let Self { name, outlet } = Self::check(path)?;
        let file = match outlet {
            Outlet::Descriptor(file) => Ok(file),
            Outlet::Folder(folder, file) => Folder::create(&folder, &file),
        };
        match file {
            Ok(file) => Ok((name, file)),
            Err(Errno::EXIST) => {
                let (what, remedy) = TAKEN;
                Err(Error::Occupied { name, what, remedy })
            }
            Err(error) => Err(Error::System { name, cause: error.into() }),
        }
    }

    /// Begins a file there, in place of an older one when it is finished.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn begin(&self) -> Result<Unfinished, Error> {
        let begun = match &self.outlet {
            Outlet::Descriptor(file) => file.try_clone().map(|file| (file, None)),
            Outlet::Folder(folder, name) => begin(folder, name),
        };
        let system = |cause| Error::System { name: self.name.clone(), cause };
        let (file, place) = begun.map_err(system)?;
        Ok(Unfinished { shown: self.name.clone(), file, place })
    }

    /// The path, escaped.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Writes the whole file, in place of an older one.
    pub fn write(&self, bytes: &[u8]) -> io::Result<()> {
        match &self.outlet {
            Outlet::Descriptor(file) => {
                let mut rest = bytes;
                while !rest.is_empty() {
                    rest = &rest[write_some(file, rest, Some(&PATIENCE))?..];
                }
                Ok(())
            }
            Outlet::Folder(folder, name) => replace(folder, name, bytes),
        }
    }
}

/// A file that is being written under another name. Without [`Unfinished::finish`] nothing is left of it.
pub struct Unfinished {
    shown: String,
    file: File,
    /// `None` for a descriptor.
    place: Option<TemporaryName>,
}

/// Where an unfinished file is, and the name that it gets.
struct TemporaryName {
    folder: OwnedFd,
    beside: String,
    name: OsString,
}

impl Unfinished {
    /// The path that it gets, escaped.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// The file, to be written.
    ///
    /// # Errors
    /// The system has no more descriptors.
    pub fn file(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Gives the file its name, or another one, after all of it is on the disk.
    ///
    /// # Errors
    /// The system refuses.
    pub fn finish(mut self, name: Option<&OsStr>) -> io::Result<()> {
        let Some(place) = &self.place else {
            return Ok(());
        };
        fsync(&self.file)?;
        let name = name.unwrap_or(&place.name);
        renameat(&place.folder, &place.beside, &place.folder, name)?;
        sync_folder(&place.folder);
        self.place = None;
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(TemporaryName { folder, beside, .. }) = &self.place {
            let _ = unlinkat(folder, beside, AtFlags::empty());
        }
    }
}

fn begin(folder: &OwnedFd, name: &OsStr) -> io::Result<(File, Option<TemporaryName>)> {
    let (beside, file) = beside(folder)?;
    take_over(&file, statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).ok())?;
    Ok((file, Some(TemporaryName { folder: folder.try_clone()?, beside, name: name.to_owned() })))
}

/// Brings the names in a folder to the disk, so that they are there after a power cut. Not every file system can do that.
pub fn sync_folder(folder: &OwnedFd) {
    let _ = folder_to_read(folder).and_then(fsync);
}

/// The folder, opened to be read: what is kept of it is only a place.
///
/// # Errors
/// The system refuses.
pub fn folder_to_read(folder: &OwnedFd) -> Result<OwnedFd, Errno> {
    openat(folder, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// Whether a file begins as a recording does. An empty one does not.
pub fn is_recording(folder: &OwnedFd, name: &OsStr) -> bool {
    let how = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut mark = [0; RECORDING_MARK.len()];
    let read = openat(folder, name, how, Mode::empty()).map(File::from);
    read.is_ok_and(|mut file| file.read_exact(&mut mark).is_ok() && mark == RECORDING_MARK)
}

/// The folder of a path, and the name in it; `None` if it can only be the path of a folder.
fn split(path: &Path) -> Option<(&Path, &OsStr)> {
    let bytes = path.as_os_str().as_bytes();
    let (folder, name) = bytes.split_at(bytes.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1));
    let is_file = !matches!(name, b"" | b"." | b"..");
    is_file.then(|| (Path::new(OsStr::from_bytes(folder)), OsStr::from_bytes(name)))
}

/// What is there that is no file, and what to do about it.
fn occupant(folder: &OwnedFd, name: &OsStr) -> Result<Option<(&'static str, &'static str)>, Errno> {
    let found = match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(None),
        found => found?,
    };
    Ok(match FileType::from_raw_mode(found.st_mode) {
        FileType::RegularFile if is_mounted(folder, name)? => Some((
            "a file that is mounted there, as into a container, and cannot be replaced",
            "mount its folder, or give a descriptor, as /dev/fd/3 with 3>FILE",
        )),
        FileType::RegularFile => is_recording(folder, name).then_some(RECORDING),
        FileType::Symlink => Some(("a symbolic link", "give the path that it leads to")),
        FileType::Directory => Some(FOLDER),
        FileType::Fifo => Some((
            "a pipe",
            "give a file, or open the pipe and give its descriptor, as /dev/fd/3 with 3>PIPE",
        )),
        _ => Some(("a device or a socket", "give a file")),
    })
}

/// Whether something is mounted over this file (`statx`; kernels before 5.8 do not tell).
fn is_mounted(folder: &OwnedFd, name: &OsStr) -> Result<bool, Errno> {
    let found = statx(folder, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::empty())?;
    Ok(found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

fn replace(folder: &OwnedFd, name: &OsStr, bytes: &[u8]) -> io::Result<()> {
    if is_recording(folder, name) {
        return Err(io::Error::other("a recording is there, which is not replaced"));
    }
    let (beside, file) = beside(folder)?;
    let replaced = fill(&file, bytes, statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).ok())
        .and_then(|()| Ok(renameat(folder, &beside, folder, name)?));
    if replaced.is_err() {
        // The first error is the one that matters.
        let _ = unlinkat(folder, &beside, AtFlags::empty());
    }
    replaced
}

fn fill(mut file: &File, bytes: &[u8], older: Option<Stat>) -> io::Result<()> {
    // First, so that nobody else reads meanwhile what was not for them.
    take_over(file, older)?;
    file.write_all(bytes)
}

/// Takes over the permissions of an older file.
fn take_over(file: &File, older: Option<Stat>) -> io::Result<()> {
    if let Some(older) = older.filter(is_own_file) {
        fchmod(file, Mode::from_raw_mode(older.st_mode & KEPT))?;
    }
    Ok(())
}

/// A new file in the folder. The name is by chance, and nothing that has it already is opened.
fn beside(folder: &OwnedFd) -> Result<(String, File), Errno> {
    let mut chance = [0; 8];
    getrandom(&mut chance, GetRandomFlags::INSECURE)?;
    let name = format!(".tracer-{:016x}", u64::from_ne_bytes(chance));
    let file = Folder::create(folder, OsStr::new(&name))?;
    Ok((name, file))
}

/// Whether this is a file of this user, whose permissions nobody else has chosen.
fn is_own_file(found: &Stat) -> bool {
    FileType::from_raw_mode(found.st_mode).is_file() && found.st_uid == geteuid().as_raw()
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
