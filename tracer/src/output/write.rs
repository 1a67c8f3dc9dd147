//! Writing to a descriptor that may not block.

use std::{
    borrow::Borrow,
    fs::File,
    io::{self, Write as _},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Writes some of `bytes`, and returns how many. Waits where the descriptor does not block, at most for `patience`.
///
/// # Errors
/// The system refuses. Nothing can be written ([`io::ErrorKind::WriteZero`]), or not in that time
/// ([`io::ErrorKind::TimedOut`]).
pub(super) fn write_some(mut file: &File, bytes: &[u8], patience: Option<&Timespec>) -> io::Result<usize> {
    loop {
        match file.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if poll(&mut [PollFd::new(&file, PollFlags::OUT)], patience)? == 0 {
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
            written => return written,
        }
    }
}

/// A file that is written for as long as that takes.
#[derive(Debug)]
pub struct PatientFile<F>(pub F);

impl<F: Borrow<File>> io::Write for PatientFile<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() { Ok(0) } else { write_some(self.0.borrow(), bytes, None) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
