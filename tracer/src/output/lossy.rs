//! Lines that nobody waits for: what standard output does not take in time is counted as lost, and if it is closed,
//! all that comes later.

use std::{
    fs::File,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Sender, channel},
    },
    thread,
    time::Duration,
};

use tokio::time::sleep;

use crate::output::{
    stderr::message,
    stdout::{Error, lines, write_all},
};

/// Bytes that may wait for the reader.
const ROOM: u64 = 1 << 20;

/// How long the reader may take nothing at the end.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often is asked whether all is written.
const POLL: Duration = Duration::from_millis(5);

/// Hands lines to a thread that writes them.
pub(super) struct LossyLines {
    queue: Sender<Vec<u8>>,
    counts: Arc<LossyCounts>,
    has_told: bool,
}

#[derive(Default)]
struct LossyCounts {
    /// Bytes that wait.
    waiting: AtomicU64,
    /// Bytes that were written.
    progress: AtomicU64,
    made: AtomicU64,
    written: AtomicU64,
    lost: AtomicU64,
}

impl LossyLines {
    /// Starts the thread.
    pub(super) fn start(file: File) -> Result<Self, Error> {
        let (queue, inbox) = channel::<Vec<u8>>();
        let counts = Arc::<LossyCounts>::default();
        let of_thread = Arc::clone(&counts);
        let write = move || {
            let LossyCounts { waiting, progress, written, lost, .. } = &*of_thread;
            let mut is_closed = false;
            for bytes in inbox {
                let all = lines(&bytes);
                let unwritten = if is_closed {
                    all
                } else {
                    let (unwritten, result) = write_all(&file, &bytes, progress);
                    if let Err(error) = result {
                        is_closed = true;
                        message(format_args!("{}; all else goes on", Error::Write(error)));
                    }
                    unwritten
                };
                lost.fetch_add(unwritten, Ordering::Relaxed);
                written.fetch_add(all - unwritten, Ordering::Relaxed);
                waiting.fetch_sub(bytes.len() as u64, Ordering::Relaxed);
            }
        };
        let name = "tracer-stdout".to_owned();
        thread::Builder::new().name(name).spawn(write).map_err(Error::Thread)?;
        Ok(Self { queue, counts, has_told: false })
    }

    /// Hands these lines over, or counts them as lost.
    pub(super) fn send(&mut self, bytes: Vec<u8>) {
        let (size, count) = (bytes.len() as u64, lines(&bytes));
        let counts = &self.counts;
        counts.made.fetch_add(count, Ordering::Relaxed);
        let has_room = counts.waiting.load(Ordering::Relaxed).saturating_add(size) <= ROOM;
        counts.waiting.fetch_add(size, Ordering::Relaxed);
        if !has_room || self.queue.send(bytes).is_err() {
            counts.waiting.fetch_sub(size, Ordering::Relaxed);
            counts.lost.fetch_add(count, Ordering::Relaxed);
            if !std::mem::replace(&mut self.has_told, true) {
                message("standard output is not read: lines are lost, and all else goes on");
            }
        }
    }

    /// Waits until all is written, as long as the reader takes something.
    pub(super) async fn drained(&self) {
        let standing = || self.counts.progress.load(Ordering::Relaxed);
        let (mut before, mut waited) = (standing(), Duration::ZERO);
        while self.counts.waiting.load(Ordering::Relaxed) > 0 && waited < PATIENCE {
            sleep(POLL).await;
            waited = if standing() == before { waited + POLL } else { Duration::ZERO };
            before = standing();
        }
    }

    /// Lines that were written.
    pub(super) fn written(&self) -> u64 {
        self.counts.written.load(Ordering::Relaxed)
    }

    /// Lines that were not.
    pub(super) fn unwritten(&self) -> u64 {
        self.counts.made.load(Ordering::Relaxed).saturating_sub(self.written())
    }

    /// Those of them that will not be.
    pub(super) fn lost(&self) -> u64 {
        self.counts.lost.load(Ordering::Relaxed)
    }
}
