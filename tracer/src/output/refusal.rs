//! Writes that the system refuses: a full disk, a quota, a limit on the size of files.

use std::{fmt, io};

/// Makes a write beyond the limit on file sizes (`ulimit -f`) an error as any other. The signal SIGXFSZ would end
/// the process without a word.
pub fn take_size_limits_as_errors() {
    // SAFETY: this installs no handler, so no code runs in a signal's context.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

/// The error of a write, with what to do about it.
pub struct Refusal<'a>(pub &'a io::Error);

impl fmt::Display for Refusal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)?;
        f.write_str(match self.0.kind() {
            io::ErrorKind::StorageFull => ": make room there, or write elsewhere",
            io::ErrorKind::QuotaExceeded => ": the quota is used up; raise it, or write elsewhere",
            io::ErrorKind::FileTooLarge => {
                ": the limit on file sizes is reached; raise it with `ulimit -f`, or write to a pipe"
            }
            _ => "",
        })
    }
}
