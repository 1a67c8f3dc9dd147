//! The files of a recording: one, or parts one after the other.

use std::{
    collections::VecDeque,
    ffi::{OsStr, OsString},
    io,
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _},
    path::Path,
    sync::Arc,
    thread,
    time::Duration,
};

use rustix::{
    fs::{AtFlags, Dir, FileType, RenameFlags, renameat_with, statat, unlinkat},
    io::Errno,
};

use crate::{
    output::file::{self, Folder},
    recording::writer::{RecordingFile, WrittenSize},
    text::escape::escaped,
};

/// Digits of a part's number.
const DIGITS: usize = 6;

/// When a new part begins, and which ones are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// After so many bytes.
    pub bytes: Option<u64>,
    /// After this time.
    pub time: Option<Duration>,
    /// So many parts are kept, the present one included; `None`: all.
    pub keep: Option<usize>,
    /// So many bytes are kept at most, besides those of the present part.
    pub keep_bytes: Option<u64>,
}

/// Makes the files of a recording in parts: `NAME.000001`, `NAME.000002` and so on.
#[derive(Debug)]
pub struct Parts {
    folder: OwnedFd,
    /// The path without the number, escaped.
    shown: String,
    name: OsString,
    rotation: Rotation,
    /// The numbers of those that are there, the oldest first, and their sizes.
    there: VecDeque<(u32, Arc<WrittenSize>)>,
    next: u32,
}

impl Parts {
    /// Goes on behind the parts that are there already.
    ///
    /// # Errors
    /// The folder cannot be read or written.
    pub fn new(path: &Path, rotation: Rotation) -> Result<Self, file::Error> {
        let Folder { folder, name, shown } = Folder::of(path)?;
        let system = |cause: Errno| file::Error::System { name: shown.clone(), cause: cause.into() };
        let (mut there, mut last) = (Vec::new(), 0);
        for entry in Dir::read_from(&file::folder_to_read(&folder).map_err(system)?).map_err(system)? {
            let entry = entry.map_err(system)?;
            let file = OsStr::from_bytes(entry.file_name().to_bytes());
            if let Some(number) = number(file, &name)
                && let Ok(found) = statat(&folder, file, AtFlags::SYMLINK_NOFOLLOW)
                && FileType::from_raw_mode(found.st_mode).is_file()
            {
                last = last.max(number);
                // What somebody else has given such a name is not ours to remove. A recorder that was killed at once
                // has left an empty file.
                if found.st_size == 0 || file::is_recording(&folder, file) {
                    there.push((number, u64::try_from(found.st_size).unwrap_or_default()));
                }
            }
        }
        there.sort_unstable();
        let there = there.into_iter().map(|(number, bytes)| (number, Arc::new(WrittenSize::of(bytes))));
        let next = last.saturating_add(1);
        Ok(Self { folder, shown, name, rotation, there: there.collect(), next })
    }

    /// When a new part begins.
    #[must_use]
    pub fn rotation(&self) -> Rotation {
        self.rotation
    }

