//! What is done to the process between fork and exec. Everything is prepared before the fork, because nothing may
//! be allocated after it.

use std::{
    ffi::{CStr, CString},
    io,
    os::fd::{AsRawFd as _, OwnedFd},
    path::Path,
    sync::Arc,
};

use crate::attack::child::take_terminal;

/// A step.
#[derive(Clone, Debug)]
pub enum Step {
    /// A resource has this limit, soft and hard.
    Limit(libc::__rlimit_resource_t, u64),
    /// The process, root or not, can never have these capabilities.
    WithoutCapability(u32),
    /// It is in new namespaces (`CLONE_NEW...`).
    Unshare(i32),
    /// In a new user namespace, root is root.
    MapRoot,
    /// Something is mounted.
    Mount(Mount),
    /// A folder is the root.
    Chroot(CString),
    /// It is in the cgroup whose `cgroup.procs` is this.
    Cgroup(Arc<OwnedFd>),
    /// A system call fails with `EPERM`.
    Forbid(u32),
}

/// The arguments of mount(2).
#[derive(Clone, Debug)]
pub struct Mount {
    source: CString,
    target: CString,
    kind: CString,
    flags: libc::c_ulong,
    data: CString,
}

/// A path or a word for the kernel.
pub fn c(text: impl AsRef<Path>) -> CString {
    CString::new(text.as_ref().as_os_str().as_encoded_bytes()).expect("no zero inside")
}

impl Step {
    /// A mount namespace of its own, from which nothing comes back.
    pub fn own_mounts() -> Vec<Self> {
        vec![
            Self::Unshare(libc::CLONE_NEWNS),
            Self::mount("none", "/", "", libc::MS_REC | libc::MS_PRIVATE, ""),
        ]
    }

    /// An empty folder hides this one.
    pub fn hide(target: &str) -> Self {
        Self::mount("tmpfs", target, "tmpfs", 0, "")
    }

    /// A folder is also seen here.
    pub fn bind(source: &str, target: impl AsRef<Path>) -> Self {
        Self::mount(source, target, "", libc::MS_BIND | libc::MS_REC, "")
    }

    /// A mount.
    pub fn mount(
        source: &str,
        target: impl AsRef<Path>,
        kind: &str,
        flags: libc::c_ulong,
        data: &str,
    ) -> Self {
        Self::Mount(Mount { source: c(source), target: c(target), kind: c(kind), flags, data: c(data) })
    }

    /// Takes the step.
    pub fn take(&self) -> io::Result<()> {
        // SAFETY: all pointers are to values that live longer than the call.
        let result = unsafe {
            match self {
                Self::Limit(resource, limit) => {
                    let limit = libc::rlimit { rlim_cur: *limit, rlim_max: *limit };
                    libc::setrlimit(*resource, &raw const limit)
                }
                Self::WithoutCapability(capability) => {
                    libc::prctl(libc::PR_CAPBSET_DROP, *capability, 0, 0, 0)
                }
                Self::Unshare(flags) => libc::unshare(*flags),
                Self::MapRoot => return map_root(),
                Self::Mount(Mount { source, target, kind, flags, data }) => {
                    libc::mount(source.as_ptr(), target.as_ptr(), kind.as_ptr(), *flags, data.as_ptr().cast())
                }
                Self::Chroot(path) => libc::chroot(path.as_ptr()).min(libc::chdir(c"/".as_ptr())),
                Self::Cgroup(procs) => return write(procs.as_raw_fd(), b"0"),
                Self::Forbid(call) => forbid(*call),
            }
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

/// A session of its own, so that everything that it starts can be ended. It ends with whoever attacks.
pub(super) fn begin_session(has_terminal: bool) -> io::Result<()> {
    // SAFETY: neither touches memory.
    if unsafe { libc::setsid() < 0 || libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) < 0 } {
        return Err(io::Error::last_os_error());
    }
    if has_terminal {
        take_terminal();
    }
    Ok(())
}

/// Closes descriptors.
pub(super) fn close(descriptors: &[i32]) {
    for descriptor in descriptors {
        // SAFETY: nothing of this process uses them any more.
        unsafe { libc::close(*descriptor) };
    }
}

fn map_root() -> io::Result<()> {
    put(c"/proc/self/setgroups", b"deny")?;
    put(c"/proc/self/uid_map", b"0 0 1")?;
    put(c"/proc/self/gid_map", b"0 0 1")
}

fn put(path: &CStr, text: &[u8]) -> io::Result<()> {
    // SAFETY: the path ends with a zero.
    let file = unsafe { libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC) };
    write(file, text)
}

fn write(file: i32, text: &[u8]) -> io::Result<()> {
    // SAFETY: the pointer and the length are the slice's.
    let written = unsafe { libc::write(file, text.as_ptr().cast(), text.len()) };
    if written < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The number of the call is the first word of what the filter sees.
unsafe fn forbid(call: u32) -> i32 {
    let instruction = |code: u32, k: u32, jt: u8, jf: u8| libc::sock_filter {
        code: u16::try_from(code).unwrap_or_default(),
        jt,
        jf,
        k,
    };
    let denied = libc::SECCOMP_RET_ERRNO | libc::EPERM.cast_unsigned();
    let mut filter = [
        instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, call, 0, 1),
        instruction(libc::BPF_RET | libc::BPF_K, denied, 0, 0),
        instruction(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0, 0),
    ];
    let program = libc::sock_fprog { len: 4, filter: filter.as_mut_ptr() };
    // SAFETY: the program and its instructions live longer than the calls.
    unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program)
    }
}
