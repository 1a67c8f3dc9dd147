//! Standard output, written on a thread of its own, which is there from the start: when a write is due, the host
//! may have no room for a new one. A reader that stops reading (a full pipe, a terminal on
//! hold) therefore delays neither signals nor the receipt. During a write, up to about 1 MiB of lines is
//! collected. After that, events wait in the ring buffer, and those that do not fit there are counted as
//! lost.

use std::{
    fs::File,
    io::{self, Write as _},
    os::{
        fd::{AsFd as _, AsRawFd as _},
        unix::fs::FileTypeExt as _,
    },
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Sender, channel},
    },
    thread,
    time::Duration,
};

use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::oneshot,
    time::sleep,
};

use crate::{
    output::{
        files::ExportFiles, http::PageRequests, lossy::LossyLines, merge::MergeInput, refusal::Refusal,
        write::write_some,
    },
    text::STARTING_A_THREAD,
};

/// How long a write may make no progress, after the end of the capture, before it is given up.
const LAST_WRITE: Duration = Duration::from_secs(5);

/// Maximum size of one `write` call, in bytes. It is small enough to show progress with a slow reader.
const CHUNK: usize = 65_536;

/// Why output was not written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A system error.
    #[error("writing to standard output: {}", Refusal(.0))]
    Write(#[from] io::Error),
    /// A file of an export.
    #[error("writing to {name}: {}", Refusal(cause))]
    File {
        /// Its path, escaped.
        name: String,
        /// The system's error.
        cause: io::Error,
    },
    /// The thread that writes cannot be started.
    #[error("{STARTING_A_THREAD}: {0}")]
    Thread(io::Error),
    /// The reader has stopped reading.
    #[error("standard output has taken nothing for five seconds: giving it up")]
    Stuck,
}

/// Standard output, with at most one write in progress.
pub struct Output {
    to: OutputTo,
    write: Option<oneshot::Receiver<Written>>,
    /// A buffer for the next write while one is in progress.
    spare: Vec<u8>,
    /// Bytes written so far.
    progress: Arc<AtomicU64>,
    /// Lines in the current write.
    lines: u64,
    /// Lines so far.
    made: Arc<AtomicU64>,
    written: u64,
    unwritten: u64,
    recode: Option<fn(&mut Vec<u8>)>,
    /// The files of an export, which are written instead.
    files: Option<ExportFiles>,
    /// Pages that are asked for.
    requests: Option<PageRequests>,
}

/// Where bytes go.
enum OutputTo {
    File {
        file: Arc<File>,
        /// The thread that writes.
        writer: Sender<Write>,
        /// Reports when the reader of a pipe closes it; `None` for files and terminals.
        hang_up: Option<AsyncFd<File>>,
    },
    /// Lines of other captures come between.
    Merged(MergeInput),
    /// Nobody waits for them.
    Lossy(LossyLines),
}

/// What the thread is to write, and where the result goes.
struct Write {
    to: Arc<File>,
    bytes: Vec<u8>,
    done: oneshot::Sender<Written>,
}

/// The result of a write: its buffer, the number of lines that were not written, and the error if any.
pub(super) type Written = (Vec<u8>, u64, io::Result<()>);

impl Output {
    /// Opens standard output, and starts the thread. Must be called inside a tokio runtime, and after
    /// capabilities have been dropped, because threads inherit them.
    pub fn new() -> Result<Self, Error> {
        // Bypasses the standard library's buffer: batches are large already, and no line should be held back.
        Self::to(File::from(io::stdout().as_fd().try_clone_to_owned()?))
    }

    /// The same for files instead of standard output.
    pub fn to_files(files: ExportFiles) -> Result<Self, Error> {
        let file = files.file().map_err(|cause| Error::File { name: files.shown().to_owned(), cause })?;
        Ok(Self { files: Some(files), ..Self::to(file)? })
    }

    /// The same for a file instead of standard output.
    pub fn to(stdout: File) -> Result<Self, Error> {
        let file = stdout.try_clone()?;
        // SAFETY: the file owns its descriptor, and `as_raw_fd` always returns the same one.
        let hang_up = unsafe { AsyncFd::register_with_interest(file, Interest::ERROR) }.ok();
        let progress = Arc::<AtomicU64>::default();
        let (writer, inbox) = channel::<Write>();
        let stdout = Arc::new(stdout);
        let written = Arc::clone(&progress);
        let write = move || {
            for Write { to, mut bytes, done } in inbox {
                let (unwritten, result) = write_all(&to, &bytes, &written);
                bytes.clear();
                // Nobody waits for a write that was abandoned.
                let _ = done.send((bytes, unwritten, result));
            }
        };
        thread::Builder::new().name("tracer-stdout".into()).spawn(write).map_err(Error::Thread)?;
        Ok(Self { progress, ..Self::of(OutputTo::File { file: stdout, writer, hang_up }) })
    }

