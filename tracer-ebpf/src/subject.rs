//! What a record is about.

use crate::{endpoints::Endpoints, netns::Netns, sock::Sock};

/// The socket that a record is about. Which variant it is, is known at compile time, so no branch is left in
/// the program.
#[derive(Clone, Copy)]
pub enum Subject<'a> {
    /// A full socket, which has all facts.
    Full(Sock),
    /// Any other, whose remaining facts are 0.
    Bare(&'a Bare),
}

/// What is known of a request socket, a timewait socket, or a segment without a socket.
#[derive(Default)]
pub struct Bare {
    /// 0 if it has none.
    pub cookie: u64,
    pub endpoints: Endpoints,
    pub netns: Netns,
    pub state: u8,
    /// Cookie of the listener that it belongs to; 0 if it is not known, or if there is none.
    pub listener_cookie: u64,
    /// Flags beside [`tracer_common::event::flag::BARE`].
    pub flags: u16,
}

impl Subject<'_> {
    /// A fact that only a full socket has.
    #[inline(always)]
    pub(crate) fn fact<T: Default>(self, read: impl FnOnce(Sock) -> T) -> T {
        match self {
            Self::Full(sock) => read(sock),
            Self::Bare(_) => T::default(),
        }
    }

    #[inline(always)]
    pub(crate) fn cookie(self) -> u64 {
        match self {
            Self::Full(sock) => sock.cookie(),
            Self::Bare(bare) => bare.cookie,
        }
    }

    /// [`tracer_common::Event::bytes_received`], or what is in its place.
    #[inline(always)]
    pub(crate) fn bytes_received(self) -> u64 {
        match self {
            Self::Full(sock) => sock.bytes_received(),
            Self::Bare(bare) => bare.listener_cookie,
        }
    }

    #[inline(always)]
    pub(crate) fn endpoints(self) -> Endpoints {
        match self {
            Self::Full(sock) => sock.endpoints(),
            Self::Bare(bare) => bare.endpoints,
        }
    }
}
