//! Standard error, for people: readiness, warnings, the receipt.
//!
//! Whoever reads it may stop reading. During a capture a thread of its own writes, and what it
//! cannot keep up with is dropped and counted, so that nothing waits for it.

use std::{
    collections::VecDeque,
    fmt::Display,
    io::{self, IsTerminal as _, Write as _},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

/// Messages that may wait.
const CAPACITY: usize = 1024;

/// How long the last messages may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// The way to the thread that writes, once there is one.
static WRITER: Mutex<Option<Writer>> = Mutex::new(None);
/// What was said while the screen is another's, the latest last; `None` when it is not.
static HELD: Mutex<Option<VecDeque<Held>>> = Mutex::new(None);
static DROPPED: AtomicU64 = AtomicU64::new(0);
/// Nobody reads: a write would never come back.
static IS_STUCK: AtomicBool = AtomicBool::new(false);

struct Held {
    message: Vec<u8>,
    at: Instant,
}

/// How long what was said last stays on a screen that is another's.
const SHOWN: Duration = Duration::from_secs(10);

struct Writer {
    messages: SyncSender<Vec<u8>>,
    done: Receiver<()>,
}

/// Writes a line to standard error. If that is closed or full there is nobody left to tell.
pub fn message(text: impl Display) {
    send(format!("tracer: {text}\n").into_bytes());
}

/// Writes a line as it is.
pub fn line(line: &str) {
    send(format!("{line}\n").into_bytes());
}

/// From now on a thread writes. Capabilities are inherited: call this once they are given up.
pub fn start() {
    let (messages, inbox) = sync_channel::<Vec<u8>>(CAPACITY);
    let (finished, done) = sync_channel(1);
    let write = move || {
        for message in inbox {
            let _ = io::stderr().write_all(&message);
        }
        let _ = finished.send(());
    };
    if thread::Builder::new().name("tracer-stderr".into()).spawn(write).is_ok() {
        *writer() = Some(Writer { messages, done });
    }
}

/// Waits for what was said to be written, but not for ever.
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

/// From now on the screen is another's: what is said is kept. Where standard error is no terminal
/// nothing changes.
pub fn hold() {
    if io::stderr().is_terminal() {
        lock(&HELD).get_or_insert_default();
    }
}

/// What was said last while the screen is another's, if that is not long ago.
#[must_use]
pub fn held() -> Option<String> {
    let held = lock(&HELD);
    let last = held.as_ref()?.back().filter(|last| last.at.elapsed() < SHOWN)?;
    Some(String::from_utf8_lossy(&last.message).trim_end().to_owned())
}

/// The screen is nobody's any more: what was kept is said.
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
            if writer.messages.try_send(message).is_err() {
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
