//! Counts verified instructions on kernels before Linux 5.16, which report them only in the verifier's log
//! while a program is loaded. Tracer does not ask for that log. So its `bpf` system calls are stopped with
//! ptrace, and changed to ask for it.

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
/// Offset in `union bpf_attr` of `log_level`, `log_size` and `log_buf`, which follow one another.
const LOG: u64 = 24;
/// `BPF_LOG_STATS`: log only the verifier's totals.
const STATISTICS: u32 = 4;
/// Size of the log buffer, in bytes.
const SIZE: usize = 4096;
/// The log buffer lies this far below the stack pointer, where the caller uses nothing.
const BELOW: u64 = 32 << 10;

/// A `bpf` call that was changed to ask for the log.
struct Asked {
    /// Address of the log fields in the caller's `union bpf_attr`.
    at: u64,
    /// The caller's own log fields, which are restored afterwards.
    saved: [u8; 16],
    /// Address of the log buffer.
    log: u64,
}

/// Instructions that the verifier processed, summed over all programs that `command` loads. The command has
/// to end by itself.
pub(crate) fn verified(command: Command) -> u64 {
    // Only the thread that traces a process can wait for it. On a new thread there are no other children.
    thread::scope(|scope| scope.spawn(|| follow(command).expect("a process to follow")).join())
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn follow(mut command: Command) -> io::Result<u64> {
    // SAFETY: the closure only makes a system call, which is safe between fork and exec.
    unsafe { command.pre_exec(|| Ok(ptrace::traceme()?)) };
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let first = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
    // The child stops at exec.
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
            // A new thread starts with SIGSTOP, and its parent stops with the clone event. Neither is a
            // signal to pass on.
            Ok(WaitStatus::Stopped(pid, Signal::SIGSTOP) | WaitStatus::PtraceEvent(pid, ..)) => (pid, None),
            Ok(WaitStatus::Stopped(pid, signal)) => (pid, Some(signal)),
            Ok(_) => continue,
            Err(Errno::ECHILD) => return Ok(count),
            Err(error) => return Err(error.into()),
        };
        match ptrace::syscall(pid, signal) {
            // The thread has just been killed.
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// At the entry of a `BPF_PROG_LOAD` call asks for the log. At its exit reads the log, and returns the number
/// of verified instructions; 0 at all other stops.
fn at_call(pid: Pid, asked: &mut HashMap<Pid, Asked>) -> io::Result<u64> {
    let call = ptrace::syscall_info(pid)?;
    let memory = || File::options().read(true).write(true).open(format!("/proc/{pid}/mem"));
    match call.op {
        libc::PTRACE_SYSCALL_INFO_ENTRY => {
            // SAFETY: at an entry stop the kernel has filled the `entry` part of the union.
            let (number, [what, at, size, ..]) = unsafe { (call.u.entry.nr, call.u.entry.args) };
            let at = at + LOG;
            let log = (call.stack_pointer - BELOW) & !0xf;
            let mut saved = [0; 16];
            if number != libc::SYS_bpf.unsigned_abs() || what != PROG_LOAD || size < LOG + 16 {
                return Ok(0);
            }
            let memory = memory()?;
            memory.read_exact_at(&mut saved, at)?;
            // The caller asks for a log itself.
            if saved != [0; 16] {
                return Ok(0);
            }
            let size = u32::try_from(SIZE).map_err(io::Error::other)?;
            let ours = [&STATISTICS.to_ne_bytes()[..], &size.to_ne_bytes(), &log.to_ne_bytes()].concat();
            memory.write_all_at(&[0; SIZE], log)?;
            memory.write_all_at(&ours, at)?;
            asked.insert(pid, Asked { at, saved, log });
            Ok(0)
        }
        libc::PTRACE_SYSCALL_INFO_EXIT => {
            let Some(Asked { at, saved, log }) = asked.remove(&pid) else {
                return Ok(0);
            };
            let memory = memory()?;
            memory.write_all_at(&saved, at)?;
            let mut text = [0; SIZE];
            memory.read_exact_at(&mut text, log)?;
            // SAFETY: at an exit stop the kernel has filled the `exit` part of the union.
            let is_loaded = unsafe { call.u.exit.is_error } == 0;
            Ok(if is_loaded { processed(&String::from_utf8_lossy(&text)) } else { 0 })
        }
        _ => Ok(0),
    }
}

/// The number in a log such as `processed 123 insns (limit 1000000) ...`.
fn processed(log: &str) -> u64 {
    let count = log.split_once("processed ").and_then(|(_, rest)| rest.split_once(" insns"));
    count.and_then(|(count, _)| count.parse().ok()).expect("the verifier's totals")
}
