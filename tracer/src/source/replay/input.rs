//! A thread that reads recordings, so that reading and unpacking go on while facts are being processed.

use std::{
    fs::File,
    io::{self, IsTerminal as _, Read},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use rustix::event::{PollFd, PollFlags, poll};
use tokio::sync::mpsc;

use crate::{
    recording::{
        entry::RecordingEntry,
        header::Header,
        reader::{self, RecordingPiece, RecordingReader},
    },
    source::Error,
    text::escape::escaped,
};

/// Pieces that may wait to be taken.
const WAITING: usize = 4;

/// How often a file that is being written is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// How far the times of a host's start may differ that were read at different moments, because the wall clock is
/// corrected, in nanoseconds.
const SAME_START_NS: u64 = 600_000_000_000;

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
    /// Sockets of two hosts have the same numbers.
    #[error("{0} and {1} are recordings of two hosts: show one at a time")]
    Hosts(String, String),
    /// After a restart, numbers and the clock begin anew.
    #[error("{0} and {1} were made before and after a restart of the host: show one at a time")]
    Restart(String, String),
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

impl ReplayInput {
    /// Opens files, or standard input (`-`), and starts to read them in the order of their times.
    ///
    /// # Errors
    /// One cannot be opened, they do not belong together, or the system has no room for a thread.
    pub fn start(paths: &[PathBuf], follows: bool, read: &Arc<AtomicU64>) -> Result<Self, Error> {
        let (sender, items) = mpsc::channel(WAITING);
        let mut files = paths.iter().map(|path| open(path, read)).collect::<Result<Vec<_>, _>>()?;
        if let [file] = &mut files[..] {
            // Standard input may say nothing for long: its header is waited for elsewhere.
            file.reader.input_mut().follows = follows;
        } else {
            files.iter_mut().try_for_each(Opened::read_header)?;
            files.sort_by_key(|file| (file.header.begun_ns, file.header.id, file.header.part));
            check(&files)?;
            if let Some(last) = files.last_mut() {
                last.reader.input_mut().follows = follows;
            }
        }
        let send = move || {
            for Opened { name, mut reader, first, .. } in files {
                let mut next = first.map(Ok);
                if sender.blocking_send(Ok(Item::File(name.clone()))).is_err() {
                    return;
                }
                while let Some(piece) = next.take().or_else(|| reader.read().transpose()) {
                    let cause = |cause| Unreadable::File { name: name.clone(), cause };
                    let has_failed = piece.is_err();
                    if sender.blocking_send(piece.map(Item::Piece).map_err(cause)).is_err() || has_failed {
                        return;
                    }
                }
            }
        };
        thread::Builder::new()
            .name("reading".to_owned())
            .spawn(send)
            .map_err(Error::system("starting the thread that reads the recording"))?;
        Ok(Self { items })
    }

    /// What comes next; `None` at the end. Dropping the future loses nothing.
    ///
    /// # Errors
    /// A recording cannot be read.
    pub async fn next(&mut self) -> Result<Option<Item>, Error> {
        Ok(self.items.recv().await.transpose()?)
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
    let file = if is_standard { standard_input() } else { File::open(path) }.map_err(unreadable)?;
    if file.metadata().map_err(unreadable)?.is_dir() {
        return Err(unreadable(io::ErrorKind::IsADirectory.into()));
    }
    Ok((name, file))
}

impl Opened {
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

/// Whether files belong together.
fn check(files: &[Opened]) -> Result<(), Unreadable> {
    for pair in files.windows(2) {
        if let [one, other] = pair {
            let (first, second) = (&one.header, &other.header);
            let names = || (one.name.clone(), other.name.clone());
            if (&first.machine, &first.host) != (&second.machine, &second.host) {
                let (one, other) = names();
                return Err(Unreadable::Hosts(one, other));
            }
            if first.booted_ns.abs_diff(second.booted_ns) > SAME_START_NS {
                let (one, other) = names();
                return Err(Unreadable::Restart(one, other));
            }
        }
    }
    Ok(())
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
