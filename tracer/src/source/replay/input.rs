//! A thread that reads recordings, so that reading and unpacking go on while facts are being processed.

use std::{
    fs::File,
    io::{self, IsTerminal as _, Read},
    os::{
        fd::OwnedFd,
        unix::{ffi::OsStrExt as _, fs::FileTypeExt as _, net::UnixStream},
    },
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Resource, Rlimit, getrlimit, setrlimit},
};
use tokio::sync::{mpsc, oneshot};

use crate::{
    recording::{
        entry::RecordingEntry,
        header::Header,
        reader::{self, Damage, RecordingPiece, RecordingReader},
    },
    source::Error,
    text::escape::escaped,
};

/// Pieces that may wait to be taken.
const WAITING: usize = 4;

/// How often a file that is being written is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Descriptors of a process besides those of recordings: more than it has.
const OTHER_FILES: u64 = 64;

/// Why a recording cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// The file.
    #[error("{name}: {cause}")]
    File {
        /// Its path, escaped.
        name: String,
        /// Why.
        cause: reader::Error,
    },
    /// What is asked for is about one host.
    #[error(
        "{0} and {1} are recordings of two hosts, and this is about one: give those of one of them; log, life, summary, diff, and export as JSON Lines or CSV take several"
    )]
    Hosts(String, String),
    /// Nothing tells which of several hosts it comes from.
    #[error(
        "{0}: it ends before its header is whole, so nothing tells which host it comes from: leave it out"
    )]
    Nobodys(String),
    /// The same is told twice.
    #[error("{0} and {1} are the same part of one recording: give it once")]
    Twice(String, String),
    /// The same is told twice in one file.
    #[error("{0}: it has the same part of a recording twice")]
    Again(String),
    /// What a filter left out in one of them is not missing in the other.
    #[error(
        "{0}: it was recorded with other filters, or --raw, than the recording before it: show one at a time"
    )]
    Filters(String),
    /// The same is told twice, for a while.
    #[error("{0}: it begins before the recording before it ends: show one at a time")]
    Overlap(String),
    /// What is asked for is about one run of a host: after a restart, numbers and the clock begin anew.
    #[error(
        "{0} and {1} were made before and after a restart of the host, and this is about one run of it: give those of one of them (`tracer recording info` says when the host booted); log, life, summary, list, diff, and export as JSON Lines or CSV take several"
    )]
    Restart(String, String),
}

impl Unreadable {
    /// Whether the file ends before its header is whole, as a part does whose writer was killed while it began it.
    #[must_use]
    pub fn has_not_begun(&self) -> bool {
        matches!(self, Self::File { cause: reader::Error::Empty | reader::Error::NoHeader, .. })
    }
}

/// What the thread reads.
#[derive(Debug)]
pub enum Item {
    /// A file begins, with this escaped path.
    File(String),
    /// A piece of it.
    Piece(RecordingPiece),
}

/// The pieces of recordings.
#[derive(Debug)]
pub struct ReplayInput {
    items: mpsc::Receiver<Result<Item, Unreadable>>,
}

/// A file that has been opened.
struct Opened {
    name: String,
    reader: RecordingReader<Patient>,
    /// What was read already.
    first: Option<RecordingPiece>,
    header: Header,
}

/// The files of a host from one start to the next, in the order of their times.
#[derive(Default)]
struct OfBoot {
    files: Vec<Opened>,
    /// Those that end before their headers are whole.
    torn: Vec<String>,
}

impl ReplayInput {
    /// Opens files, or standard input (`-`), and starts to read them: those of each host in the order of their times, and
    /// those from before and after a restart as if they came from two hosts.
    /// Pipes may keep whoever opens or reads them waiting for ever; dropping the future ends the waiting.
    ///
    /// # Errors
    /// A recording cannot be read. They do not belong together. The system has no room for a thread.
    pub async fn start(paths: &[PathBuf], follows: bool, read: &Arc<AtomicU64>) -> Result<Vec<Self>, Error> {
        let (paths, read) = (paths.to_vec(), Arc::clone(read));
        let (sender, opened) = oneshot::channel();
        keep_freed_memory();
        start_thread("opening", move || {
            // Nobody may be waiting any more.
            let _ = sender.send(open_all(&paths, follows, &read));
        })?;
        let ended = |_| Error::system("opening the recording")(io::ErrorKind::Other.into());
        opened.await.map_err(ended)??.into_iter().map(Self::of_boot).collect()
    }

    fn of_boot(files: OfBoot) -> Result<Self, Error> {
        let (sender, items) = mpsc::channel(WAITING);
        start_thread("reading", move || {
            if let Err(error) = files.send(&sender) {
                // Nobody may be waiting any more.
                let _ = sender.blocking_send(Err(error));
            }
        })?;
        Ok(Self { items })
    }

