//! The filters on constant facts. Those not in use cost nothing: `ACTIVE` is read-only, so the
//! verifier removes their code.

use aya_ebpf::{
    Global,
    btf_maps::{Array, HashMap, LpmTrie, lpm_trie::Key},
    macros::btf_map,
};
use tracer_common::filter::{Active, EITHER, LOCAL, PORTS, family, selects};

use crate::sock::Ends;

#[unsafe(no_mangle)]
static ACTIVE: Global<Active> =
    Global::new(Active { ports: 0, addrs: 0, families: family::ANY, netns: 0, story: 0 });

/// Marks of every port, in one value: a look-up costs a load.
#[btf_map]
static PORT_MARKS: Array<[u8; PORTS], 1> = Array::new();

/// Marks of address prefixes. IPv4 is v4-mapped, so that one table serves both families. User
/// space sets the size.
#[btf_map]
static ADDR_MARKS: LpmTrie<[u32; 4], u32, 1> = LpmTrie::new();

/// The network namespaces that pass. User space sets the size.
#[btf_map]
static NETNS: HashMap<u32, u8, 1> = HashMap::new();

const ADDR_BITS: u32 = 128;

/// The filters in use, constants to the verifier.
pub struct Filters(Active);

impl Filters {
    #[inline(always)]
    pub fn load() -> Self {
        Self(ACTIVE.load())
    }

    /// Whether user space tells stories.
    #[inline(always)]
    pub fn for_stories(&self) -> bool {
        self.0.story != 0
    }

    /// Whether everything passes.
    #[inline(always)]
    pub fn is_open(&self) -> bool {
        let Active { ports, addrs, families, netns, story: _ } = self.0;
        ports == 0 && addrs == 0 && families == family::ANY && netns == 0
    }

    /// Whether the network namespace passes.
    #[inline(always)]
    pub fn netns(&self, inum: u32) -> bool {
        // SAFETY: user space fills the map before the program is attached and never changes it.
        self.0.netns == 0 || unsafe { NETNS.get(inum) }.is_some()
    }

    /// Whether the kind of address passes.
    #[inline(always)]
    pub fn family(&self, ends: &Ends) -> bool {
        if self.0.families == family::ANY {
            return true;
        }
        let of = family::of(ends.family, is_mapped(&ends.local_addr), is_mapped(&ends.remote_addr));
        self.0.families & of != 0
    }

    /// Whether the addresses pass.
    #[inline(always)]
    pub fn addrs(&self, ends: &Ends) -> bool {
        if self.0.addrs == 0 {
            return true;
        }
        let remote = if ends.has_peer() { addr_marks(ends.remote_addr) } else { 0 };
        selects(self.0.addrs, addr_marks(ends.local_addr), remote)
    }

    /// Whether the ports pass.
    #[inline(always)]
    pub fn ports(&self, ends: &Ends) -> bool {
        self.ports_with(ends, |marks| port_marks(marks, ends.local_port))
    }

    /// Whether the ports pass before the local one is chosen; `None` if that will decide.
    #[inline(always)]
    pub fn ports_unbound(&self, ends: &Ends) -> Option<bool> {
        let worst = self.ports_with(ends, |_| 0);
        let best = self.ports_with(ends, |_| EITHER | LOCAL);
        (worst == best).then_some(best)
    }

    #[inline(always)]
    fn ports_with(&self, ends: &Ends, local_marks: impl FnOnce(&[u8; PORTS]) -> u8) -> bool {
        if self.0.ports == 0 {
            return true;
        }
        let Some(marks) = PORT_MARKS.get(0) else {
            return true;
        };
        let remote = if ends.has_peer() { port_marks(marks, ends.remote_port) } else { 0 };
        selects(self.0.ports, local_marks(marks), remote)
    }
}

#[inline(always)]
fn port_marks(marks: &[u8; PORTS], port: u16) -> u8 {
    // SAFETY: there is one for each value of a u16. The safe way would leave a panic behind that
    // keeps the program from loading.
    unsafe { *marks.get_unchecked(usize::from(port)) }
}

#[inline(always)]
fn addr_marks(address: [u32; 4]) -> u8 {
    ADDR_MARKS.get(&Key::new(ADDR_BITS, address)).map_or(0, |marks| *marks as u8)
}

#[inline(always)]
fn is_mapped(address: &[u32; 4]) -> bool {
    address[0] == 0 && address[1] == 0 && address[2] == 0xffff_u32.to_be()
}
