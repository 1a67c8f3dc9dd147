//! Decoding events from bytes. Size, family, kind and cookie are checked.

use tracer_common::{
    Event,
    event::{AF_INET, AF_INET6, kind},
};
use zerocopy::FromBytes as _;

/// Why bytes are not a valid event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// They do not have the size or the alignment of an [`Event`].
    #[error("{0} bytes are not an event")]
    Size(usize),
    /// The address family is neither IPv4 nor IPv6.
    #[error("unknown address family {0}")]
    Family(u8),
    /// A kind that this version does not know.
    #[error("unknown kind {0}")]
    Kind(u8),
    /// The cookie is 0, although the kernel gives every socket one.
    #[error("a socket without a cookie")]
    NoCookie,
}

/// Reads the event in `bytes` without copying it.
pub fn decode(bytes: &[u8]) -> Result<&Event, Malformed> {
    let event = Event::ref_from_bytes(bytes).map_err(|_| Malformed::Size(bytes.len()))?;
    check(event).map(|()| event)
}

/// Whether it can be an event.
///
/// # Errors
/// It cannot.
pub fn check(event: &Event) -> Result<(), Malformed> {
    match event.family {
        AF_INET | AF_INET6 if event.kind > kind::LAST => Err(Malformed::Kind(event.kind)),
        // The kernel also sends an RST for a segment that belongs to no socket.
        AF_INET | AF_INET6 if event.cookie == 0 && event.kind != kind::RESET_SENT => Err(Malformed::NoCookie),
        AF_INET | AF_INET6 => Ok(()),
        other => Err(Malformed::Family(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::{FromZeros as _, IntoBytes as _};

    #[test]
    fn wrong_sizes_are_refused() {
        let words = [0_u64; 40];
        let bytes = words.as_bytes();
        for size in [0, 1, 135, 137, 320] {
            assert_eq!(decode(&bytes[..size]), Err(Malformed::Size(size)));
        }
    }

    #[test]
    fn unknown_families_are_refused() {
        let mut event = Event::new_zeroed();
        assert_eq!(decode(event.as_bytes()), Err(Malformed::Family(0)));
        event.family = AF_INET;
        assert_eq!(decode(event.as_bytes()), Err(Malformed::NoCookie));
        event.kind = kind::RESET_SENT;
        assert_eq!(decode(event.as_bytes()), Ok(&event));
        event.cookie = 1;
        event.kind = kind::TRANSITION;
        assert_eq!(decode(event.as_bytes()), Ok(&event));
        event.kind = kind::LAST + 1;
        assert_eq!(decode(event.as_bytes()), Err(Malformed::Kind(kind::LAST + 1)));
    }
}