    /// Whether the next item has to be waited for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// What comes next; `None` at the end. Dropping the future loses nothing.
    ///
    /// # Errors
    /// A recording cannot be read.
    pub async fn next(&mut self) -> Result<Option<Item>, Error> {
        Ok(self.items.recv().await.transpose()?)
    }
}

/// Has the allocator keep freed memory, up to 64 MiB for each thread that reads. Else it gives that of each block back to the
/// kernel, and page faults take a twentieth of the time.
#[cfg(target_env = "gnu")]
fn keep_freed_memory() {
    // SAFETY: it sets two numbers of the allocator, which any thread may do at any time.
    unsafe {
        libc::mallopt(libc::M_TRIM_THRESHOLD, 64 << 20);
        libc::mallopt(libc::M_MMAP_THRESHOLD, 32 << 20);
    }
}

/// Other allocators have no such setting.
#[cfg(not(target_env = "gnu"))]
fn keep_freed_memory() {}

fn start_thread(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    let started = thread::Builder::new().name(name.to_owned()).spawn(run);
    started.map(drop).map_err(Error::system("starting the thread that reads the recording"))
}

/// Opens files, and brings those of each host into the order of their times. Those that have no header yet are only named.
fn open_all(paths: &[PathBuf], follows: bool, read: &Arc<AtomicU64>) -> Result<Vec<OfBoot>, Unreadable> {
    allow_files(paths.len());
    let files = paths.iter().map(|path| open(path, read)).collect::<Result<Vec<_>, _>>()?;
    let mut boots = match files.len() {
        1 => vec![OfBoot { files, torn: Vec::new() }],
        _ => by_boot(files)?,
    };
    if follows {
        for of_host in boots.chunk_by_mut(|one, other| one.host_key() == other.host_key()) {
            if let Some(last) = of_host.last_mut().and_then(|boot| boot.files.last_mut()) {
                last.reader.input_mut().follows = true;
            }
        }
    }
    Ok(boots)
}

/// Reads the headers, and tells the files of hosts apart, and those from before and after a restart: ordered by host, then by
/// time.
fn by_boot(files: Vec<Opened>) -> Result<Vec<OfBoot>, Unreadable> {
    let (mut files, torn) = with_headers(files)?;
    files.sort_by_cached_key(|file| {
        (file.header.host_key(), file.header.begun_ns, file.header.id, file.header.part)
    });
    let mut boots = Vec::<OfBoot>::new();
    for file in files {
        let is_its = |boot: &OfBoot| boot.header().is_some_and(|one| one.is_of_same_boot(&file.header));
        match boots.iter_mut().rev().find(|boot| is_its(boot)) {
            Some(boot) => boot.files.push(file),
            None => boots.push(OfBoot { files: vec![file], torn: Vec::new() }),
        }
    }
    boots.iter().try_for_each(|boot| check(&boot.files))?;
    let hosts = boots.chunk_by(|one, other| one.host_key() == other.host_key()).count();
    match (hosts, torn.first()) {
        (2.., Some(name)) => return Err(Unreadable::Nobodys(name.clone())),
        _ => boots.last_mut().into_iter().for_each(|last| last.torn.clone_from(&torn)),
    }
    Ok(boots)
}

impl OfBoot {
    fn header(&self) -> Option<&Header> {
        self.files.first().map(|file| &file.header)
    }

    fn host_key(&self) -> (String, String) {
        self.header().map(Header::host_key).unwrap_or_default()
    }

    /// Reads all, as long as somebody takes it.
    fn send(self, to: &mpsc::Sender<Result<Item, Unreadable>>) -> Result<(), Unreadable> {
        self.files.into_iter().try_for_each(|file| file.send(to))?;
        for name in self.torn {
            let nothing = RecordingPiece::Damage(Damage { at: 0, bytes: 0, is_end: true });
            for item in [Item::File(name), Item::Piece(nothing)] {
                // The reader may have ended.
                let _ = to.blocking_send(Ok(item));
            }
        }
        Ok(())
    }
}

fn open(path: &Path, read: &Arc<AtomicU64>) -> Result<Opened, Unreadable> {
    let (name, file) = open_file(path)?;
    let reader = RecordingReader::new(Patient { file, follows: false, read: Arc::clone(read) });
    Ok(Opened { name, reader, first: None, header: Header::default() })
}