    /// Makes the next part, and removes the oldest ones.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn begin_next(&mut self) -> io::Result<RecordingFile> {
        let (number, file) = loop {
            match Folder::create(&self.folder, &part(&self.name, self.next)) {
                // Somebody else has made it meanwhile.
                Err(Errno::EXIST) => self.next = self.next.checked_add(1).ok_or(Errno::EXIST)?,
                created => break (self.next, created?),
            }
        };
        self.next = number.saturating_add(1);
        let size = Arc::<WrittenSize>::default();
        self.there.push_back((number, Arc::clone(&size)));
        let oldest = self.take_oldest();
        self.tidy(&oldest);
        Ok(RecordingFile { name: format!("{}.{number:0DIGITS$}", self.shown), file, size })
    }

    /// Removes the last part if nothing could be written to it. Returns whether it did.
    pub fn take_back(&mut self) -> bool {
        let Some((number, _)) = self.there.back().filter(|(_, size)| size.bytes() == 0) else {
            return false;
        };
        let number = *number;
        self.there.pop_back();
        if let Err(error) = unlinkat(&self.folder, part(&self.name, number), AtFlags::empty()) {
            log::warn!("removing {}.{number:0DIGITS$}: {error}", self.shown);
        }
        true
    }

    /// Takes the oldest parts off those that are there, as many as are not to be kept.
    fn take_oldest(&mut self) -> Vec<u32> {
        let Rotation { keep, keep_bytes, .. } = self.rotation;
        let is_too_much = |there: &VecDeque<(u32, Arc<WrittenSize>)>| {
            let bytes: u64 = there.iter().map(|(_, size)| size.bytes()).sum();
            keep.is_some_and(|keep| there.len() > keep.max(1)) || keep_bytes.is_some_and(|keep| bytes > keep)
        };
        let mut oldest = Vec::new();
        while self.there.len() > 1 && is_too_much(&self.there) {
            oldest.extend(self.there.pop_front().map(|(number, _)| number));
        }
        oldest
    }

    /// Removes parts, and brings all names to the disk. That may take seconds, in which events have to be read: a thread
    /// does it.
    fn tidy(&self, oldest: &[u32]) {
        let Ok(folder) = self.folder.try_clone() else {
            return tidy(&self.folder, (&self.name, &self.shown), oldest);
        };
        let (name, shown, parts) = (self.name.clone(), self.shown.clone(), oldest.to_owned());
        let work = move || tidy(&folder, (&name, &shown), &parts);
        if thread::Builder::new().name("parts".to_owned()).spawn(work).is_err() {
            tidy(&self.folder, (&self.name, &self.shown), oldest);
        }
    }

    /// Gives the parts that are there another name, `NAME-WHY.000001` and so on, so that they are kept, and returns
    /// how many there are.
    ///
    /// # Errors
    /// One cannot be renamed.
    pub fn freeze(&mut self, why: &str) -> io::Result<usize> {
        let mut frozen = self.name.clone();
        frozen.push(format!("-{why}"));
        let mut count = 0;
        while let Some((number, _)) = self.there.front() {
            let (from, to) = (part(&self.name, *number), part(&frozen, *number));
            match renameat_with(&self.folder, from, &self.folder, to, RenameFlags::NOREPLACE) {
                // Somebody has removed it.
                Err(Errno::NOENT) => {}
                renamed => {
                    renamed?;
                    count += 1;
                }
            }
            self.there.pop_front();
        }
        self.tidy(&[]);
        Ok(count)
    }

    /// The path of the parts that have been kept for this reason, escaped.
    #[must_use]
    pub fn frozen(&self, why: &str) -> String {
        format!("{}-{}.*", self.shown, escaped(why.as_bytes()))
    }
}

/// Removes parts, and brings all names to the disk.
fn tidy(folder: &OwnedFd, (name, shown): (&OsStr, &str), parts: &[u32]) {
    for number in parts {
        if let Err(error) = unlinkat(folder, part(name, *number), AtFlags::empty())
            && error != Errno::NOENT
        {
            log::warn!("removing {shown}.{number:0DIGITS$}: {error}");
        }
    }
    file::sync_folder(folder);
}

/// The name of a part.
fn part(name: &OsStr, number: u32) -> OsString {
    let mut part = name.to_owned();
    part.push(format!(".{number:0DIGITS$}"));
    part
}

/// The number of a part, if `found` is one of `name`.
fn number(found: &OsStr, name: &OsStr) -> Option<u32> {
    let digits = found.as_bytes().strip_prefix(name.as_bytes())?.strip_prefix(b".")?;
    let is_number = digits.len() >= DIGITS && digits.iter().all(u8::is_ascii_digit);
    str::from_utf8(digits).ok().filter(|_| is_number)?.parse().ok()
}
