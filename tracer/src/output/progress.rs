//! A line on a terminal that says how far an export or a report is.

use std::{
    fs::File,
    io::{self, IsTerminal as _, Write as _},
    os::fd::AsFd as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{RecvTimeoutError, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Time between two drawings.
const INTERVAL: Duration = Duration::from_millis(200);

/// Clears the line.
const CLEAR: &str = "\r\x1b[K";

/// Draws the line until it is dropped.
pub struct Progress {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// Starts if standard error is a terminal, and it is known how many bytes there are to be read.
    pub fn start(read: Arc<AtomicU64>, total: u64, rows: Arc<AtomicU64>) -> Option<Self> {
        if !io::stderr().is_terminal() || total == 0 {
            return None;
        }
        let mut stderr = File::from(io::stderr().as_fd().try_clone_to_owned().ok()?);
        let (stop, stopped) = channel::<()>();
        let draw = move || {
            let begun = Instant::now();
            while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                let read = read.load(Ordering::Relaxed).min(total);
                let line = line(read, total, rows.load(Ordering::Relaxed), begun.elapsed());
                let _ = write!(stderr, "{CLEAR}{line}");
            }
            let _ = write!(stderr, "{CLEAR}");
        };
        let thread = thread::Builder::new().name("tracer-progress".into()).spawn(draw).ok()?;
        Some(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.stop = None;
        // Nothing may be written across what comes next.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// `42 %  123456 rows  1500000 rows/s  7 s left`.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn line(read: u64, total: u64, rows: u64, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64().max(0.001);
    let part = read as f64 / total as f64;
    let rate = (rows as f64 / seconds) as u64;
    // A report has no rows.
    let rows = if rows == 0 { String::new() } else { format!("  {rows} rows  {rate} rows/s") };
    let rest = if read == 0 { String::new() } else { format!("  {:.0} s left", seconds / part - seconds) };
    format!("{:.0} %{rows}{rest}", part * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_follows_from_what_is_done() {
        let shown = line(25, 100, 3_000_000, Duration::from_secs(2));
        assert_eq!(shown, "25 %  3000000 rows  1500000 rows/s  6 s left");
        assert_eq!(line(0, 100, 0, Duration::ZERO), "0 %");
    }
}
