//! Network namespaces (`struct net`).

use crate::kernel::load;

/// What identifies a network namespace.
#[derive(Clone, Copy, Default)]
pub struct Netns {
    /// Its cookie (since 5.12), which no other gets until the host restarts; 0 if the kernel has none.
    pub cookie: u64,
    /// Its inode number, as in `/proc/PID/ns/net`.
    pub inum: u32,
}

impl Netns {
    /// Of a `struct net`.
    #[inline(always)]
    pub(crate) fn of(net: *const u8) -> Self {
        Self { cookie: load!(net, NetCookie as u64), inum: load!(net, NetInum as u32) }
    }

    /// Of any kind of socket (`struct sock_common`).
    #[inline(always)]
    pub(crate) fn of_socket(socket: *const u8) -> Self {
        Self::of(load!(socket, Net as *const u8))
    }
}
