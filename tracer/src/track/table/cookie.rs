//! Sets and maps of sockets, by their cookies.

use std::hash::{BuildHasherDefault, Hasher};

/// A map of cookies.
pub type CookieMap<V> = std::collections::HashMap<u64, V, BuildHasherDefault<CookieHasher>>;
/// A set of cookies.
pub type CookieSet = std::collections::HashSet<u64, BuildHasherDefault<CookieHasher>>;

/// Cookies that follow each other and lie next to each other in tables, too. The kernel gives them out
/// in order, so what lives at the same time shares lines of the processor's cache.
const NEIGHBOURS: u64 = 64;

/// Cookies are counters that the kernel gives out, not chosen by anybody: spreading their bits is
/// enough, where std defends itself against keys chosen to collide. Who lets every 64th of many
/// connections live comes to runs of 64 at worst.
#[must_use]
pub fn hash(cookie: u64) -> u64 {
    let place = spread(cookie / NEIGHBOURS).wrapping_mul(NEIGHBOURS) | (cookie % NEIGHBOURS);
    // Tables compare the uppermost seven bits before they look at a key: neighbours differ there.
    place ^ (cookie << 57)
}

/// Spreads what small numbers tell over all bits.
#[must_use]
pub fn spread(value: u64) -> u64 {
    let product = value.wrapping_mul(0x9e37_79b9_7f4a_7c15);
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
            self.0 = spread(self.0 ^ u64::from(*byte));
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
