//! Sets and maps of sockets, by their cookies.

use std::hash::{BuildHasherDefault, Hasher};

/// A map of cookies.
pub type CookieMap<V> = std::collections::HashMap<u64, V, BuildHasherDefault<CookieHasher>>;
/// A set of cookies.
pub type CookieSet = std::collections::HashSet<u64, BuildHasherDefault<CookieHasher>>;

/// Cookies are counters that the kernel gives out, not chosen by anybody: spreading their bits is
/// enough, where std defends itself against keys chosen to collide.
#[must_use]
pub fn hash(cookie: u64) -> u64 {
    let product = cookie.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    product ^ (product >> 32)
}

/// [`hash`], for the standard collections.
#[derive(Clone, Copy, Debug, Default)]
pub struct CookieHasher(u64);

impl Hasher for CookieHasher {
    fn write_u64(&mut self, cookie: u64) {
        self.0 = hash(cookie);
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = hash(self.0 ^ u64::from(*byte));
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
