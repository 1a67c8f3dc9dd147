//! Writing to standard output on a thread of its own: a reader that stops reading (a full pipe, a
//! terminal on hold) stops neither signals nor the receipt. While a write is under way nothing is
//! read; the ring buffer holds what comes, and what it cannot hold is counted.

use std::{
    fs::File,
    io::{self, Write as _},
    os::fd::AsFd as _,
};

use bytes::BytesMut;
use tokio::task::JoinHandle;

/// Standard output, with at most one write under way.
#[derive(Default)]
pub struct Output {
    write: Option<JoinHandle<io::Result<()>>>,
}

impl Output {
    /// Starts to write `lines`, and leaves them empty. Nothing may be under way.
    pub fn start(&mut self, lines: &mut BytesMut) {
        if lines.is_empty() {
            return;
        }
        debug_assert!(self.write.is_none(), "one write at a time");
        // The memory comes back to `lines` when the write drops its half.
        let lines = lines.split().freeze();
        self.write = Some(tokio::task::spawn_blocking(move || write_all(&lines)));
    }

    /// Whether a write is under way.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.write.is_some()
    }

    /// Waits for the write under way. Cancelling loses nothing.
    pub async fn idle(&mut self) -> io::Result<()> {
        let Some(write) = &mut self.write else {
            return Ok(());
        };
        let result = write.await.map_err(io::Error::other)?;
        self.write = None;
        result
    }
}

/// Past the standard library's own buffer: batches are large, and a line is not held back.
fn write_all(bytes: &[u8]) -> io::Result<()> {
    File::from(io::stdout().as_fd().try_clone_to_owned()?).write_all(bytes)
}