/// Opens a file, or standard input (`-`), and returns its escaped path with it.
///
/// # Errors
/// It cannot be opened, or is a folder or a terminal.
pub fn open_file(path: &Path) -> Result<(String, File), Unreadable> {
    let is_standard = path == Path::new("-");
    let name = if is_standard { "standard input".to_owned() } else { escaped(path.as_os_str().as_bytes()) };
    let unreadable = |cause: io::Error| Unreadable::File { name: name.clone(), cause: cause.into() };
    let file = if is_standard { standard_input() } else { open_path(path) }.map_err(unreadable)?;
    if file.metadata().map_err(unreadable)?.is_dir() {
        return Err(unreadable(io::ErrorKind::IsADirectory.into()));
    }
    Ok((name, file))
}

/// Opens a file, or connects to a socket.
fn open_path(path: &Path) -> io::Result<File> {
    if std::fs::metadata(path)?.file_type().is_socket() {
        return Ok(OwnedFd::from(UnixStream::connect(path)?).into());
    }
    File::open(path)
}

impl Opened {
    /// Reads all of it, as long as somebody takes it.
    fn send(self, to: &mpsc::Sender<Result<Item, Unreadable>>) -> Result<(), Unreadable> {
        let Self { name, mut reader, first, .. } = self;
        let unreadable = |cause| Unreadable::File { name: name.clone(), cause };
        let mut next = first;
        let mut is_wanted = to.blocking_send(Ok(Item::File(name.clone()))).is_ok();
        while is_wanted
            && let Some(piece) =
                next.take().map_or_else(|| reader.read(), |first| Ok(Some(first))).map_err(unreadable)?
        {
            is_wanted = to.blocking_send(Ok(Item::Piece(piece))).is_ok();
        }
        Ok(())
    }

    /// Reads up to the header.
    fn read_header(&mut self) -> Result<(), Unreadable> {
        let unreadable = |cause| Unreadable::File { name: self.name.clone(), cause };
        while let Some(piece) = self.reader.read().map_err(unreadable)? {
            if let RecordingPiece::Block(block) = &piece
                && let Some(RecordingEntry::Header(header)) = block.entries.first()
            {
                self.header = header.clone().tamed();
                self.first = Some(piece);
                return Ok(());
            }
        }
        Err(unreadable(reader::Error::NoRecording))
    }
}

/// Reads the headers of files. A writer that was killed while it began a part leaves one that is cut off before its
/// header is whole: the names of these are returned beside the others.
fn with_headers(files: Vec<Opened>) -> Result<(Vec<Opened>, Vec<String>), Unreadable> {
    let (mut whole, mut torn) = (Vec::new(), Vec::new());
    for mut file in files {
        match file.read_header() {
            Ok(()) => whole.push(file),
            Err(unreadable) if unreadable.has_not_begun() => torn.push((file.name, unreadable)),
            error => error?,
        }
    }
    if whole.is_empty()
        && let Some((_, unreadable)) = torn.pop()
    {
        return Err(unreadable);
    }
    for (_, unreadable) in &torn {
        log::warn!("{unreadable}");
    }
    Ok((whole, torn.into_iter().map(|(name, _)| name).collect()))
}

/// Whether files of a host belong together.
fn check(files: &[Opened]) -> Result<(), Unreadable> {
    for pair in files.windows(2) {
        if let [one, other] = pair {
            let (first, second) = (&one.header, &other.header);
            if (first.id, first.part) == (second.id, second.part) {
                return Err(Unreadable::Twice(one.name.clone(), other.name.clone()));
            }
        }
    }
    Ok(())
}

/// All files stay open from the beginning, because a recorder that is running may remove them. The usual limit is 1,024.
fn allow_files(count: usize) {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|most| most < count as u64 + OTHER_FILES) {
        // If it cannot be raised, opening says so.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    }
}

fn standard_input() -> io::Result<File> {
    let input = io::stdin();
    if input.is_terminal() {
        return Err(io::Error::other("it is a terminal: give a recording, as in `tracer record - | …`"));
    }
    Ok(rustix::io::fcntl_dupfd_cloexec(&input, 0)?.into())
}

/// Reads what there is, and waits for more if it may come.
#[derive(Debug)]
struct Patient {
    file: File,
    follows: bool,
    read: Arc<AtomicU64>,
}

impl Read for Patient {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.file.read(buffer) {
                // Another process may have set it not to block.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    poll(&mut [PollFd::new(&self.file, PollFlags::IN)], None)?;
                }
                Ok(0) if self.follows && !buffer.is_empty() => thread::sleep(LOOK),
                read => {
                    let count = read.as_ref().map_or(0, |count| *count as u64);
                    self.read.fetch_add(count, Ordering::Relaxed);
                    return read;
                }
            }
        }
    }
}
