//! What the kernel folds transitions into where no event crosses to user space.

/// States have numbers below this; 0 stands for a number that no kernel is known to use.
pub const STATES: usize = 16;

/// Bucket `i` holds stays of at least 2^i and less than 2^(i+1) nanoseconds; the first 0 ns, too.
pub const BUCKETS: usize = 64;

/// How many sockets whose cookies fall together are remembered.
pub const WAYS: u32 = 4;

/// How many programs write: the first on the hook, and the one that may interrupt it.
pub const WRITERS: usize = 2;

/// One CPU's share of everything: one value, found by one look-up and read by one call.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct Share {
    /// Transitions, by old and new state.
    pub transitions: [[u64; STATES]; STATES],
    /// Stays that ended, by the state that was left and the bucket of their length.
    pub stays: [[u64; BUCKETS]; STATES],
    /// Stays of unknown length that ended.
    pub unknown: [u64; STATES],
    /// The longest stay in nanoseconds, for each writer: a larger value replaces a smaller one in
    /// two steps, between which the other writer must not come.
    pub longest_ns: [[u64; STATES]; WRITERS],
}

/// [`Share`] as the map's value: words.
pub const SHARE_WORDS: usize = size_of::<Share>() / size_of::<u64>();

const _: () = assert!(size_of::<Share>() <= 32 << 10, "the most that the kernel gives per CPU");

/// Where a service is: at the end that did not choose its port at random.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// Nobody knows: the connection is older than the tracer.
    Unknown,
    /// On this host: the local port of a server or listener.
    Local,
    /// Elsewhere: the remote port of a client.
    Remote,
}

/// Key of a count of one service port: its side, the port, and what is counted.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortKey(pub u32);

impl PortKey {
    /// `cell` is what [`pair`] gives, or a bucket.
    #[inline(always)]
    #[must_use]
    pub const fn new(side: Side, port: u16, cell: u8) -> Self {
        Self((side as u32) << 24 | (port as u32) << 8 | cell as u32)
    }

    /// Side, port and cell; `None` if it is no key.
    #[must_use]
    pub const fn parts(self) -> Option<(Side, u16, u8)> {
        let [side, port @ .., cell] = self.0.to_be_bytes();
        let side = match side {
            0 => Side::Unknown,
            1 => Side::Local,
            2 => Side::Remote,
            _ => return None,
        };
        Some((side, u16::from_be_bytes(port), cell))
    }
}

/// Two states in one byte.
#[inline(always)]
#[must_use]
pub const fn pair(old_state: u8, new_state: u8) -> u8 {
    (old_state << 4) | (new_state & 0xf)
}

/// The two states of [`pair`].
#[must_use]
pub const fn states(pair: u8) -> (u8, u8) {
    (pair >> 4, pair & 0xf)
}

/// The bucket of a stay.
#[inline(always)]
#[must_use]
pub const fn bucket(stay_ns: u64) -> u8 {
    // The kernel's machine has no instruction for this; halving takes six steps.
    let (mut rest, mut bucket) = (stay_ns, 0);
    let mut step = 32;
    while step > 0 {
        if rest >> step != 0 {
            rest >>= step;
            bucket += step;
        }
        step /= 2;
    }
    bucket
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_a_logarithm() {
        assert_eq!(bucket(0), 0);
        for exponent in 0..64 {
            let least = 1_u64 << exponent;
            assert_eq!(bucket(least), exponent);
            assert_eq!(bucket(least + (least - 1)), exponent);
        }
    }

    #[test]
    fn keys_come_apart_again() {
        for side in [Side::Unknown, Side::Local, Side::Remote] {
            let key = PortKey::new(side, 0x1234, pair(11, 7));
            assert_eq!(key.parts(), Some((side, 0x1234, pair(11, 7))));
        }
        assert_eq!(PortKey(u32::MAX).parts(), None);
        assert_eq!(states(pair(11, 7)), (11, 7));
    }
}
