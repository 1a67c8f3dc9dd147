//! Writing to standard output on a thread of its own: a reader that stops reading (a full pipe, a
//! terminal on hold) stops neither signals nor the receipt. While a write is under way a mebibyte of
//! lines collects at most; the ring buffer holds what comes then, and what it cannot hold is counted.

use std::{
    fs::File,
    io::{self, Write as _},
    os::fd::AsFd as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rustix::event::{PollFd, PollFlags, poll};
use tokio::{
    io::{Interest, unix::AsyncFd},
    task::JoinHandle,
    time::sleep,
};

/// How long standard output may take nothing, once the capture has ended, before it is given up.
const LAST_WRITE: Duration = Duration::from_secs(5);

/// Bytes handed over at once: small enough to see whether a slow reader reads at all.
const CHUNK: usize = 65_536;

/// Why output was not written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system.
    #[error("writing to standard output: {0}")]
    Write(#[from] io::Error),
    /// Nobody reads.
    #[error("standard output has taken nothing for five seconds: giving it up")]
    Stuck,
}

/// Standard output, with at most one write under way.
pub struct Output {
    stdout: Arc<File>,
    /// Tells when the reader of a pipe goes; there is none for files and terminals.
    hang_up: Option<AsyncFd<File>>,
    write: Option<JoinHandle<Written>>,
    /// Memory for the next write, while this one is under way.
    spare: Vec<u8>,
    /// Bytes taken so far.
    progress: Arc<AtomicU64>,
    /// Lines under way.
    lines: u64,
    written: u64,
    unwritten: u64,
}

/// How a write went: its memory, lines that were not taken, and why.
type Written = (Vec<u8>, u64, io::Result<()>);

impl Output {
    /// Takes standard output. Needs a tokio runtime around it.
    pub fn new() -> io::Result<Self> {
        // Past the standard library's own buffer: batches are large, and a line is not held back.
        Self::to(File::from(io::stdout().as_fd().try_clone_to_owned()?))
    }

    /// Writes to a file in the place of standard output. Needs a tokio runtime around it.
    pub fn to(stdout: File) -> io::Result<Self> {
        let file = stdout.try_clone()?;
        // SAFETY: the file owns its descriptor, and always answers with that one.
        let hang_up = unsafe { AsyncFd::register_with_interest(file, Interest::ERROR) }.ok();
        Ok(Self {
            stdout: Arc::new(stdout),
            hang_up,
            write: None,
            spare: Vec::new(),
            progress: Arc::default(),
            lines: 0,
            written: 0,
            unwritten: 0,
        })
    }

    /// Starts to write `bytes`, which hold so many lines, and leaves them empty. Nothing may be
    /// under way.
    pub fn start(&mut self, bytes: &mut Vec<u8>, lines: u64) {
        if bytes.is_empty() {
            return;
        }
        debug_assert!(self.write.is_none(), "one write at a time");
        let mut bytes = std::mem::replace(bytes, std::mem::take(&mut self.spare));
        let (stdout, progress) = (Arc::clone(&self.stdout), Arc::clone(&self.progress));
        self.lines = lines;
        self.write = Some(tokio::task::spawn_blocking(move || {
            let (unwritten, result) = write_all(&stdout, &bytes, &progress);
            bytes.clear();
            (bytes, unwritten, result)
        }));
    }

    /// Whether a write is under way.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.write.is_some()
    }

    /// Waits for the write under way. Cancelling loses nothing.
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
        Ok(result?)
    }

    /// Waits for the write under way as long as somebody reads.
    pub async fn patience(&mut self) -> Result<(), Error> {
        loop {
            let before = self.progress();
            tokio::select! {
                written = self.idle() => return written,
                () = sleep(LAST_WRITE) => {}
            }
            if self.progress() == before {
                return Err(Error::Stuck);
            }
        }
    }

    /// Waits for the write under way; with none, for the day when nobody can read any more. A write
    /// under way finds that out by itself.
    pub async fn turn(&mut self) -> Result<(), Error> {
        if self.is_busy() {
            return self.idle().await;
        }
        match &self.hang_up {
            Some(stdout) if stdout.ready(Interest::ERROR).await.is_ok() => {
                Err(io::Error::from(io::ErrorKind::BrokenPipe).into())
            }
            _ => std::future::pending().await,
        }
    }

    /// Gives up the write under way; its lines count as not written.
    pub fn abandon(&mut self) {
        if self.write.take().is_some() {
            self.unwritten += std::mem::take(&mut self.lines);
        }
    }

    /// Bytes that were taken so far: whether anybody reads.
    #[must_use]
    pub fn progress(&self) -> u64 {
        self.progress.load(Ordering::Relaxed)
    }

    /// Lines that were written, all of each.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Lines that were not.
    #[must_use]
    pub fn unwritten(&self) -> u64 {
        self.unwritten
    }
}

fn write_all(mut stdout: &File, bytes: &[u8], progress: &AtomicU64) -> (u64, io::Result<()>) {
    let mut rest = bytes;
    while !rest.is_empty() {
        match stdout.write(&rest[..rest.len().min(CHUNK)]) {
            Ok(0) => return (lines(rest), Err(io::ErrorKind::WriteZero.into())),
            Ok(taken) => {
                rest = &rest[taken..];
                progress.fetch_add(taken as u64, Ordering::Relaxed);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Somebody has made the pipe or terminal, which others share, non-blocking.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if let Err(error) = poll(&mut [PollFd::new(&stdout, PollFlags::OUT)], None) {
                    return (lines(rest), Err(error.into()));
                }
            }
            Err(error) => return (lines(rest), Err(error)),
        }
    }
    (0, Ok(()))
}

/// Lines that end in these bytes; one that is cut counts here, because its end is.
fn lines(bytes: &[u8]) -> u64 {
    bytes.split(|byte| *byte == b'\n').count() as u64 - 1
}

/// Writes what is short and whole, such as a list, on this thread.
pub fn write_whole(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    stdout.write_all(bytes)
}
