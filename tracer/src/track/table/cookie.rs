//! Hash maps and sets of sockets, by cookie.

use std::hash::{BuildHasherDefault, Hasher};

/// A map with cookies as keys.
pub type CookieMap<V> = std::collections::HashMap<u64, V, BuildHasherDefault<CookieHasher>>;
/// A set of cookies.
pub type CookieSet = std::collections::HashSet<u64, BuildHasherDefault<CookieHasher>>;

/// Consecutive cookies that stay next to each other in a table. The kernel numbers sockets in order, so
/// sockets that live at the same time share cache lines.
const NEIGHBOURS: u64 = 64;

/// The hash of a cookie. Cookies are numbers from a counter of the kernel, and no stranger can choose them,
/// so spreading their bits is enough; std's hash also defends against chosen collisions. In the worst case,
/// where of many connections every 64th lives on, a table has runs of 64.
#[must_use]
pub fn hash(cookie: u64) -> u64 {
    let spread_out = spread(cookie / NEIGHBOURS).wrapping_mul(NEIGHBOURS) | (cookie % NEIGHBOURS);
    // Hash tables compare the uppermost seven bits before the key: neighbours must differ there.
    spread_out ^ (cookie << 57)
}

/// Spreads the low bits of a number over all bits (multiplicative hashing).
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
