//! What the flags of an event say of a socket.

use tracer_common::{
    event::flag,
    member::{ABSENT, Member, SockFlag},
    state::{CLOSE, ESTABLISHED, LISTEN, SYN_RECV, SYN_SENT},
};

use crate::{
    kernel::{flag_bit, is_nonzero, load, load_bit, offset},
    sock::Sock,
    task::Task,
};

impl Sock {
    /// The bits of [`flag`] that the socket itself tells; and [`flag::KERNEL_THREAD`] if `names_owner`, for
    /// user space that takes the task on this CPU for the owner.
    #[inline(always)]
    pub fn flags(self, names_owner: bool) -> u16 {
        let kernel: u64 = load!(self.sock, Flags as u64);
        let bit = |flag: SockFlag| (kernel >> flag_bit(flag)) as u16 & 1;
        let owned: u32 = load!(self.sock, LockOwned as u32);
        let linger_time: u64 = load!(self.sock, LingerTime as u64);
        let sent: u32 = load!(self.tcp, SegsOut as u32);
        let mut flags = bit(SockFlag::Done) * flag::DONE
            | bit(SockFlag::Dead) * flag::DEAD
            | bit(SockFlag::KeepOpen) * flag::KEEPALIVE
            | is_nonzero(owned.into()) * flag::OWNED;
        if offset(Member::LingerTime) != ABSENT {
            flags |= bit(SockFlag::Linger) * (1 - is_nonzero(linger_time)) * flag::LINGER_ZERO;
        }
        if offset(Member::SegsOut) != ABSENT {
            flags |= (1 - is_nonzero(sent.into())) * flag::UNSENT;
        }
        if names_owner && owned != 0 {
            flags |= Task::current_is_kernel_thread() * flag::KERNEL_THREAD;
        }
        flags
    }

    /// The bits of [`flag`] that have a meaning only in some transitions. They are loaded only there.
    #[inline(always)]
    pub fn stage_flags(self, old_state: u8, new_state: u8) -> u16 {
        if old_state == SYN_SENT || new_state == SYN_SENT {
            let no_port = if has_failed_to_connect(old_state, new_state) { self.no_port() } else { 0 };
            no_port | u16::from(load_bit!(self.tcp, FastopenConnect)) * flag::FASTOPEN_CONNECT
        } else if old_state == SYN_RECV && new_state == ESTABLISHED {
            is_nonzero(load!(self.tcp, DataSegsIn as u32).into()) * flag::DATA_BEFORE
        } else if old_state == LISTEN || new_state == LISTEN {
            self.listener_flags()
        } else {
            0
        }
    }
}

/// Whether a client leaves SYN_SENT without a connection.
#[inline(always)]
pub fn has_failed_to_connect(old_state: u8, new_state: u8) -> bool {
    old_state == SYN_SENT && new_state == CLOSE
}
