//! Messages for the user on standard error: readiness, warnings, the receipt.
//!
//! The reader may be slow or stop reading. During a capture a separate thread writes, so that a slow reader
//! delays nothing else. Messages that do not fit in its queue are dropped and counted.

use std::{
    collections::VecDeque,
    fmt::Display,
    fs::File,
    io::{self, IsTerminal as _, Write as _},
    os::fd::AsFd as _,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use crate::text::escape::tame;

/// Maximum number of queued messages.
const CAPACITY: usize = 1024;

/// Time limit for writing the remaining messages at the end, and before a view takes the screen.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often is asked whether they are written.
const POLL: Duration = Duration::from_millis(1);

/// The queue of the writer thread; `None` if it is not running.
static WRITER: Mutex<Option<Writer>> = Mutex::new(None);
/// Messages held back while a view has the whole screen, the latest last; `None` at other times.
static HELD: Mutex<Option<VecDeque<Held>>> = Mutex::new(None);
/// Messages that are queued and not written yet.
static QUEUED: AtomicU64 = AtomicU64::new(0);
static DROPPED: AtomicU64 = AtomicU64::new(0);
/// The reader has stopped reading, so a write would block for ever.
static IS_STUCK: AtomicBool = AtomicBool::new(false);

struct Held {
    message: Vec<u8>,
    at: Instant,
}

/// How long the last message is shown on a view's screen.
const SHOWN: Duration = Duration::from_secs(10);

struct Writer {
    messages: SyncSender<Vec<u8>>,
    done: Receiver<()>,
}

/// Writes a line to standard error, after `tracer: `. It stays one line whatever is in it. Errors are ignored,
/// because there is nowhere to report them.
pub fn message(text: impl Display) {
    send(format!("tracer: {}\n", tame(text.to_string())).into_bytes());
}

/// Starts the writer thread, which calls `prepare` first. From then on no message can block.
pub fn start(prepare: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let (messages, inbox) = sync_channel::<Vec<u8>>(CAPACITY);
    let (finished, done) = sync_channel(1);
    // Not through the standard library, whose lock others wait for, too: the logger, a panic's message.
    let mut stderr = File::from(io::stderr().as_fd().try_clone_to_owned()?);
    let write = move || {
        prepare();
        for message in inbox {
            let _ = stderr.write_all(&message);
            QUEUED.fetch_sub(1, Ordering::Relaxed);
        }
        let _ = finished.send(());
    };
    thread::Builder::new().name("tracer-stderr".into()).spawn(write)?;
    *writer() = Some(Writer { messages, done });
    Ok(())
}

/// Waits until the queued messages are written, up to a time limit.
pub fn finish() {
    let dropped = DROPPED.swap(0, Ordering::Relaxed);
    if dropped > 0 {
        message(format_args!("{dropped} messages were dropped: standard error was not read fast enough"));
    }
    let Some(Writer { messages, done }) = writer().take() else {
        return;
    };
    drop(messages);
    let is_stuck = done.recv_timeout(PATIENCE).is_err();
    IS_STUCK.store(is_stuck, Ordering::Relaxed);
}

/// Holds messages back from now on, because a view takes the whole screen. Waits until earlier ones are written, up to
/// a time limit: they would be written across it. Does nothing if standard error is not a terminal.
pub fn hold() {
    if !io::stderr().is_terminal() {
        return;
    }
    lock(&HELD).get_or_insert_default();
    let begun = Instant::now();
    while QUEUED.load(Ordering::Relaxed) > 0 && begun.elapsed() < PATIENCE {
        thread::sleep(POLL);
    }
}

/// The last message that was held back, if it is recent.
#[must_use]
pub fn held() -> Option<String> {
    let held = lock(&HELD);
    let last = held.as_ref()?.back().filter(|last| last.at.elapsed() < SHOWN)?;
    Some(String::from_utf8_lossy(&last.message).trim_end().to_owned())
}

/// Stops holding messages back, and writes those that were held.
pub fn release() {
    let held = lock(&HELD).take();
    held.into_iter().flatten().for_each(|held| send(held.message));
}

fn send(message: Vec<u8>) {
    if let Some(held) = &mut *lock(&HELD) {
        if held.len() >= CAPACITY {
            held.pop_front();
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
        held.push_back(Held { message, at: Instant::now() });
        return;
    }
    match &*writer() {
        Some(writer) => {
            QUEUED.fetch_add(1, Ordering::Relaxed);
            if writer.messages.try_send(message).is_err() {
                QUEUED.fetch_sub(1, Ordering::Relaxed);
                DROPPED.fetch_add(1, Ordering::Relaxed);
            }
        }
        None if IS_STUCK.load(Ordering::Relaxed) => {}
        None => _ = io::stderr().write_all(&message),
    }
}

fn writer() -> MutexGuard<'static, Option<Writer>> {
    lock(&WRITER)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
