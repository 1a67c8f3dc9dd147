//! The thread that packs blocks and writes them to a file, and one that sees to it that they reach the disk.
//!
//! If the disk is slow, the capture waits, and the kernel counts what it has no room for: nothing is lost silently.

use std::{
    fs::File,
    io::{self, Write as _},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use bytes::Bytes;
use tokio::sync::{mpsc as jobs, oneshot};

use crate::{output::refusal::Refusal, recording::block::Unpacked};

/// Blocks that may wait for the thread.
const WAITING: usize = 32;

/// How often what was written is brought to the disk.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);

/// Why a recording cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("writing the recording to {name}: {}", Refusal(cause))]
pub struct Error {
    /// The path of the file, escaped.
    pub name: String,
    /// The system's error.
    pub cause: io::Error,
}

/// A file that a recording is written to.
#[derive(Debug)]
pub struct RecordingFile {
    /// Its path, escaped.
    pub name: String,
    /// The file, the pipe or the socket.
    pub file: File,
}

/// What the thread is asked to do.
#[derive(Debug)]
enum Job {
    /// Pack this block, and write it.
    Block(Unpacked),
    /// Go on in another file, with these bytes at its beginning.
    Next(RecordingFile, Bytes),
    /// Bring everything to the disk, and say so.
    Finish(oneshot::Sender<()>),
}

/// Hands blocks to the thread.
#[derive(Debug)]
pub struct RecordingWriter {
    jobs: jobs::Sender<Job>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Bytes written to the file so far.
    written: AtomicU64,
    /// Why the thread has stopped.
    error: Mutex<Option<Error>>,
}

/// Room for one job.
pub struct Room<'a>(jobs::Permit<'a, Job>);

impl Room<'_> {
    /// Packs and writes this block.
    pub fn block(self, block: Unpacked) {
        self.0.send(Job::Block(block));
    }

    /// Goes on in another file, with this header.
    pub fn next(self, file: RecordingFile, header: Bytes) {
        self.0.send(Job::Next(file, header));
    }
}

impl RecordingWriter {
    /// Starts the threads. The file begins with this header.
    ///
    /// # Errors
    /// The system has no room for a thread.
    pub fn start(sink: RecordingFile, header: Bytes) -> io::Result<Self> {
        let (jobs, receiver) = jobs::channel(WAITING);
        let shared = Arc::new(Shared::default());
        let thread = Thread::new(sink, Arc::clone(&shared))?;
        thread::Builder::new().name("recording".to_owned()).spawn(move || thread.run(&header, receiver))?;
        Ok(Self { jobs, shared })
    }

    /// Waits until there is room for a job. Dropping the future changes nothing.
    ///
    /// # Errors
    /// Something before could not be written.
    pub async fn room(&self) -> Result<Room<'_>, Error> {
        self.jobs.reserve().await.map(Room).map_err(|_| self.error())
    }

    /// Bytes written to the present file.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.shared.written.load(Ordering::Relaxed)
    }

    /// Whether the thread has stopped because something could not be written.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.jobs.is_closed()
    }

    /// Waits until everything is on the disk.
    ///
    /// # Errors
    /// Something could not be written.
    pub async fn finish(&self) -> Result<(), Error> {
        let (done, is_done) = oneshot::channel();
        let finish = Job::Finish(done);
        self.jobs.send(finish).await.map_err(|_| self.error())?;
        is_done.await.map_err(|_| self.error())
    }

    fn error(&self) -> Error {
        let error = self.shared.error.lock().unwrap_or_else(PoisonError::into_inner).take();
        error
            .unwrap_or_else(|| Error { name: "its file".to_owned(), cause: io::ErrorKind::BrokenPipe.into() })
    }
}

/// The thread's own.
struct Thread {
    sink: RecordingFile,
    sync: Sync,
    shared: Arc<Shared>,
}

impl Thread {
    fn new(sink: RecordingFile, shared: Arc<Shared>) -> io::Result<Self> {
        let sync = Sync::start(&sink.file)?;
        Ok(Self { sink, sync, shared })
    }

    fn run(mut self, header: &[u8], mut jobs: jobs::Receiver<Job>) {
        let mut written = self.write(header);
        while written.is_ok()
            && let Some(job) = jobs.blocking_recv()
        {
            written = self.work(job);
        }
        if let Err(cause) = written {
            let error = Error { name: self.sink.name, cause };
            *self.shared.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        }
    }

    fn work(&mut self, job: Job) -> io::Result<()> {
        match job {
            Job::Block(block) => self.write(&block.pack())?,
            Job::Next(sink, header) => {
                self.sync.stop()?;
                self.sync = Sync::start(&sink.file)?;
                self.sink = sink;
                self.shared.written.store(0, Ordering::Relaxed);
                self.write(&header)?;
            }
            Job::Finish(done) => {
                self.sync.stop()?;
                // Nobody may be waiting any more.
                let _ = done.send(());
            }
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sync.check()?;
        self.sink.file.write_all(bytes)?;
        self.shared.written.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.sync.is_dirty.store(true, Ordering::Relaxed);
        Ok(())
    }
}

/// Brings a file to the disk, every second. That may take longer than the next block does.
struct Sync {
    is_dirty: Arc<AtomicBool>,
    /// Dropped to stop.
    stop: Option<mpsc::Sender<()>>,
    thread: Option<thread::JoinHandle<io::Result<()>>>,
}

impl Sync {
    /// For what is no file on a disk there is nothing to do.
    fn start(file: &File) -> io::Result<Self> {
        let is_dirty = Arc::new(AtomicBool::new(false));
        if !file.metadata()?.is_file() {
            return Ok(Self { is_dirty, stop: None, thread: None });
        }
        let (stop, stopped) = mpsc::channel();
        let (file, dirty) = (file.try_clone()?, Arc::clone(&is_dirty));
        let thread = thread::Builder::new().name("sync".to_owned()).spawn(move || {
            loop {
                let has_ended = stopped.recv_timeout(SYNC_INTERVAL) != Err(RecvTimeoutError::Timeout);
                if dirty.swap(false, Ordering::Relaxed) {
                    file.sync_data()?;
                }
                if has_ended {
                    return Ok(());
                }
            }
        })?;
        Ok(Self { is_dirty, stop: Some(stop), thread: Some(thread) })
    }

    /// Whether all went well so far.
    fn check(&mut self) -> io::Result<()> {
        match &self.thread {
            Some(thread) if thread.is_finished() => self.stop(),
            _ => Ok(()),
        }
    }

    /// Brings the rest to the disk.
    fn stop(&mut self) -> io::Result<()> {
        self.stop = None;
        let ended = self.thread.take().map(thread::JoinHandle::join);
        ended
            .unwrap_or(Ok(Ok(())))
            .unwrap_or_else(|_| Err(io::Error::other("the thread that syncs has died")))
    }
}
