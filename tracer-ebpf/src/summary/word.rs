//! What is kept of a socket, in one word that is written and read whole.

/// 2^64 by the golden ratio: no two times that are near each other have hashes that differ by as
/// little as cookies do.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// What a socket is, by its birth.
#[repr(u8)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Unknown,
    Client,
    Server,
    Listener,
}

/// From the lowest bit on a socket's state (4), its role (2), whether its beginning is pending (1),
/// and since when, in nanoseconds (57: a stay may last two years). Never 0.
#[derive(Clone, Copy)]
pub struct Word(pub u64);

const ROLE: u32 = 4;
const PENDING: u32 = 6;
const SINCE: u32 = 7;

impl Word {
    #[inline(always)]
    pub fn new(now_ns: u64, state: u8, role: Role) -> Self {
        Self(now_ns << SINCE | (role as u64) << ROLE | u64::from(state))
    }

    /// Of a beginning that is not counted yet.
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

    /// Time since it was written. The clocks of two CPUs may differ by a little: 0 then.
    #[inline(always)]
    pub fn elapsed_ns(self, now_ns: u64) -> u64 {
        let elapsed = (now_ns << SINCE).wrapping_sub(self.0 >> SINCE << SINCE) as i64;
        (if elapsed < 0 { 0 } else { elapsed as u64 }) >> SINCE
    }

    /// What says whose the word is: the cookie XORed with the word's hash.
    #[inline(always)]
    pub fn check(self, cookie: u64) -> u64 {
        cookie ^ self.0.wrapping_mul(SPREAD)
    }
}
