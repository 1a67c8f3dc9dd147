//! Programs that the bench starts: they die with it, and what they say is kept with its time.

use std::{
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    process::{Child as Process, Command, ExitStatus, Stdio},
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

const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// A program that asked to end may not have noticed: bpftrace misses a signal while it attaches.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// A program that runs. It is killed when this goes out of scope.
pub(crate) struct Child {
    process: Process,
    name: String,
    started: Instant,
    said: Arc<Mutex<Vec<(Instant, String)>>>,
    listener: Option<JoinHandle<()>>,
}

impl Child {
    /// Starts it with standard output where `stdout` goes. What it says on standard error is kept.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        command.stderr(Stdio::piped());
        // SAFETY: three system calls, nothing else, between fork and exec.
        unsafe {
            command.pre_exec(|| {
                set_parent_process_death_signal(Some(Signal::KILL))?;
                // A session of its own: Ctrl-C reaches the bench alone, which then ends all in order.
                setsid()?;
                // Its terminal is then the one it is given, if it is given one.
                let _ = ioctl_tiocsctty(stdin());
                Ok(())
            });
        }
        let name = command.get_program().to_string_lossy().into_owned();
        let started = Instant::now();
        let mut process = command.spawn().with_context(|| format!("cannot start {name}"))?;
        let said = Arc::new(Mutex::new(Vec::new()));
        let listener = process.stderr.take().map(|stderr| {
            let said = Arc::clone(&said);
            thread::spawn(move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    said.lock().unwrap_or_else(PoisonError::into_inner).push((Instant::now(), line));
                }
            })
        });
        Ok(Self { process, name, started, said, listener })
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Its standard output, if that is a pipe.
    pub(crate) fn stdout(&mut self) -> Result<std::process::ChildStdout> {
        self.process.stdout.take().context("standard output is taken")
    }

    /// Waits until it says a line that begins so; how long after its start that was. Some say nothing.
    pub(crate) fn wait_for(&mut self, line: &str, patience: Duration) -> Result<Duration> {
        if line.is_empty() {
            return Ok(Duration::ZERO);
        }
        loop {
            let found = self.find(line);
            if let Some(at) = found {
                return Ok(at - self.started);
            }
            if let Some(status) = self.process.try_wait()? {
                bail!("{} ended ({status}) before it was ready:\n{}", self.name, self.said());
            }
            if self.started.elapsed() > patience {
                bail!("{} was not ready after {} s:\n{}", self.name, patience.as_secs(), self.said());
            }
            interrupt::sleep(LOOK_AGAIN)?;
        }
    }

    fn find(&self, start: &str) -> Option<Instant> {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.iter().find(|(_, line)| line.starts_with(start)).map(|(at, _)| *at)
    }

    /// What it has said on standard error.
    pub(crate) fn said(&self) -> String {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.iter().map(|(_, line)| line.as_str()).collect::<Vec<_>>().join("\n")
    }

    /// Closes its standard input.
    pub(crate) fn close_stdin(&mut self) {
        drop(self.process.stdin.take());
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self, patience: Duration) -> Result<ExitStatus> {
        let asked = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait()? {
                if let Some(listener) = self.listener.take() {
                    let _ = listener.join();
                }
                return Ok(status);
            }
            if asked.elapsed() > patience {
                bail!("{} does not end", self.name);
            }
            interrupt::sleep(LOOK_AGAIN)?;
        }
    }

    /// Ends it as Ctrl-C does; it must end well. What it said.
    pub(crate) fn finish(mut self) -> Result<String> {
        for _ in 0..6 {
            kill_process(Pid::from_child(&self.process), Signal::INT)?;
            if let Ok(status) = self.wait(ASK_AGAIN) {
                if !status.success() {
                    bail!("{} failed ({status}):\n{}", self.name, self.said());
                }
                return Ok(self.said());
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
