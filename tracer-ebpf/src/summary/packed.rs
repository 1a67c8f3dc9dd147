//! What is kept of a socket, packed into one word that is read and written whole.

/// 2^64 divided by the golden ratio. Hashes of times that are close together then differ by far more than the
/// cookies of sockets that share a set.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// What a socket is, by its first transition.
#[repr(u8)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Unknown,
    Client,
    Server,
    Listener,
}

/// From the lowest bit: the state (4 bits), the role (2), whether the beginning is pending (1), and when the
/// state was entered, in nanoseconds (57 bits: durations up to two years). Never 0, because no state is.
#[derive(Clone, Copy)]
pub struct Packed(pub u64);

const ROLE: u32 = 4;
const PENDING: u32 = 6;
const SINCE: u32 = 7;

impl Packed {
    #[inline(always)]
    pub fn new(now_ns: u64, state: u8, role: Role) -> Self {
        Self(now_ns << SINCE | (role as u64) << ROLE | u64::from(state))
    }

    /// For a beginning that is not counted yet, because its local port decides whether it is.
    #[inline(always)]
    pub fn pending(now_ns: u64, state: u8, role: Role) -> Self {
        Self(Self::new(now_ns, state, role).0 | 1 << PENDING)
    }

    #[inline(always)]
    pub fn state(self) -> u8 {
        self.0 as u8 & 0xf
    }

    #[inline(always)]
    pub fn role(self) -> Role {
        match self.0 >> ROLE & 3 {
            1 => Role::Client,
            2 => Role::Server,
            3 => Role::Listener,
            _ => Role::Unknown,
        }
    }

    #[inline(always)]
    pub fn is_pending(self) -> bool {
        self.0 >> PENDING & 1 != 0
    }

    /// Time in the state, in nanoseconds; 0 if the clock of the CPU that wrote it is ahead of this one's.
    #[inline(always)]
    pub fn elapsed_ns(self, now_ns: u64) -> u64 {
        let elapsed = (now_ns << SINCE).wrapping_sub(self.0 >> SINCE << SINCE) as i64;
        (if elapsed < 0 { 0 } else { elapsed as u64 }) >> SINCE
    }

    /// The check word that ties this word to a cookie: the cookie XORed with a hash of this word.
    #[inline(always)]
    pub fn check(self, cookie: u64) -> u64 {
        cookie ^ self.0.wrapping_mul(SPREAD)
    }
}
