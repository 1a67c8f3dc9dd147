//! Reading a request socket: what the kernel keeps of a half-open connection.

use tracer_common::{helper::Helper, member::Member, state};

use crate::{
    kernel::{copy, follow, has, load, offset},
    record::Bare,
    sock::{common_ends, identity},
};

/// A `request_sock`. It begins with what all sockets begin with.
#[derive(Clone, Copy)]
pub struct Request(pub *const u8);

impl Request {
    /// Its cookie is the one that the connection will have: the connection's socket inherits it.
    #[inline(always)]
    pub fn bare(self) -> Bare {
        Bare {
            cookie: identity(self.0),
            ends: common_ends(self.0),
            netns: follow!(self.0, Net, NetInum as u32),
            state: state::NEW_SYN_RECV,
        }
    }

    /// Whether it has a cookie already: who has not been told of it has none.
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
}
