//! The file of an export, or files one after the other. Each appears under its name when it is whole.

use std::{
    ffi::OsString,
    fs::File,
    io,
    os::unix::ffi::OsStrExt as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use jiff::Timestamp;

use crate::output::file::{Destination, Error, Unfinished};

/// When a file ends and the next one begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rolling {
    /// After so many bytes.
    pub bytes: Option<u64>,
    /// After this time: where it ends by the clock, so that a file for each hour has the rows of an hour.
    pub time: Option<Duration>,
}

/// Where files go, and the one that is being written.
pub struct ExportFiles {
    naming: Naming,
    current: Option<Unfinished>,
    /// Syncing takes time: it goes on while the next file is written.
    finishing: Option<JoinHandle<io::Result<()>>>,
    /// When the present file began, in nanoseconds of the kernel's monotonic clock.
    begun_ns: Option<u64>,
    /// When the next one is to begin.
    due_ns: Option<u64>,
    /// The first bytes of it, among all.
    begun_bytes: u64,
    finished: Arc<AtomicU64>,
    /// What the last file was called, without its number and its suffix, and how many before it were.
    last_name: (String, u32),
}

/// How files get their names.
enum Naming {
    /// There is one.
    Given,
    /// `TIME-HOST.SUFFIX` in a folder: they sort by time.
    ByTime { folder: Destination, host: String, suffix: &'static str, rolling: Rolling },
}

impl ExportFiles {
    /// One file.
    ///
    /// # Errors
    /// It cannot be written there.
    pub fn one(path: &Path) -> Result<Self, Error> {
        let current = Destination::check(path)?.begin()?;
        Ok(Self::new(Naming::Given, current))
    }

    /// Files in a folder that is there.
    ///
    /// # Errors
    /// They cannot be written there.
    pub fn in_folder(path: &Path, suffix: &'static str, rolling: Rolling) -> Result<Self, Error> {
        // They get their names at the end.
        let folder = Destination::check(&path.join(".tracer-export"))?;
        let current = folder.begin()?;
        Ok(Self::new(Naming::ByTime { folder, host: String::new(), suffix, rolling }, current))
    }

    /// With the name of this host in the names of files.
    #[must_use]
    pub fn of_host(mut self, name: &str) -> Self {
        if let Naming::ByTime { host, .. } = &mut self.naming {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            *host = name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
        }
        self
    }

    fn new(naming: Naming, current: Unfinished) -> Self {
        let (finishing, begun_ns, due_ns) = (None, None, None);
        let current = Some(current);
        let (finished, last_name) = Default::default();
        Self { naming, current, finishing, begun_ns, due_ns, begun_bytes: 0, finished, last_name }
    }

    /// What is written now.
    ///
    /// # Errors
    /// The system has no more descriptors.
    pub fn file(&self) -> io::Result<File> {
        match &self.current {
            Some(current) => current.file(),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Its path, or that of its folder, escaped.
    #[must_use]
    pub fn shown(&self) -> &str {
        self.current.as_ref().map_or("", Unfinished::shown)
    }

    /// Whether the next file is to begin, now that it is this time, by the kernel's monotonic clock and by
    /// the wall clock in nanoseconds, and so many bytes were written in all.
    pub fn is_due(&mut self, now: (u64, i64), bytes: u64) -> bool {
        let Naming::ByTime { rolling, .. } = &self.naming else {
            return false;
        };
        self.due_ns.is_some_and(|due_ns| now.0 >= due_ns)
            || rolling.bytes.is_some_and(|most| bytes - self.begun_bytes >= most)
    }

    /// A file begins at this time of the kernel's monotonic clock and of the wall clock, in nanoseconds, after so many bytes
    /// in others. [`Self::next`] sees to it for all but the first.
    pub fn begin(&mut self, (now_ns, wall_ns): (u64, i64), bytes: u64) {
        (self.begun_ns, self.begun_bytes) = (Some(now_ns), bytes);
        let Naming::ByTime { rolling: Rolling { time: Some(time), .. }, .. } = &self.naming else {
            return;
        };
        let time_ns = i64::try_from(time.as_nanos()).unwrap_or(i64::MAX).max(1);
        let rest_ns = time_ns - wall_ns.rem_euclid(time_ns);
        self.due_ns = now_ns.checked_add_signed(rest_ns);
    }

    /// When the next file is to begin even if nothing happens, in nanoseconds of the kernel's monotonic
    /// clock.
    #[must_use]
    pub fn due(&self) -> Option<u64> {
        self.due_ns
    }

    /// Finishes the file that began at `begun_wall_ns`, and begins the next one.
    ///
    /// # Errors
    /// A file cannot be made or finished.
    pub fn next(&mut self, begun_wall_ns: i64, now: (u64, i64), bytes: u64) -> io::Result<File> {
        let name = self.name(begun_wall_ns);
        self.wait()?;
        if let Naming::ByTime { folder, .. } = &self.naming
            && let Some(current) = self.current.take()
        {
            // What there is stays, also if there is no room for another file.
            let next = folder.begin();
            let finish = move || current.finish(name.as_deref());
            self.finishing = Some(thread::Builder::new().name("tracer-files".into()).spawn(finish)?);
            self.finished.fetch_add(1, Ordering::Relaxed);
            match next {
                Ok(next) => self.current = Some(next),
                Err(error) => return self.wait().and(Err(io::Error::other(error))),
            }
        }
        self.begin(now, bytes);
        self.file()
    }

    /// Finishes the last file.
    ///
    /// # Errors
    /// A file cannot be finished.
    pub fn finish(&mut self, begun_wall_ns: i64) -> io::Result<()> {
        let name = self.name(begun_wall_ns);
        self.wait()?;
        if let Some(current) = self.current.take() {
            current.finish(name.as_deref())?;
            self.finished.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// How many are whole, if they are in a folder.
    #[must_use]
    pub fn finished(&self) -> Option<Arc<AtomicU64>> {
        matches!(self.naming, Naming::ByTime { .. }).then(|| Arc::clone(&self.finished))
    }

    /// When the present file began; `None` if nothing has happened yet.
    #[must_use]
    pub fn begun_ns(&self) -> Option<u64> {
        self.begun_ns
    }

    fn wait(&mut self) -> io::Result<()> {
        match self.finishing.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(finished)) => finished,
            Some(Err(_)) => Err(io::Error::other("the thread that finishes files has failed")),
        }
    }

    /// The name of a file that began then; `None` if it has one. Several that begin at a time are numbered.
    fn name(&mut self, begun_wall_ns: i64) -> Option<OsString> {
        let Naming::ByTime { host, suffix, .. } = &self.naming else {
            return None;
        };
        let time = Timestamp::from_nanosecond(begun_wall_ns.into()).unwrap_or_default();
        let name = format!("{}-{host}", time.strftime("%Y%m%dT%H%M%S.%6fZ"));
        let (last, count) = &mut self.last_name;
        *count = if *last == name { *count + 1 } else { 1 };
        last.clone_from(&name);
        let number = if *count > 1 { format!("-{count}") } else { String::new() };
        Some(format!("{name}{number}.{suffix}").into())
    }
}

/// Whether a path is that of a folder: it is one, or ends as one.
#[must_use]
pub fn is_folder(path: &Path) -> bool {
    path.is_dir() || path.as_os_str().as_bytes().ends_with(b"/")
}
