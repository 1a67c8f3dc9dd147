//! Tasks (`struct task_struct`), and the files that they hold.

use aya_ebpf::helpers::{bpf_get_current_pid_tgid, generated as helpers};
use tracer_common::{
    event::COMM_LEN,
    helper::Helper,
    member::{ABSENT, Member},
};

use crate::{
    kernel::{copy, follow, has, load, offset},
    record::write_words,
};

/// A task's name, as words: bytes would be copied in a loop.
pub type Comm = [u64; COMM_LEN / size_of::<u64>()];

/// The task that a record names.
#[derive(Clone, Copy)]
pub enum NamedTask {
    /// None.
    None,
    /// The one on this CPU, with its own name or that of its process.
    OnCpu { by_process: bool },
    /// The process that holds the socket.
    Holder(Task),
}

impl NamedTask {
    /// Writes the name.
    ///
    /// # Safety
    ///
    /// `comm` points to memory for a [`Comm`], aligned for it.
    #[inline(always)]
    pub(crate) unsafe fn write_comm(self, comm: *mut u64) {
        // SAFETY: as promised.
        unsafe {
            match self {
                Self::None => write_words(comm, [0; 2]),
                Self::OnCpu { by_process: true } => write_words(comm, Task::current_comm()),
                Self::OnCpu { by_process: false } => {
                    helpers::bpf_get_current_comm(comm.cast(), COMM_LEN as u32);
                }
                Self::Holder(task) => write_words(comm, task.comm()),
            }
        }
    }

    /// Whether user space asks whose the socket is, and so wants the process's name.
    #[inline(always)]
    pub(crate) fn names_owner(self) -> bool {
        matches!(self, Self::OnCpu { by_process: true })
    }

    /// Process id (tgid) and thread id. A holder is the whole process, so both are the process's.
    #[inline(always)]
    pub(crate) fn ids(self) -> (u32, u32) {
        match self {
            Self::None => (0, 0),
            Self::OnCpu { .. } => {
                let pid_tgid = bpf_get_current_pid_tgid();
                ((pid_tgid >> 32) as u32, pid_tgid as u32)
            }
            Self::Holder(task) => {
                let pid = task.pid();
                (pid, pid)
            }
        }
    }
}

/// A `task_struct`.
#[derive(Clone, Copy)]
pub struct Task(pub *const u8);

impl Task {
    /// Name of the process on this CPU. A thread may have another name (`PR_SET_NAME`).
    #[inline(always)]
    fn current_comm() -> Comm {
        if has(Helper::CurrentTask) {
            // SAFETY: there always is a current task.
            return Self(unsafe { helpers::bpf_get_current_task_btf() }.cast_const().cast()).comm();
        }
        let (leader, comm) = (offset(Member::TaskLeader), offset(Member::TaskComm));
        if leader == ABSENT || comm == ABSENT {
            return [0; 2];
        }
        // SAFETY: as above.
        let task = unsafe { helpers::bpf_get_current_task() } as *const u8;
        let leader = copy::<*const u8>(task.wrapping_add(leader as usize));
        leader.and_then(|leader| copy(leader.wrapping_add(comm as usize))).unwrap_or_default()
    }

    /// 1 if the task on this CPU is a kernel thread.
    #[inline(always)]
    pub fn current_is_kernel_thread() -> u16 {
        let flags = if has(Helper::CurrentTask) {
            // SAFETY: there always is a current task.
            let task: *const u8 = unsafe { helpers::bpf_get_current_task_btf() }.cast_const().cast();
            load!(task, TaskFlags as u32)
        } else {
            let flags = offset(Member::TaskFlags);
            if flags == ABSENT {
                return 0;
            }
            // SAFETY: as above.
            let task = unsafe { helpers::bpf_get_current_task() } as *const u8;
            copy::<u32>(task.wrapping_add(flags as usize)).unwrap_or_default()
        };
        (flags / PF_KTHREAD) as u16 & 1
    }

    /// Process id.
    #[inline(always)]
    pub fn pid(self) -> u32 {
        load!(self.0, TaskTgid as u32)
    }

    /// Name of the process, which is that of its first thread.
    #[inline(always)]
    pub fn comm(self) -> Comm {
        let (leader, comm) = (offset(Member::TaskLeader), offset(Member::TaskComm));
        if leader == ABSENT || comm == ABSENT {
            return [0; 2];
        }
        // SAFETY: as in `load`, two words of the name.
        unsafe {
            let leader: *const u8 = self.0.add(leader as usize).cast::<*const u8>().read();
            let comm = leader.add(comm as usize).cast::<u64>();
            [comm.read(), comm.add(1).read()]
        }
    }
}

/// `PF_KTHREAD` (`include/linux/sched.h`), the same since 2.6.34. A macro, so the kernel's types do not have
/// it.
const PF_KTHREAD: u32 = 0x0020_0000;

/// Address of the `sock` behind a file, for any kind of socket; `None` if it is no socket.
#[inline(always)]
pub fn sock_of_file(file: *const u8) -> Option<u64> {
    let (private, sk) = (offset(Member::FilePrivate), offset(Member::SocketSock));
    let mode: u16 = follow!(file, FileInode, InodeMode as u16);
    // An open file of this kind is a socket: one in a directory (AF_UNIX) cannot be opened.
    if mode & S_IFMT != S_IFSOCK || private == ABSENT || sk == ABSENT {
        return None;
    }
    let socket: u64 = load!(file, FilePrivate as u64);
    // A file opened with `O_PATH` has no socket.
    let socket = (socket != 0).then_some(socket as *const u8)?;
    copy(socket.wrapping_add(sk as usize)).filter(|sk| *sk != 0)
}

/// The bits of a file's mode for its type, and their value for a socket (inode(7)).
const S_IFMT: u16 = 0o170_000;
const S_IFSOCK: u16 = 0o140_000;