    /// The same between the lines of other captures.
    #[must_use]
    pub fn merged(input: MergeInput) -> Self {
        Self::of(OutputTo::Merged(input))
    }

    /// Standard output for lines that nobody waits for. What it does not take in time is lost, and counted.
    ///
    /// # Errors
    /// The system refuses.
    pub fn lossy() -> Result<Self, Error> {
        let stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        Ok(Self::of(OutputTo::Lossy(LossyLines::start(stdout)?)))
    }

    fn of(to: OutputTo) -> Self {
        Self {
            to,
            write: None,
            spare: Vec::new(),
            progress: Arc::default(),
            lines: 0,
            made: Arc::default(),
            written: 0,
            unwritten: 0,
            recode: None,
            files: None,
            requests: None,
        }
    }

    /// Also answers these requests.
    #[must_use]
    pub fn answering(self, requests: Option<PageRequests>) -> Self {
        Self { requests, ..self }
    }

    /// The requests that are to be answered.
    pub fn take_requests(&mut self) -> Option<PageRequests> {
        self.requests.take()
    }

    /// Where the times of lines are to be told, if they have to be.
    pub fn merge_input(&mut self) -> Option<&mut MergeInput> {
        match &mut self.to {
            OutputTo::Merged(input) => Some(input),
            OutputTo::File { .. } | OutputTo::Lossy(_) => None,
        }
    }

    /// Changes bytes in this way before they are written.
    #[must_use]
    pub fn recoding(self, recode: Option<fn(&mut Vec<u8>)>) -> Self {
        Self { recode, ..self }
    }

    /// Starts to write `bytes`, which contain this number of lines, and leaves the buffer empty. No write may
    /// be in progress.
    pub fn start(&mut self, bytes: &mut Vec<u8>, lines: u64) {
        // Some formats make bytes of many lines at once.
        self.lines += lines;
        self.made.fetch_add(lines, Ordering::Relaxed);
        if bytes.is_empty() {
            if let OutputTo::Merged(input) = &mut self.to {
                input.tell();
            }
            return;
        }
        if let OutputTo::Lossy(to) = &mut self.to {
            return to.send(std::mem::take(bytes));
        }
        debug_assert!(self.write.is_none(), "one write at a time");
        let mut bytes = std::mem::replace(bytes, std::mem::take(&mut self.spare));
        if let Some(recode) = self.recode {
            recode(&mut bytes);
        }
        let (done, write) = oneshot::channel();
        match &mut self.to {
            // If the thread is gone, `write` says so.
            OutputTo::File { file, writer, .. } => {
                _ = writer.send(Write { to: Arc::clone(file), bytes, done });
            }
            OutputTo::Merged(input) => input.send(bytes, done),
            // Sent above.
            OutputTo::Lossy(_) => {}
        }
        self.write = Some(write);
    }

