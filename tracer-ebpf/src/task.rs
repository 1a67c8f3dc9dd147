//! Tasks, and the files that they hold.

use aya_ebpf::helpers::generated as helpers;
use tracer_common::{
    event::COMM_LEN,
    helper::Helper,
    member::{ABSENT, Member},
};

use crate::kernel::{copy, follow, has, load, offset};

/// A task.
#[derive(Clone, Copy)]
pub struct Task(pub *const u8);

impl Task {
    /// The name of the process on this CPU: a thread may call itself what it likes.
    #[inline(always)]
    pub fn current_comm() -> [u8; COMM_LEN] {
        if has(Helper::CurrentTask) {
            // SAFETY: there always is a current task.
            return Self(unsafe { helpers::bpf_get_current_task_btf() }.cast_const().cast()).comm();
        }
        let (leader, comm) = (offset(Member::TaskLeader), offset(Member::TaskComm));
        if leader == ABSENT || comm == ABSENT {
            return [0; COMM_LEN];
        }
        // SAFETY: as above.
        let task = unsafe { helpers::bpf_get_current_task() } as *const u8;
        let leader = copy::<*const u8>(task.wrapping_add(leader as usize));
        leader.and_then(|leader| copy(leader.wrapping_add(comm as usize))).unwrap_or_default()
    }

    #[inline(always)]
    pub fn pid(self) -> u32 {
        load!(self.0, TaskTgid as u32)
    }

    /// The process's name, which is its first thread's.
    #[inline(always)]
    pub fn comm(self) -> [u8; COMM_LEN] {
        let (leader, comm) = (offset(Member::TaskLeader), offset(Member::TaskComm));
        if leader == ABSENT || comm == ABSENT {
            return [0; COMM_LEN];
        }
        // SAFETY: as in `load`, two words of the name.
        let words: [u64; 2] = unsafe {
            let leader: *const u8 = self.0.add(leader as usize).cast::<*const u8>().read();
            let comm = leader.add(comm as usize).cast::<u64>();
            [comm.read(), comm.add(1).read()]
        };
        // SAFETY: the same size, and any value is valid.
        unsafe { core::mem::transmute(words) }
    }
}

/// The address of the sock behind a file, whatever kind of socket it is.
#[inline(always)]
pub fn sock_of_file(file: *const u8) -> Option<u64> {
    let (private, sk) = (offset(Member::FilePrivate), offset(Member::SocketSock));
    let mode: u16 = follow!(file, FileInode, InodeMode as u16);
    // Only a socket's own file can be open: those in a folder are connected to by their names.
    if mode & S_IFMT != S_IFSOCK || private == ABSENT || sk == ABSENT {
        return None;
    }
    let socket: u64 = load!(file, FilePrivate as u64);
    // A file that is only a path (`O_PATH`) has nothing behind it.
    let socket = (socket != 0).then_some(socket as *const u8)?;
    copy(socket.wrapping_add(sk as usize)).filter(|sk| *sk != 0)
}

/// The bits of a file's mode that tell its kind, and what they are for a socket.
const S_IFMT: u16 = 0o170_000;
const S_IFSOCK: u16 = 0o140_000;
