//! The aggregate that the kernel keeps for `summary --in-kernel`, when no event leaves the kernel.

/// Number of rows in tables by state: states have numbers below this. Row 0 is for a number that no known
/// kernel uses.
pub const STATES: usize = 16;

/// Number of buckets for times in a state. Bucket `i` counts times from 2^i to less than 2^(i+1) nanoseconds;
/// bucket 0 also counts 0 ns.
pub const BUCKETS: usize = 64;

/// Slots in a set of the kernel's table of sockets: how many sockets with neighbouring cookies have room.
pub const WAYS: u32 = 4;

/// Number of programs that write: the first on the tracepoint, and the second, which may interrupt it.
pub const WRITERS: usize = 2;

/// The aggregate of one CPU. One value, so the kernel program needs one lookup, and user space one system
/// call.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct Share {
    /// Number of transitions, by old and new state ([`crate::state`]).
    pub transitions: [[u64; STATES]; STATES],
    /// Number of times that a state was left, by state and [`bucket`] of the time spent in it.
    pub stays: [[u64; BUCKETS]; STATES],
    /// Number of times that a state was left after an unknown time, by state.
    pub unknown: [u64; STATES],
    /// Longest time spent in each state, in nanoseconds. A value for each program: comparing and writing are
    /// two steps, and the other program may come in between.
    pub longest_ns: [[u64; STATES]; WRITERS],
}

/// Number of 64-bit words of a [`Share`], which is what the map holds.
pub const SHARE_WORDS: usize = size_of::<Share>() / size_of::<u64>();

const _: () = assert!(size_of::<Share>() <= 32 << 10, "PCPU_MIN_UNIT_SIZE, the limit for a per-CPU value");

/// The side of a connection that the service is on: the one whose port is not ephemeral.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// Unknown: the connection is older than the tracer.
    Unknown,
    /// This host: the local port of a server or listener.
    Local,
    /// The peer: the remote port of a client.
    Remote,
}

/// Key of a count by service port. From the highest byte: [`Side`], port (2 bytes), cell (what is counted).
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortKey(pub u32);

impl PortKey {
    /// `cell` is a [`pair`] of states, or a [`bucket`].
    #[inline(always)]
    #[must_use]
    pub const fn new(side: Side, port: u16, cell: u8) -> Self {
        Self((side as u32) << 24 | (port as u32) << 8 | cell as u32)
    }

    /// Side, port and cell; `None` if there is no such side.
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

/// Old and new state in one byte.
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

/// The bucket of a time in nanoseconds: its binary logarithm, rounded down.
///
/// ```
/// use tracer_common::aggregate::bucket;
///
/// assert_eq!(bucket(1_000), 9); // 512 ns to 1,023 ns
/// ```
#[inline(always)]
#[must_use]
pub const fn bucket(stay_ns: u64) -> u8 {
    // BPF has no instruction to count leading zeros; halving takes six steps.
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
