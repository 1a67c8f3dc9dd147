//! Starts other programs. They are killed when the bench ends, and each line of their standard error is kept
//! with its time.

use std::{
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    process::{Child as StdChild, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use rustix::{
    process::{Pid, Signal, ioctl_tiocsctty, kill_process, set_parent_process_death_signal, setsid},
    stdio::stdin,
};

use crate::interrupt;

/// How often it is checked whether a program is ready or has ended.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// The same where a run of a tenth of a second is measured.
const SHORT_INTERVAL: Duration = Duration::from_millis(2);

/// A program is sent SIGINT again after this time: bpftrace misses a signal while it attaches.
const SIGNAL_INTERVAL: Duration = Duration::from_secs(5);
const SIGNALS: u32 = 6;

/// A running program. It is killed when this is dropped.
pub(crate) struct Child {
    process: StdChild,
    name: String,
    started: Instant,
    stderr: Arc<Mutex<Vec<(Instant, String)>>>,
    stderr_reader: Option<JoinHandle<()>>,
}

impl Child {
    /// Starts a program, and keeps what it writes to standard error.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        command.stderr(Stdio::piped());
        // SAFETY: three system calls, nothing else, between fork and exec.
        unsafe {
            command.pre_exec(|| {
                set_parent_process_death_signal(Some(Signal::KILL))?;
                // A session of its own: Ctrl-C reaches only the bench, which then ends its programs in order.
                setsid()?;
                // If standard input is a terminal, it becomes the session's.
                let _ = ioctl_tiocsctty(stdin());
                Ok(())
            });
        }
        let name = command.get_program().to_string_lossy().into_owned();
        let started = Instant::now();
        let mut process = command.spawn().with_context(|| format!("cannot start {name}"))?;
        let stderr = Arc::new(Mutex::new(Vec::new()));
        let stderr_reader = process.stderr.take().map(|pipe| {
            let stderr = Arc::clone(&stderr);
            thread::spawn(move || {
                for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                    stderr.lock().unwrap_or_else(PoisonError::into_inner).push((Instant::now(), line));
                }
            })
        });
        Ok(Self { process, name, started, stderr, stderr_reader })
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Takes its standard output, if that is a pipe.
    pub(crate) fn stdout(&mut self) -> Result<std::process::ChildStdout> {
        self.process.stdout.take().context("standard output is taken")
    }

    /// Waits until `ready_at` returns a time, and returns how long after the start that was.
    pub(crate) fn wait_until_ready(
        &mut self,
        timeout: Duration,
        ready_at: impl Fn(&Self) -> Option<Instant>,
    ) -> Result<Duration> {
        loop {
            if let Some(at) = ready_at(self) {
                return Ok(at - self.started);
            }
            if let Some(status) = self.process.try_wait()? {
                bail!("{} ended ({status}) before it was ready:\n{}", self.name, self.stderr());
            }
            if self.started.elapsed() > timeout {
                bail!("{} was not ready after {} s:\n{}", self.name, timeout.as_secs(), self.stderr());
            }
            interrupt::sleep(POLL_INTERVAL)?;
        }
    }

    /// When it wrote a line with this beginning to standard error.
    pub(crate) fn line_at(&self, start: &str) -> Option<Instant> {
        let stderr = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
        stderr.iter().find(|(_, line)| line.starts_with(start)).map(|(at, _)| *at)
    }

    /// Its standard error so far.
    pub(crate) fn stderr(&self) -> String {
        let stderr = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
        stderr.iter().map(|(_, line)| line.as_str()).collect::<Vec<_>>().join("\n")
    }

    /// Closes its standard input.
    pub(crate) fn close_stdin(&mut self) {
        drop(self.process.stdin.take());
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self, timeout: Duration) -> Result<ExitStatus> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait()? {
                if let Some(reader) = self.stderr_reader.take() {
                    let _ = reader.join();
                }
                return Ok(status);
            }
            if started.elapsed() > timeout {
                bail!("{} does not end", self.name);
            }
            interrupt::sleep(POLL_INTERVAL)?;
        }
    }

    /// Waits for its end, and calls `meanwhile` with its process id now and then. Returns how long it ran.
    pub(crate) fn run(mut self, mut meanwhile: impl FnMut(u32)) -> Result<Duration> {
        loop {
            if let Some(status) = self.process.try_wait()? {
                let ran = self.started.elapsed();
                if !status.success() {
                    bail!("{} failed ({status}):\n{}", self.name, self.stderr());
                }
                return Ok(ran);
            }
            meanwhile(self.pid());
            interrupt::check()?;
            thread::sleep(SHORT_INTERVAL);
        }
    }

    /// Ends it with SIGINT, as Ctrl-C does, and returns its standard error. It must end successfully.
    pub(crate) fn finish(mut self) -> Result<String> {
        for _ in 0..SIGNALS {
            kill_process(Pid::from_child(&self.process), Signal::INT)?;
            if let Ok(status) = self.wait(SIGNAL_INTERVAL) {
                if !status.success() {
                    bail!("{} failed ({status}):\n{}", self.name, self.stderr());
                }
                return Ok(self.stderr());
            }
            interrupt::check()?;
        }
        bail!("{} does not end on SIGINT", self.name)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
