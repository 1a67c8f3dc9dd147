//! A cache of the inode numbers of network namespaces. In `struct net` the number shares a cache line with a reference count that each new socket changes.
//! Reading it means to fetch that line from another CPU, which took a fifth of the program's time. The
//! namespace's cookie is in a line that is not written to.

use aya_ebpf::{btf_maps::PerCpuArray, macros::btf_map};

use crate::{netns::Netns, sock::Sock};

/// Per CPU the last namespaces, each as one word: the cookie in the upper half, the number in the lower. One
/// word, because a program that interrupts this one must see both or neither.
#[btf_map]
static NUMBERS: PerCpuArray<[u64; PLACES], 1> = PerCpuArray::new();

const PLACES: usize = 16;

/// The socket's network namespace.
#[inline(always)]
pub fn netns(sock: Sock) -> Netns {
    let cookie = sock.net_cookie();
    let place = NUMBERS.get_ptr_mut(0).filter(|_| cookie != 0 && cookie <= u64::from(u32::MAX));
    let Some(place) = place else {
        return sock.netns();
    };
    // SAFETY: within the value. Volatile, because a program that interrupts this one writes there too.
    unsafe {
        // Cookies come in steps: the namespaces of other kinds that a container makes take some, too.
        let spread = (cookie as u32).wrapping_mul(0x9e37_79b9) >> (u32::BITS - PLACES.ilog2());
        let place = place.cast::<u64>().add(spread as usize);
        let remembered = place.read_volatile();
        if remembered >> 32 == cookie {
            return Netns { cookie, inum: remembered as u32 };
        }
        let found = sock.netns();
        place.write_volatile(cookie << 32 | u64::from(found.inum));
        found
    }
}
