//! Starts a run, does to it what is planned, and waits for its end: at most until the deadline.

use std::{
    fs::File,
    io::Read as _,
    os::{fd::AsRawFd as _, unix::process::CommandExt as _},
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::{
    attack::{
        binary,
        ended::Ended,
        run::{Run, When},
        sandbox,
        sink::{Sink, Terminal},
    },
    program::spawn,
};

type Bytes = Arc<Mutex<Vec<u8>>>;

/// Reads a stream to its end.
fn read(file: Option<File>) -> (Bytes, Option<JoinHandle<()>>) {
    let bytes = Bytes::default();
    let reader = file.map(|mut file| {
        let bytes = Arc::clone(&bytes);
        thread::spawn(move || {
            let mut chunk = vec![0; 65536];
            while let Ok(count @ 1..) = file.read(&mut chunk) {
                bytes.lock().unwrap().extend_from_slice(&chunk[..count]);
            }
        })
    });
    (bytes, reader)
}

fn command(run: &Run) -> Command {
    let mut line = run.through.iter().chain([&run.program]).chain(&run.words);
    let mut command = Command::new(line.next().unwrap());
    command.args(line).envs(run.environment.iter().map(|(name, value)| (name, value)));
    // Random command lines write files.
    command.current_dir(binary::folder());
    command
}

/// Runs it to its end.
pub(super) fn run(run: &Run) -> Ended {
    let mut command = command(run);
    let terminal = (run.out == Sink::Terminal).then(Terminal::open);
    let before = terminal.as_ref().map(Terminal::settings);
    let mut held = Vec::new();
    let (out, err) = if let Some(terminal) = &terminal {
        let program = || terminal.program.try_clone().unwrap();
        command.stdin(program()).stdout(program()).stderr(program());
        (Some(terminal.user.try_clone().unwrap()), None)
    } else {
        let (out, err) = (run.out.open(), run.err.open());
        command.stdin(Stdio::null()).stdout(out.stdio).stderr(err.stdio);
        held.extend(out.held.into_iter().chain(err.held));
        (out.reader, err.reader)
    };
    let closed: Vec<i32> = [(&run.out, 1), (&run.err, 2)]
        .into_iter()
        .filter(|(sink, _)| **sink == Sink::Closed)
        .map(|(_, fd)| fd)
        .collect();
    let (steps, has_terminal) = (run.steps.clone(), terminal.is_some());
    let prepare = move || {
        sandbox::begin_session(has_terminal)?;
        steps.iter().try_for_each(sandbox::Step::take)?;
        sandbox::close(&closed);
        Ok(())
    };
    // SAFETY: what runs between fork and exec makes system calls only, and allocates nothing.
    unsafe { command.pre_exec(prepare) };
    let begun = Instant::now();
    let child = match spawn(&mut command) {
        Ok(child) => child,
        Err(error) => return Ended { refused: error.to_string(), ..Ended::default() },
    };
    // It holds the writing ends of pipes.
    drop(command);
    let ((out, out_reader), (err, err_reader)) = (read(out), read(err));
    let said = if has_terminal { &out } else { &err };
    let mut ended = watch(run, child.id().cast_signed(), begun, said);
    let left = terminal.as_ref().map(Terminal::settings);
    ended.left_terminal = left != before;
    drop((terminal, held));
    for reader in [out_reader, err_reader].into_iter().flatten() {
        let _ = reader.join();
    }
    ended.out = std::mem::take(&mut *out.lock().unwrap());
    ended.err = std::mem::take(&mut *err.lock().unwrap());
    ended
}

/// Sends the signals, and waits for the end.
fn watch(run: &Run, pid: i32, begun: Instant, said: &Bytes) -> Ended {
    let mut acts = run.acts.clone();
    let (mut ready, mut ending) = (None, None);
    let mut ended = Ended::default();
    loop {
        if let Some((status, peak_kib)) = reaped(pid) {
            (ended.status, ended.peak_kib) = (Some(status), peak_kib);
            break;
        }
        if begun.elapsed() > run.deadline && !ended.hung {
            ended.hung = true;
            kill(-pid, libc::SIGKILL);
        }
        note(said, "tracer: ready", &mut ready);
        note(said, "tracer: seen", &mut ending);
        acts.retain(|act| {
            let due = match act.when {
                When::Started(after) => Some(begun + after),
                When::Ready(after) => ready.map(|at: Instant| at + after),
                When::Ending(after) => ending.map(|at: Instant| at + after),
            };
            let is_due = due.is_some_and(|due| due <= Instant::now());
            if is_due {
                kill(pid, act.signal);
            }
            !is_due
        });
        thread::sleep(Duration::from_millis(1));
    }
    ended.left_process = !group_is_gone(pid);
    ended
}

fn note(said: &Bytes, word: &str, at: &mut Option<Instant>) {
    if at.is_none() && said.lock().unwrap().windows(word.len()).any(|window| window == word.as_bytes()) {
        *at = Some(Instant::now());
    }
}

/// The status as a shell shows it, and the most memory held, once the process has ended.
fn reaped(pid: i32) -> Option<(i32, u64)> {
    let mut status = 0;
    // SAFETY: all bytes zero are a value of this type.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the pointers are valid.
    let got = unsafe { libc::wait4(pid, &raw mut status, libc::WNOHANG, &raw mut usage) };
    assert!(got >= 0, "waiting for the child");
    let shown =
        if libc::WIFSIGNALED(status) { 128 + libc::WTERMSIG(status) } else { libc::WEXITSTATUS(status) };
    (got == pid).then_some((shown, usage.ru_maxrss.cast_unsigned()))
}

/// Whether no process of the group is left. Gives it a moment, and then ends what is left.
fn group_is_gone(pid: i32) -> bool {
    let since = Instant::now();
    // SAFETY: signal 0 only asks.
    while unsafe { libc::kill(-pid, 0) } == 0 {
        if since.elapsed() > Duration::from_secs(3) {
            kill(-pid, libc::SIGKILL);
            return false;
        }
        thread::sleep(Duration::from_millis(5));
    }
    true
}

fn kill(pid: i32, signal: i32) {
    // SAFETY: this touches no memory. Nobody else can have the id: the process is not reaped yet.
    unsafe { libc::kill(pid, signal) };
}

/// Makes the terminal the session's own.
pub(super) fn take_terminal() {
    // SAFETY: this touches no memory.
    unsafe { libc::ioctl(std::io::stdin().as_raw_fd(), libc::TIOCSCTTY, 0) };
}
