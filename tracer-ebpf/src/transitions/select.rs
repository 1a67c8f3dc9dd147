//! The filters on constant facts. Those not in use cost nothing: `ACTIVE` is read-only, so the
//! verifier removes their code.

use aya_ebpf::{
    Global,
    btf_maps::{Array, HashMap, LpmTrie, lpm_trie::Key},
    macros::btf_map,
};
use tracer_common::filter::{Active, PORTS, family, selects as marks_select};

use tracer_ebpf::sock::Ends;

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

/// Where in its life a connection is, as far as filters must know.
pub struct Stage {
    /// Its local port is not chosen yet.
    pub is_unbound: bool,
    /// It leaves SYN_SENT.
    pub leaves_syn_sent: bool,
    /// It is none, but a listener.
    pub is_listener: bool,
}

/// Whether user space tells stories.
#[inline(always)]
pub fn tells_stories() -> bool {
    ACTIVE.load().story != 0
}

#[inline(always)]
pub fn selects(ends: &Ends, netns: u32, stage: &Stage) -> bool {
    let active = ACTIVE.load();
    // SAFETY: user space fills the map before the program is attached and never changes it.
    if active.netns != 0 && unsafe { NETNS.get(netns) }.is_none() {
        return false;
    }
    let tells_stories = active.story != 0;
    if tells_stories && stage.is_listener {
        // Its owner will be its connections' first.
        return true;
    }
    if active.families != family::ANY {
        let of = family::of(ends.family, is_mapped(&ends.local_addr), is_mapped(&ends.remote_addr));
        if active.families & of == 0 {
            return false;
        }
    }
    // User space keeps a beginning without a port until the connection leaves SYN_SENT.
    let is_beginning = tells_stories && (stage.is_unbound || stage.leaves_syn_sent);
    if active.ports != 0 && !is_beginning {
        let Some(marks) = PORT_MARKS.get(0) else {
            return true;
        };
        // A listener has no peer, whose port or address could be among those asked for.
        let remote = if ends.remote_port == 0 { 0 } else { port_marks(marks, ends.remote_port) };
        if !marks_select(active.ports, port_marks(marks, ends.local_port), remote) {
            return false;
        }
    }
    if active.addrs != 0 {
        let remote = if ends.remote_port == 0 { 0 } else { addr_marks(ends.remote_addr) };
        if !marks_select(active.addrs, addr_marks(ends.local_addr), remote) {
            return false;
        }
    }
    true
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
