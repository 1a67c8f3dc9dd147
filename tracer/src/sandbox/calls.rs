//! The system calls that are left: those that a capture needs after its programs are loaded. Whatever else is asked for
//! fails with `EPERM`. No other program can be started, no debugger attached, no file system mounted, no kernel
//! program loaded.

use std::collections::BTreeMap;

use libc as c;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Is, SeccompCondition as Condition,
    SeccompFilter, SeccompRule as Rule, apply_filter, apply_filter_all_threads,
};

/// Why no system calls were given up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter cannot be made, or the kernel does not take it.
    #[error(transparent)]
    Filter(#[from] seccompiler::Error),
    /// The same for this architecture.
    #[error(transparent)]
    Backend(#[from] seccompiler::BackendError),
}

/// Files: `/proc`, `/sys/fs/cgroup`, recordings, exports, certificates.
const FILES: &[i64] = &[
    c::SYS_openat,
    c::SYS_openat2,
    c::SYS_close,
    c::SYS_read,
    c::SYS_readv,
    c::SYS_pread64,
    c::SYS_write,
    c::SYS_writev,
    c::SYS_pwrite64,
    c::SYS_lseek,
    c::SYS_fstat,
    c::SYS_newfstatat,
    c::SYS_statx,
    c::SYS_statfs,
    c::SYS_fstatfs,
    c::SYS_getdents64,
    c::SYS_readlinkat,
    c::SYS_faccessat,
    c::SYS_faccessat2,
    c::SYS_getcwd,
    c::SYS_fcntl,
    c::SYS_dup,
    c::SYS_dup3,
    c::SYS_pipe2,
    c::SYS_fsync,
    c::SYS_fdatasync,
    c::SYS_ftruncate,
    c::SYS_fallocate,
    c::SYS_fadvise64,
    c::SYS_copy_file_range,
    c::SYS_sendfile,
    c::SYS_splice,
    c::SYS_renameat2,
    c::SYS_linkat,
    c::SYS_unlinkat,
    c::SYS_mkdirat,
    c::SYS_fchmod,
    c::SYS_fchmodat,
    c::SYS_fchown,
    c::SYS_utimensat,
    c::SYS_flock,
    c::SYS_umask,
];

/// Memory.
const MEMORY: &[i64] = &[
    c::SYS_brk,
    c::SYS_mmap,
    c::SYS_munmap,
    c::SYS_mremap,
    c::SYS_mprotect,
    c::SYS_madvise,
    c::SYS_mincore,
    c::SYS_memfd_create,
    c::SYS_membarrier,
];

/// Threads, and signals to this process.
const THREADS: &[i64] = &[
    c::SYS_clone,
    c::SYS_clone3,
    c::SYS_set_robust_list,
    c::SYS_get_robust_list,
    c::SYS_set_tid_address,
    c::SYS_rseq,
    c::SYS_futex,
    c::SYS_sched_yield,
    c::SYS_sched_getaffinity,
    c::SYS_sched_setaffinity,
    c::SYS_getcpu,
    c::SYS_gettid,
    c::SYS_getpid,
    c::SYS_getppid,
    c::SYS_getpgid,
    c::SYS_prctl,
    c::SYS_exit,
    c::SYS_exit_group,
    c::SYS_rt_sigaction,
    c::SYS_rt_sigprocmask,
    c::SYS_rt_sigreturn,
    c::SYS_sigaltstack,
    c::SYS_restart_syscall,
    c::SYS_tgkill,
    c::SYS_kill,
    c::SYS_wait4,
];

/// Times, and what this process may and takes.
const ITSELF: &[i64] = &[
    c::SYS_clock_gettime,
    c::SYS_clock_getres,
    c::SYS_clock_nanosleep,
    c::SYS_nanosleep,
    c::SYS_gettimeofday,
    c::SYS_timerfd_create,
    c::SYS_timerfd_settime,
    c::SYS_getrandom,
    c::SYS_getrusage,
    c::SYS_prlimit64,
    c::SYS_getuid,
    c::SYS_geteuid,
    c::SYS_getgid,
    c::SYS_getegid,
    c::SYS_capget,
    // Threads give their capabilities up.
    c::SYS_capset,
    c::SYS_uname,
    c::SYS_sysinfo,
    // To look at other network namespaces, and to leave one.
    c::SYS_setns,
    c::SYS_unshare,
];

/// Waiting for several things.
const EVENTS: &[i64] = &[
    c::SYS_epoll_create1,
    c::SYS_epoll_ctl,
    c::SYS_epoll_pwait,
    c::SYS_epoll_pwait2,
    c::SYS_ppoll,
    c::SYS_pselect6,
    c::SYS_eventfd2,
];

/// Sockets: of netlink, of `serve`, and to receivers of OTLP.
const SOCKETS: &[i64] = &[
    c::SYS_socketpair,
    c::SYS_bind,
    c::SYS_listen,
    c::SYS_accept4,
    c::SYS_connect,
    c::SYS_shutdown,
    c::SYS_getsockname,
    c::SYS_getpeername,
    c::SYS_getsockopt,
    c::SYS_setsockopt,
    c::SYS_sendto,
    c::SYS_recvfrom,
    c::SYS_sendmsg,
    c::SYS_sendmmsg,
    c::SYS_recvmsg,
    c::SYS_recvmmsg,
];

/// What glibc uses instead of newer calls.
#[cfg(target_arch = "x86_64")]
const OLDER: &[i64] = &[
    c::SYS_open,
    c::SYS_stat,
    c::SYS_lstat,
    c::SYS_access,
    c::SYS_readlink,
    c::SYS_poll,
    c::SYS_select,
    c::SYS_epoll_wait,
    c::SYS_epoll_create,
    c::SYS_pipe,
    c::SYS_dup2,
    c::SYS_rename,
    c::SYS_renameat,
    c::SYS_link,
    c::SYS_unlink,
    c::SYS_rmdir,
    c::SYS_mkdir,
    c::SYS_chmod,
    c::SYS_time,
    c::SYS_getdents,
    c::SYS_arch_prctl,
    c::SYS_getpgrp,
];
/// `renameat`, which libc does not name here (`asm-generic/unistd.h`).
#[cfg(not(target_arch = "x86_64"))]
const OLDER: &[i64] = &[38];

/// Those of which some uses are left: `socket`, `bpf`, `ioctl`.
const LIMITED: usize = 3;

const ALL: [&[i64]; 7] = [FILES, MEMORY, THREADS, ITSELF, EVENTS, SOCKETS, OLDER];

/// Families of sockets.
const FAMILIES: [c::c_int; 4] = [c::AF_UNIX, c::AF_INET, c::AF_INET6, c::AF_NETLINK];

/// Commands of bpf(2): what is read of programs and maps that are there. `uapi/linux/bpf.h`.
const BPF: [(&str, u64); 10] = [
    ("BPF_MAP_LOOKUP_ELEM", 1),
    ("BPF_MAP_UPDATE_ELEM", 2),
    ("BPF_MAP_DELETE_ELEM", 3),
    ("BPF_MAP_GET_NEXT_KEY", 4),
    ("BPF_OBJ_GET_INFO_BY_FD", 15),
    ("BPF_MAP_LOOKUP_BATCH", 24),
    ("BPF_MAP_LOOKUP_AND_DELETE_BATCH", 25),
    // The iterators over sockets are linked and read again for each look.
    ("BPF_LINK_CREATE", 28),
    ("BPF_ITER_CREATE", 33),
    ("BPF_LINK_DETACH", 34),
];

/// What a terminal must not be told: to type for its user, or to take the console's text.
const NOT_OF_TERMINALS: [u64; 2] = [c::TIOCSTI, c::TIOCLINUX];

/// What becomes of other system calls. A debug build ends, so that tests find what is missing above.
const OTHERWISE: SeccompAction = if cfg!(debug_assertions) { SeccompAction::KillProcess } else { REFUSED };
const REFUSED: SeccompAction = SeccompAction::Errno(c::EPERM.unsigned_abs());

/// Gives up all other system calls, in all threads.
///
/// # Errors
/// The kernel has no seccomp, or a thread has a filter of its own.
pub fn give_up() -> Result<(), Error> {
    apply_filter_all_threads(&program(OTHERWISE)?)?;
    Ok(())
}

/// The same in this thread alone. Returns how many are left.
///
/// # Errors
/// The kernel has no seccomp.
pub fn give_up_here() -> Result<usize, Error> {
    apply_filter(&program(OTHERWISE)?)?;
    Ok(ALL.iter().map(|calls| calls.len()).sum::<usize>() + LIMITED)
}

fn program(otherwise: SeccompAction) -> Result<BpfProgram, Error> {
    let mut rules: BTreeMap<i64, Vec<Rule>> =
        ALL.into_iter().flatten().map(|call| (*call, Vec::new())).collect();
    let is = |argument, value| Condition::new(argument, Len::Dword, Is::Eq, value);
    let is_not = |argument, value| Condition::new(argument, Len::Dword, Is::Ne, value);
    let families = FAMILIES.map(|family| Rule::new(vec![is(0, family.unsigned_abs().into())?]));
    rules.insert(c::SYS_socket, families.into_iter().collect::<Result<_, _>>()?);
    let commands = BPF.map(|(_, command)| Rule::new(vec![is(0, command)?]));
    rules.insert(c::SYS_bpf, commands.into_iter().collect::<Result<_, _>>()?);
    let requests = NOT_OF_TERMINALS.map(|request| is_not(1, request));
    rules.insert(c::SYS_ioctl, vec![Rule::new(requests.into_iter().collect::<Result<_, _>>()?)?]);
    let arch = std::env::consts::ARCH.try_into()?;
    Ok(SeccompFilter::new(rules, otherwise, SeccompAction::Allow, arch)?.try_into()?)
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io, net::TcpListener, process::Command, thread};

    use super::*;

    /// In a thread of its own, because it is for good.
    #[test]
    fn what_is_not_left_is_refused() {
        let in_thread = || {
            apply_filter(&program(REFUSED).unwrap()).unwrap();
            let started = Command::new("/bin/true").status().map(drop);
            // SAFETY: these calls have no pointers, or refused ones.
            let (packet, ptrace) =
                unsafe { (c::socket(c::AF_PACKET, c::SOCK_RAW, 0), c::ptrace(c::PTRACE_TRACEME, 0, 0, 0)) };
            assert_eq!((packet, ptrace), (-1, -1));
            let bytes: [u8; 1] = [b'x'];
            // SAFETY: the byte is there.
            let typed = unsafe { c::ioctl(0, c::TIOCSTI, bytes.as_ptr()) };
            assert_eq!((typed, io::Error::last_os_error().raw_os_error()), (-1, Some(c::EPERM)));
            // What is left works, in new threads, too.
            TcpListener::bind("127.0.0.1:0").unwrap();
            thread::spawn(|| File::open("/proc/self/status").map(drop)).join().unwrap().unwrap();
            started
        };
        let started = thread::spawn(in_thread).join().unwrap();
        assert_eq!(started.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }
}