    /// Whether a write is in progress.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.write.is_some()
    }

    /// Waits for the write in progress. It is safe to cancel.
    pub async fn idle(&mut self) -> Result<(), Error> {
        let Some(write) = &mut self.write else {
            return Ok(());
        };
        let (spare, unwritten, result) = write.await.map_err(io::Error::other)?;
        self.write = None;
        self.spare = spare;
        self.written += self.lines - unwritten.min(self.lines);
        self.unwritten += unwritten.min(self.lines);
        self.lines = 0;
        result.map_err(|cause| self.error(cause))
    }

    fn error(&self, cause: io::Error) -> Error {
        match &self.files {
            Some(files) => Error::File { name: files.shown().to_owned(), cause },
            None => Error::Write(cause),
        }
    }

    /// The first file of an export begins at this time.
    pub fn begin_files(&mut self, now: (u64, i64)) {
        if let Some(files) = &mut self.files {
            files.begin(now, 0);
        }
    }

    /// Whether the next file of an export is to begin, now that it is this time.
    pub fn is_next_file_due(&mut self, now: impl FnOnce() -> (u64, i64)) -> bool {
        let bytes = self.progress.load(Ordering::Relaxed);
        self.files.as_mut().is_some_and(|files| files.is_due(now(), bytes))
    }

    /// When it is to begin even if nothing happens.
    #[must_use]
    pub fn next_file_due(&self) -> Option<u64> {
        self.files.as_ref().and_then(ExportFiles::due)
    }

    /// Finishes a file of an export, and begins the next one. `wall_ns` gives the time of day.
    ///
    /// # Errors
    /// The system refuses.
    pub fn next_file(&mut self, now: (u64, i64), wall_ns: impl Fn(u64) -> i64) -> Result<(), Error> {
        let bytes = self.progress.load(Ordering::Relaxed);
        if let Some(files) = &mut self.files {
            let begun = wall_ns(files.begun_ns().unwrap_or(now.0));
            match files.next(begun, now, bytes) {
                Ok(next) => {
                    if let OutputTo::File { file, .. } = &mut self.to {
                        *file = Arc::new(next);
                    }
                }
                Err(cause) => return Err(self.error(cause)),
            }
        }
        Ok(())
    }

    /// Finishes the last file of an export.
    ///
    /// # Errors
    /// The system refuses.
    pub fn finish_files(&mut self, now_ns: u64, wall_ns: impl Fn(u64) -> i64) -> Result<(), Error> {
        if let Some(files) = &mut self.files {
            let begun = wall_ns(files.begun_ns().unwrap_or(now_ns));
            if let Err(cause) = files.finish(begun) {
                return Err(self.error(cause));
            }
        }
        Ok(())
    }

    /// Waits for the write in progress, as long as the reader reads.
    pub async fn patience(&mut self) -> Result<(), Error> {
        if let OutputTo::Lossy(to) = &self.to {
            to.drained().await;
            return Ok(());
        }
        // It is not the reader's fault if the lines of others take their time.
        if matches!(self.to, OutputTo::Merged(_)) {
            return self.idle().await;
        }
        loop {
            let before = self.standing();
            tokio::select! {
                written = self.idle() => return written,
                () = sleep(LAST_WRITE) => {}
            }
            if self.standing() == before {
                return Err(Error::Stuck);
            }
        }
    }

    /// Waits for the write in progress. If there is none, waits until the reader closes the pipe; during a
    /// write, the write itself reports that.
    pub async fn turn(&mut self) -> Result<(), Error> {
        if self.is_busy() {
            return self.idle().await;
        }
        match &self.to {
            OutputTo::File { hang_up: Some(stdout), .. } if stdout.ready(Interest::ERROR).await.is_ok() => {
                Err(io::Error::from(io::ErrorKind::BrokenPipe).into())
            }
            _ => std::future::pending().await,
        }
    }

    /// Abandons the write in progress; its lines count as unwritten. Returns whether all lines do, because their file
    /// does not stay.
    pub fn abandon(&mut self) -> bool {
        self.write = None;
        self.unwritten += std::mem::take(&mut self.lines);
        let has_files = self.files.take().is_some();
        if has_files {
            // What is not finished does not stay.
            self.unwritten += std::mem::take(&mut self.written);
        }
        has_files
    }

    /// How far the reader is: bytes written so far, and bytes of these that wait to be read. A write into a pipe
    /// goes on only when a whole page has been read.
    fn standing(&self) -> (u64, Option<u64>) {
        let unread = match &self.to {
            OutputTo::File { file, .. } => unread(file),
            OutputTo::Merged(_) | OutputTo::Lossy(_) => None,
        };
        (self.progress.load(Ordering::Relaxed), unread)
    }

    /// Number of lines so far, written or not.
    #[must_use]
    pub fn made(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.made)
    }

    /// Number of lines that were written completely.
    #[must_use]
    pub fn written(&self) -> u64 {
        match &self.to {
            OutputTo::Lossy(to) => to.written(),
            _ => self.written,
        }
    }

    /// Number of lines that were not.
    #[must_use]
    pub fn unwritten(&self) -> u64 {
        match &self.to {
            OutputTo::Lossy(to) => to.unwritten(),
            _ => self.unwritten,
        }
    }

    /// Number of lines that nobody has waited for, and that will not be written.
    #[must_use]
    pub fn lost(&self) -> u64 {
        match &self.to {
            OutputTo::Lossy(to) => to.lost(),
            _ => 0,
        }
    }
}

pub(super) fn write_all(stdout: &File, bytes: &[u8], progress: &AtomicU64) -> (u64, io::Result<()>) {
    let mut rest = bytes;
    while !rest.is_empty() {
        // Another process may have made the shared pipe or terminal non-blocking.
        match write_some(stdout, &rest[..rest.len().min(CHUNK)], None) {
            Ok(taken) => {
                rest = &rest[taken..];
                progress.fetch_add(taken as u64, Ordering::Relaxed);
            }
            Err(error) => return (lines(rest), Err(error)),
        }
    }
    (0, Ok(()))
}

/// Bytes that wait to be read; `None` for what does not tell, such as a file.
fn unread(stdout: &File) -> Option<u64> {
    // Of a pipe both ends tell the same; a terminal or socket would tell what it has received.
    let is_pipe = stdout.metadata().is_ok_and(|metadata| metadata.file_type().is_fifo());
    let request = if is_pipe { libc::FIONREAD } else { libc::TIOCOUTQ };
    let mut count: libc::c_int = 0;
    // SAFETY: the kernel writes a number of this type.
    let result = unsafe { libc::ioctl(stdout.as_raw_fd(), request, &raw mut count) };
    u64::try_from(count).ok().filter(|_| result == 0)
}

/// Number of lines that end in these bytes. A line that was cut counts, because its end is here.
pub(super) fn lines(bytes: &[u8]) -> u64 {
    bytes.split(|byte| *byte == b'\n').count() as u64 - 1
}

/// Writes short output, such as a list, on the calling thread.
pub fn write_whole(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    stdout.write_all(bytes)
}
