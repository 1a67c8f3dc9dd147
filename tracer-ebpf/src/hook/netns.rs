//! The number of a socket's network namespace, remembered.
//!
//! It lies in the kernel's memory beside a count of references that each new socket changes, so on
//! another CPU than the last one's to read it is to wait for that line of the cache: a fifth of the
//! whole program. The namespace's cookie lies where nothing is written.

use aya_ebpf::{btf_maps::PerCpuArray, macros::btf_map};

use crate::sock::Sock;

/// The last namespaces of this CPU by their cookies: the cookie above, the number below. One word each,
/// because what interrupts this program and uses the same place sees all of it or nothing.
#[btf_map]
static NUMBERS: PerCpuArray<[u64; PLACES], 1> = PerCpuArray::new();

const PLACES: usize = 16;

/// The inode number of the socket's network namespace.
#[inline(always)]
pub fn netns(sock: Sock) -> u32 {
    let cookie = sock.net_cookie();
    let place = NUMBERS.get_ptr_mut(0).filter(|_| cookie != 0 && cookie <= u64::from(u32::MAX));
    let Some(place) = place else {
        return sock.netns();
    };
    // SAFETY: within the value. Volatile, because what interrupts this program writes there too.
    unsafe {
        // Cookies come in steps: a container takes several for its namespaces of other kinds.
        let spread = (cookie as u32).wrapping_mul(0x9e37_79b9) >> (u32::BITS - PLACES.ilog2());
        let place = place.cast::<u64>().add(spread as usize);
        let remembered = place.read_volatile();
        if remembered >> 32 == cookie {
            return remembered as u32;
        }
        let number = sock.netns();
        place.write_volatile(cookie << 32 | u64::from(number));
        number
    }
}
