//! The terminal is given back even if the process dies where it stands: by a fault, or by `abort`.

use std::{
    io, mem, ptr,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use libc::{c_int, c_void, sigaction, siginfo_t};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    termios::{OptionalActions, Termios, tcgetattr, tcsetattr},
};

/// Signals of faults: the instruction is tried again after the handler.
const FAULTS: [c_int; 4] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL];

/// Other signals by which a process dies with a core dump.
const OTHERS: [c_int; 3] = [libc::SIGABRT, libc::SIGTRAP, libc::SIGSYS];

/// Leaves the alternate screen, and shows the cursor.
const LEAVE: &[u8] = b"\x1b[?1049l\x1b[?25h";

/// How long a terminal on hold may keep the process from dying.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 500_000_000 };

/// What was there before: all that the handler reads.
static BEFORE: OnceLock<Before> = OnceLock::new();

struct Before {
    modes: Termios,
    /// Handlers of [`FAULTS`]: that of the standard library reports a stack overflow.
    handlers: [sigaction; FAULTS.len()],
    entered: &'static AtomicBool,
}

/// From now on these signals restore the terminal, if it is `entered` then, before the process dies. Its modes must
/// be those to restore.
pub(super) fn leave_before_dying(entered: &'static AtomicBool) -> io::Result<()> {
    if BEFORE.get().is_some() {
        return Ok(());
    }
    let modes = tcgetattr(io::stdout())?;
    let handlers = FAULTS.map(handler);
    BEFORE.get_or_init(|| Before { modes, handlers, entered });
    for signal in FAULTS.into_iter().chain(OTHERS) {
        handle(signal);
    }
    Ok(())
}

/// The present handler of a signal.
fn handler(signal: c_int) -> sigaction {
    // SAFETY: all zeros are a valid value, and the kernel fills it.
    unsafe {
        let mut handler = mem::zeroed();
        sigaction(signal, ptr::null(), &raw mut handler);
        handler
    }
}

fn handle(signal: c_int) {
    // SAFETY: `die` calls only functions that are safe in a signal's context.
    unsafe {
        let mut handler: sigaction = mem::zeroed();
        handler.sa_sigaction = die as extern "C" fn(c_int, *mut siginfo_t, *mut c_void) as usize;
        // Its own stack, if the thread's has overflowed.
        handler.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        sigaction(signal, &raw const handler, ptr::null_mut());
    }
}

/// Restores the terminal, and lets the process die as it would have.
extern "C" fn die(signal: c_int, info: *mut siginfo_t, _: *mut c_void) {
    let Some(before) = BEFORE.get() else { return };
    before.restore();
    let fault = FAULTS.iter().position(|fault| *fault == signal);
    // SAFETY: the kernel has filled it. What a process sends has no positive code.
    let fault = fault.filter(|_| unsafe { (*info).si_code } > 0);
    // SAFETY: these functions may be called in a signal's context.
    unsafe {
        if let Some(fault) = fault {
            // The instruction fails again.
            sigaction(signal, &raw const before.handlers[fault], ptr::null_mut());
        } else {
            libc::signal(signal, libc::SIG_DFL);
            libc::raise(signal);
        }
    }
}

/// Whether a short write to the terminal does not block, at the latest after this time. May be called in a signal's
/// context.
pub(super) fn accepts_output(patience: &Timespec) -> bool {
    let stdout = rustix::stdio::stdout();
    poll(&mut [PollFd::new(&stdout, PollFlags::OUT)], Some(patience)).is_ok_and(|count| count > 0)
}

impl Before {
    fn restore(&self) {
        if !self.entered.swap(false, Ordering::Relaxed) {
            return;
        }
        let stdout = rustix::stdio::stdout();
        // The modes first: that writes nothing, and a write would block on a terminal on hold (Ctrl-S).
        let _ = tcsetattr(stdout, OptionalActions::Now, &self.modes);
        if accepts_output(&PATIENCE) {
            let _ = rustix::io::write(stdout, LEAVE);
        }
    }
}
