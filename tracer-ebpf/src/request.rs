//! Reading a request socket: what the kernel keeps of a half-open connection.

use tracer_common::{helper::Helper, member::Member};

use crate::{
    kernel::{copy, follow, has, load, offset},
    sock::{Ends, common_ends, identity},
};

/// A `request_sock`. It begins with what all sockets begin with.
#[derive(Clone, Copy)]
pub struct Request(pub *const u8);

impl Request {
    #[inline(always)]
    pub fn ends(self) -> Ends {
        common_ends(self.0)
    }

    /// The cookie that the connection will have: its socket inherits it.
    #[inline(always)]
    pub fn cookie(self) -> u64 {
        identity(self.0)
    }

    /// Whether it has one already: who has not been told of it has none.
    #[inline(always)]
    pub fn has_cookie(self) -> bool {
        !has(Helper::SocketCookie) || load!(self.0, Cookie as u64) != 0
    }

    /// Whether the connection's socket is there.
    #[inline(always)]
    pub fn has_socket(self) -> bool {
        load!(self.0, RequestSocket as u64) != 0
    }

    /// Its listener's; `None` if that cannot be read.
    #[inline(always)]
    pub fn listener_state(self) -> Option<u8> {
        // The kernel keeps other things there in other sockets, so to the verifier it is no pointer.
        let listener: u64 = load!(self.0, Listener as u64);
        copy((listener + u64::from(offset(Member::State))) as *const u8)
    }

    #[inline(always)]
    pub fn netns(self) -> u32 {
        follow!(self.0, Net, NetInum as u32)
    }
}
