//! Request sockets (`struct request_sock`): what the kernel keeps of a half-open connection.

use tracer_common::{
    helper::Helper,
    member::{ABSENT, Member},
    state,
};

use crate::{
    endpoints::Endpoints,
    kernel::{copy, has, load, offset},
    netns::Netns,
    sock::identity,
    subject::Bare,
};

/// A `request_sock`. It begins with a `sock_common`, as all sockets do.
#[derive(Clone, Copy)]
pub struct Request(pub *const u8);

impl Request {
    /// The cookie is that of the later connection, whose socket inherits it.
    #[inline(always)]
    pub fn bare(self) -> Bare {
        Bare {
            cookie: identity(self.0),
            endpoints: Endpoints::of_common(self.0),
            netns: Netns::of_socket(self.0),
            state: state::NEW_SYN_RECV,
            listener_cookie: self.listener_cookie(),
            flags: 0,
        }
    }

    /// Whether it already has a cookie. It gets one when its beginning is reported; without one it began
    /// before the tracer.
    #[inline(always)]
    pub fn has_cookie(self) -> bool {
        !has(Helper::SocketCookie) || load!(self.0, Cookie as u64) != 0
    }

    /// Whether it has become a connection, with a socket of its own.
    #[inline(always)]
    pub fn has_socket(self) -> bool {
        load!(self.0, RequestSocket as u64) != 0
    }

    /// The cookie of its listener; 0 if that has none, or the kernel has no cookies.
    #[inline(always)]
    fn listener_cookie(self) -> u64 {
        let cookie = offset(Member::Cookie);
        if cookie == ABSENT || !has(Helper::SocketCookie) {
            return 0;
        }
        let listener: u64 = load!(self.0, Listener as u64);
        copy((listener + u64::from(cookie)) as *const u8).unwrap_or_default()
    }

    /// The state of its listener; `None` if that cannot be read.
    #[inline(always)]
    pub fn listener_state(self) -> Option<u8> {
        // The member is a union, so the verifier does not take what is in it for a pointer.
        let listener: u64 = load!(self.0, Listener as u64);
        copy((listener + u64::from(offset(Member::State))) as *const u8)
    }
}
