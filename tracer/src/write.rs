//! Writing to standard output on a thread of its own: a reader that stops reading (a full pipe, a
//! terminal on hold) stops neither signals nor the receipt. While a write is under way nothing is
//! read; the ring buffer holds what comes, and what it cannot hold is counted.

use std::{
    fs::File,
    io::{self, Write as _},
    os::fd::AsFd as _,
};

use tokio::task::JoinHandle;

/// Standard output, with at most one write under way.
#[derive(Default)]
pub struct Output {
    write: Option<JoinHandle<(Vec<u8>, io::Result<()>)>>,
    spare: Vec<u8>,
}

impl Output {
    /// Starts to write `bytes`, and leaves an empty buffer in their place. Nothing may be under
    /// way.
    pub fn start(&mut self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        debug_assert!(self.write.is_none(), "one write at a time");
        let bytes = std::mem::replace(bytes, std::mem::take(&mut self.spare));
        self.write = Some(tokio::task::spawn_blocking(move || {
            let result = write_all(&bytes);
            (bytes, result)
        }));
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
        let (mut bytes, result) = write.await.map_err(io::Error::other)?;
        self.write = None;
        bytes.clear();
        self.spare = bytes;
        result
    }
}

/// Past the standard library's own buffer: batches are large, and a line is not held back.
fn write_all(bytes: &[u8]) -> io::Result<()> {
    File::from(io::stdout().as_fd().try_clone_to_owned()?).write_all(bytes)
}
