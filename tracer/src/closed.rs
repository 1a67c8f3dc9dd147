//! Whether standard output was closed (`>&-`) when the program started.
//!
//! Rust's runtime puts `/dev/null` in the place of closed standard streams before `main`, which
//! would make a capture vanish without a word; so this looks earlier.

use std::{
    os::fd::BorrowedFd,
    sync::atomic::{AtomicBool, Ordering},
};

static CLOSED: AtomicBool = AtomicBool::new(false);

/// Whether standard output was closed at the start.
pub(crate) fn standard_output() -> bool {
    CLOSED.load(Ordering::Relaxed)
}

extern "C" fn note_if_closed() {
    // SAFETY: only asked whether it is open; nothing else runs yet that could close it.
    let stdout = unsafe { BorrowedFd::borrow_raw(1) };
    CLOSED.store(rustix::io::fcntl_getfd(stdout).is_err(), Ordering::Relaxed);
}

// SAFETY: the section holds functions without arguments that the C runtime calls before `main`;
// `note_if_closed` needs nothing that is set up later.
#[unsafe(link_section = ".init_array")]
#[used]
static BEFORE_MAIN: extern "C" fn() = note_if_closed;
