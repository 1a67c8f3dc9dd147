//! The filters on constant facts. Those not in use cost nothing: `ACTIVE` is read-only, so the
//! verifier removes their code.

use aya_ebpf::{
    Global,
    btf_maps::{Array, HashMap, LpmTrie, lpm_trie::Key},
    macros::btf_map,
};
use tracer_common::filter::{Active, EITHER, LOCAL, PORTS, family, selects};

use crate::{
    hook::netns::netns,
    sock::{Ends, Sock},
};

#[unsafe(no_mangle)]
static ACTIVE: Global<Active> = Global::new(Active {
    local_ports: [0; 2],
    ports: 0,
    addrs: 0,
    families: family::ANY,
    netns: 0,
    story: 0,
    reserved: 0,
});

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
        let Active { ports, addrs, families, netns, .. } = self.0;
        ports == 0 && addrs == 0 && families == family::ANY && netns == 0
    }

    /// Whether the network namespace passes.
    #[inline(always)]
    pub fn netns(&self, sock: Sock) -> bool {
        // SAFETY: user space fills the map before the program is attached and never changes it.
        self.0.netns == 0 || unsafe { NETNS.get(netns(sock)) }.is_some()
    }

    /// Whether the kind of address and the addresses pass.
    #[inline(always)]
    pub fn addrs(&self, sock: Sock) -> bool {
        let Active { addrs, families, .. } = self.0;
        (families == family::ANY && addrs == 0) || self.addrs_of(&sock.ends())
    }

    #[inline(always)]
    fn addrs_of(&self, ends: &Ends) -> bool {
        let Active { addrs, families, .. } = self.0;
        (families == family::ANY || self.family_of(ends)) && (addrs == 0 || self.marks_of(ends))
    }

    #[inline(always)]
    fn family_of(&self, ends: &Ends) -> bool {
        let of = family::of(ends.family, is_mapped(&ends.local_addr), is_mapped(&ends.remote_addr));
        self.0.families & of != 0
    }

    #[inline(always)]
    fn marks_of(&self, ends: &Ends) -> bool {
        let remote = if ends.has_peer() { addr_marks(ends.remote_addr) } else { 0 };
        selects(self.0.addrs, addr_marks(ends.local_addr), remote)
    }

    /// Whether the ports pass.
    #[inline(always)]
    pub fn ports(&self, sock: Sock) -> bool {
        self.ports_with(sock, |marks| port_marks(marks, sock.local_port()))
    }

    /// Whether a connection passes that has both its ports.
    #[inline(always)]
    pub fn connection(&self, sock: Sock, netns: u32) -> bool {
        self.listed(netns) && self.ports(sock) && self.addrs(sock)
    }

    /// The same where there is no full socket.
    #[inline(always)]
    pub fn ends(&self, ends: &Ends, netns: u32) -> bool {
        self.listed(netns) && self.addrs_of(ends) && (self.0.ports == 0 || self.ports_of(ends))
    }

    #[inline(always)]
    fn listed(&self, netns: u32) -> bool {
        // SAFETY: as in `netns`.
        self.0.netns == 0 || unsafe { NETNS.get(netns) }.is_some()
    }

    #[inline(always)]
    fn ports_of(&self, ends: &Ends) -> bool {
        let Some(marks) = PORT_MARKS.get(0) else {
            return true;
        };
        selects(self.0.ports, port_marks(marks, ends.local_port), port_marks(marks, ends.remote_port))
    }

    /// Whether the ports pass before the local one is chosen; `None` if that will decide.
    #[inline(always)]
    pub fn ports_unbound(&self, sock: Sock) -> Option<bool> {
        let worst = self.ports_with(sock, |_| 0);
        let best = self.ports_with(sock, |_| EITHER | LOCAL);
        (worst == best || !self.can_get_local_port(sock)).then_some(worst)
    }

    /// Whether [`Self::ports_unbound`] may have had no answer for a socket that has its port by now. A
    /// port that the namespace does not give tells that it gave others then, or of one that was asked
    /// for.
    #[inline(always)]
    pub fn was_in_doubt(&self, sock: Sock) -> bool {
        let port = sock.local_port();
        let range = sock.ports_to_choose_from();
        self.ports_unbound(sock).is_none() || range.is_some_and(|(first, last)| port < first || port > last)
    }

    /// Whether one of the local ports asked for can be chosen for the socket. Its own range
    /// (`IP_LOCAL_PORT_RANGE`) only narrows that of its namespace.
    #[inline(always)]
    fn can_get_local_port(&self, sock: Sock) -> bool {
        let [lowest, highest] = self.0.local_ports;
        sock.ports_to_choose_from().is_none_or(|(first, last)| lowest <= last && first <= highest)
    }

    #[inline(always)]
    fn ports_with(&self, sock: Sock, local_marks: impl FnOnce(&[u8; PORTS]) -> u8) -> bool {
        if self.0.ports == 0 {
            return true;
        }
        let Some(marks) = PORT_MARKS.get(0) else {
            return true;
        };
        let remote_port = sock.remote_port();
        let remote = if remote_port != 0 { port_marks(marks, remote_port) } else { 0 };
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
