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
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::sync::{mpsc as jobs, oneshot};

use crate::{
    output::{refusal::Refusal, write::PatientFile},
    recording::{block::Unpacked, file_place::FilePlace},
};

/// Blocks that may wait for the thread.
const WAITING: usize = 32;

/// How often what was written is brought to the disk. A fact may have waited for 200 ms before: with that, and a disk that
/// takes up to 300 ms, what is older than a second is there after a power cut, too.
const SYNC_INTERVAL: Duration = Duration::from_millis(500);

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
    /// How large it is.
    pub size: Arc<WrittenSize>,
}

/// How many bytes of a file have been written. Blocks may wait for the thread while the next part begins, so each part
/// has a count of its own.
#[derive(Debug, Default)]
pub struct WrittenSize {
    bytes: AtomicU64,
    /// Those that a part needs to stand alone; 0 until they are written.
    beginning: AtomicU64,
}

impl WrittenSize {
    /// That of a file which is there already.
    #[must_use]
    pub fn of(bytes: u64) -> Self {
        Self { bytes: bytes.into(), ..Self::default() }
    }

    /// All bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether all is written that a part needs to stand alone.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.beginning.load(Ordering::Relaxed) > 0
    }

    /// Bytes behind the beginning; 0 while that is being written.
    #[must_use]
    pub fn behind_beginning(&self) -> u64 {
        match self.beginning.load(Ordering::Relaxed) {
            0 => 0,
            beginning => self.bytes().saturating_sub(beginning),
        }
    }
}

/// What the thread is asked to do.
#[derive(Debug)]
enum Job {
    /// Pack this block, and write it. So many events are then written.
    Block(Unpacked, u64),
    /// Go on in another file, with these bytes at its beginning.
    Next(RecordingFile, Bytes),
    /// All that the file needs to stand alone is in the blocks before.
    Begun,
    /// Bring everything to the disk, and say so.
    Finish(oneshot::Sender<()>),
}

/// Hands blocks to the thread.
#[derive(Debug)]
pub struct RecordingWriter {
    jobs: jobs::Sender<Job>,
    /// That of the present file.
    size: Arc<WrittenSize>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Bytes written to all files.
    written: AtomicU64,
    /// Events in what is written, and before it.
    events: AtomicU64,
    /// Why the thread has stopped.
    error: Mutex<Option<Error>>,
}

/// Room for one job.
pub struct Room(jobs::OwnedPermit<Job>);

impl Room {
    /// Packs and writes this block. So many events are then written, those of all files before included.
    pub fn block(self, block: Unpacked, events: u64) {
        self.0.send(Job::Block(block, events));
    }

    /// All that the file needs to stand alone has been handed over.
    pub fn begun(self) {
        self.0.send(Job::Begun);
    }
}

impl RecordingWriter {
    /// Starts the threads. The file begins with this header; so many events were written before.
    ///
    /// # Errors
    /// The system has no room for a thread.
    pub fn start(sink: RecordingFile, header: Bytes, events: u64) -> io::Result<Self> {
        let (jobs, receiver) = jobs::channel(WAITING);
        let shared = Arc::new(Shared { events: events.into(), ..Shared::default() });
        let size = Arc::clone(&sink.size);
        let thread = Thread::new(sink, Arc::clone(&shared))?;
        thread::Builder::new().name("recording".to_owned()).spawn(move || thread.run(&header, receiver))?;
        Ok(Self { jobs, size, shared })
    }

    /// Waits until there is room for a job. Dropping the future changes nothing.
    ///
    /// # Errors
    /// Something before could not be written.
    pub async fn room(&self) -> Result<Room, Error> {
        self.jobs.clone().reserve_owned().await.map(Room).map_err(|_| self.error())
    }

    /// Goes on in another file, with this header.
    pub fn next(&mut self, room: Room, file: RecordingFile, header: Bytes) {
        self.size = Arc::clone(&file.size);
        room.0.send(Job::Next(file, header));
    }

    /// How large the present file is.
    #[must_use]
    pub fn size(&self) -> &WrittenSize {
        &self.size
    }

    /// Bytes written to all files.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.shared.written.load(Ordering::Relaxed)
    }

    /// Events in what is written, and before it.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.shared.events.load(Ordering::Relaxed)
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
            Job::Block(block, events) => {
                self.write(&block.pack())?;
                self.shared.events.store(events, Ordering::Relaxed);
            }
            Job::Next(sink, header) => {
                self.sync.stop()?;
                self.sync = Sync::start(&sink.file)?;
                self.sink = sink;
                self.write(&header)?;
            }
            Job::Begun => self.sink.size.beginning.store(self.sink.size.bytes(), Ordering::Relaxed),
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
        PatientFile(&self.sink.file).write_all(bytes)?;
        self.sink.size.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.shared.written.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.sync.is_dirty.store(true, Ordering::Relaxed);
        Ok(())
    }
}

/// Brings a file to the disk, and looks whether it is still there. That may take longer than the next block does.
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
        let mut place = FilePlace::of(&file);
        let thread = thread::Builder::new().name("sync".to_owned()).spawn(move || {
            let mut rest = SYNC_INTERVAL;
            loop {
                let has_ended = stopped.recv_timeout(rest) != Err(RecvTimeoutError::Timeout);
                let begun = Instant::now();
                if dirty.swap(false, Ordering::Relaxed) {
                    file.sync_data()?;
                    place.check(&file)?;
                }
                if has_ended {
                    return Ok(());
                }
                // A slow disk gets some rest, too.
                rest = SYNC_INTERVAL.saturating_sub(begun.elapsed()).max(SYNC_INTERVAL / 4);
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
