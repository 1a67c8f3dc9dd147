//! What the verifier says while programs are loaded. Before Linux 5.16 nothing tells it afterwards, and
//! tracer does not ask: its system calls are stopped on their way in, and made to.

use std::{
    collections::HashMap,
    fs::File,
    io,
    os::unix::{fs::FileExt as _, process::CommandExt as _},
    process::{Command, Stdio},
    thread,
};

use nix::{
    errno::Errno,
    libc,
    sys::{
        ptrace::{self, Options},
        signal::Signal,
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};

/// `BPF_PROG_LOAD`
const PROG_LOAD: u64 = 5;
/// Where `union bpf_attr` has `log_level`, `log_size` and `log_buf`, one behind the other.
const LOG: u64 = 24;
/// `BPF_LOG_STATS`: the verifier's sums, and nothing else.
const STATISTICS: u32 = 4;
/// Room for them, so far below the caller's stack.
const SIZE: usize = 4096;
const BELOW: u64 = 32 << 10;

/// A log that was asked for in another's name.
struct Asked {
    /// Where the caller's wish was, and what.
    at: u64,
    wish: [u8; 16],
    log: u64,
}

/// Instructions that the verifier looked at in all programs that `command` loads. It has to end by itself.
pub(crate) fn verified(command: Command) -> u64 {
    // Who has a process traced must be the thread that waits for it; and that one has no other children.
    thread::scope(|scope| scope.spawn(|| follow(command).expect("a process to follow")).join())
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn follow(mut command: Command) -> io::Result<u64> {
    // SAFETY: a system call, nothing else.
    unsafe { command.pre_exec(|| Ok(ptrace::traceme()?)) };
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let first = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
    // It stops where the program begins.
    waitpid(first, None)?;
    ptrace::setoptions(first, Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_TRACECLONE)?;
    ptrace::syscall(first, None)?;
    let mut asked = HashMap::new();
    let mut count = 0;
    loop {
        let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
        let (pid, signal) = match waitpid(None, Some(flags)) {
            Ok(WaitStatus::PtraceSyscall(pid)) => {
                count += at_call(pid, &mut asked)?;
                (pid, None)
            }
            // A new thread stops so, and its parent with the event.
            Ok(WaitStatus::Stopped(pid, Signal::SIGSTOP) | WaitStatus::PtraceEvent(pid, ..)) => (pid, None),
            Ok(WaitStatus::Stopped(pid, signal)) => (pid, Some(signal)),
            Ok(_) => continue,
            Err(Errno::ECHILD) => return Ok(count),
            Err(error) => return Err(error.into()),
        };
        match ptrace::syscall(pid, signal) {
            // It has just been killed.
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// On the way in asks for the log, on the way out reads it: how many instructions it tells of.
fn at_call(pid: Pid, asked: &mut HashMap<Pid, Asked>) -> io::Result<u64> {
    let call = ptrace::syscall_info(pid)?;
    let memory = || File::options().read(true).write(true).open(format!("/proc/{pid}/mem"));
    match call.op {
        libc::PTRACE_SYSCALL_INFO_ENTRY => {
            // SAFETY: the kernel says that it has filled this part.
            let (number, [what, at, size, ..]) = unsafe { (call.u.entry.nr, call.u.entry.args) };
            let at = at + LOG;
            let log = (call.stack_pointer - BELOW) & !0xf;
            let mut wish = [0; 16];
            if number != libc::SYS_bpf.unsigned_abs() || what != PROG_LOAD || size < LOG + 16 {
                return Ok(0);
            }
            let memory = memory()?;
            memory.read_exact_at(&mut wish, at)?;
            if wish != [0; 16] {
                return Ok(0);
            }
            let size = u32::try_from(SIZE).map_err(io::Error::other)?;
            let ours = [&STATISTICS.to_ne_bytes()[..], &size.to_ne_bytes(), &log.to_ne_bytes()].concat();
            memory.write_all_at(&[0; SIZE], log)?;
            memory.write_all_at(&ours, at)?;
            asked.insert(pid, Asked { at, wish, log });
            Ok(0)
        }
        libc::PTRACE_SYSCALL_INFO_EXIT => {
            let Some(Asked { at, wish, log }) = asked.remove(&pid) else {
                return Ok(0);
            };
            let memory = memory()?;
            memory.write_all_at(&wish, at)?;
            let mut text = [0; SIZE];
            memory.read_exact_at(&mut text, log)?;
            // SAFETY: as above.
            let is_loaded = unsafe { call.u.exit.is_error } == 0;
            Ok(if is_loaded { processed(&String::from_utf8_lossy(&text)) } else { 0 })
        }
        _ => Ok(0),
    }
}

/// As in `processed 123 insns (limit 1000000) ...`.
fn processed(log: &str) -> u64 {
    let count = log.split_once("processed ").and_then(|(_, rest)| rest.split_once(" insns"));
    count.and_then(|(count, _)| count.parse().ok()).expect("the verifier's sums")
}
