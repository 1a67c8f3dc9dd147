//! What the flags of an event say of a socket.

use tracer_common::{
    event::flag,
    member::{ABSENT, Member, SockFlag},
    state::{ESTABLISHED, SYN_RECV, SYN_SENT},
};

use crate::{
    kernel::{flag_bit, load, load_bit, offset},
    sock::Sock,
    task::Task,
};

impl Sock {
    /// The bits of [`flag`] that the socket itself tells; and [`flag::KERNEL_THREAD`] if `names_owner`, for
    /// user space that takes the task on this CPU for the owner.
    #[inline(always)]
    pub fn flags(self, names_owner: bool) -> u16 {
        let kernel: u64 = load!(self.sock, Flags as u64);
        let is_set = |flag: SockFlag| (kernel >> flag_bit(flag)) & 1;
        let owned: u32 = load!(self.sock, LockOwned as u32);
        let linger_time: u64 = load!(self.sock, LingerTime as u64);
        let mut flags = 0;
        if owned != 0 {
            flags |= flag::OWNED;
            if names_owner && Task::current_is_kernel_thread() {
                flags |= flag::KERNEL_THREAD;
            }
        }
        if is_set(SockFlag::Done) != 0 {
            flags |= flag::DONE;
        }
        if is_set(SockFlag::Dead) != 0 {
            flags |= flag::DEAD;
        }
        let knows_linger = offset(Member::LingerTime) != ABSENT;
        if knows_linger && is_set(SockFlag::Linger) != 0 && linger_time == 0 {
            flags |= flag::LINGER_ZERO;
        }
        if offset(Member::SegsOut) != ABSENT && load!(self.tcp, SegsOut as u32) == 0 {
            flags |= flag::UNSENT;
        }
        if is_set(SockFlag::KeepOpen) != 0 {
            flags |= flag::KEEPALIVE;
        }
        flags
    }

    /// The bits of [`flag`] that tell what a handshake was like. They are loaded only where they have a meaning.
    #[inline(always)]
    pub fn handshake_flags(self, old_state: u8, new_state: u8) -> u16 {
        if old_state == SYN_SENT || new_state == SYN_SENT {
            if load_bit!(self.tcp, FastopenConnect) != 0 { flag::FASTOPEN_CONNECT } else { 0 }
        } else if old_state == SYN_RECV && new_state == ESTABLISHED {
            if load!(self.tcp, DataSegsIn as u32) != 0 { flag::DATA_BEFORE } else { 0 }
        } else {
            0
        }
    }
}
