//! The filters on facts that do not change over a connection's life: ports, addresses, family, namespace.
//! Filters that are not in use cost nothing: `ACTIVE` is read-only, so the verifier removes their code.

use aya_ebpf::{Global, btf_maps::HashMap, macros::btf_map};
use tracer_common::filter::{Active, BEST_LOCAL, WORST_LOCAL, family, netns as listed, selects};

use crate::{
    endpoints::Endpoints,
    hook::{
        marks::{PortMarks, addr_marks},
        netns::netns,
    },
    netns::Netns,
    sock::Sock,
    subject::Bare,
};

#[unsafe(no_mangle)]
static ACTIVE: Global<Active> = Global::new(Active {
    local_ports: [0; 2],
    ports: 0,
    addrs: 0,
    families: family::ANY,
    netns: listed::ALL,
    story: 0,
    reserved: 0,
});

/// The network namespaces that are listed: inode number and cookie, 0 if that is not known. User space sets the size.
#[btf_map]
static NETNS: HashMap<u32, u64, 1> = HashMap::new();

/// Which filters are in use; the verifier takes the answers for constants.
pub struct Filters(Active);

impl Filters {
    #[inline(always)]
    pub fn load() -> Self {
        Self(ACTIVE.load())
    }

    /// Whether user space follows each connection, and so filters again with what it knows.
    #[inline(always)]
    pub fn for_stories(&self) -> bool {
        self.0.story != 0
    }

    /// Whether everything passes.
    #[inline(always)]
    pub fn is_open(&self) -> bool {
        let Active { ports, addrs, families, netns, .. } = self.0;
        ports == 0 && addrs == 0 && families == family::ANY && netns == listed::ALL
    }

    /// Whether the socket's network namespace passes.
    #[inline(always)]
    pub fn netns(&self, sock: Sock) -> bool {
        self.0.netns == listed::ALL || self.names(netns(sock))
    }

    /// Whether the socket's address family and addresses pass.
    #[inline(always)]
    pub fn addrs(&self, sock: Sock) -> bool {
        let Active { addrs, families, .. } = self.0;
        (families == family::ANY && addrs == 0) || self.addrs_of(&sock.endpoints())
    }

    #[inline(always)]
    fn addrs_of(&self, endpoints: &Endpoints) -> bool {
        let Active { addrs, families, .. } = self.0;
        (families == family::ANY || self.family_of(endpoints)) && (addrs == 0 || self.marks_of(endpoints))
    }

    #[inline(always)]
    fn family_of(&self, endpoints: &Endpoints) -> bool {
        let of =
            family::of(endpoints.family, is_mapped(&endpoints.local_addr), is_mapped(&endpoints.remote_addr));
        self.0.families & of != 0
    }

    #[inline(always)]
    fn marks_of(&self, endpoints: &Endpoints) -> bool {
        let remote = if endpoints.has_peer() { addr_marks(endpoints.remote_addr) } else { 0 };
        selects(self.0.addrs, addr_marks(endpoints.local_addr), remote)
    }

    /// Whether the socket's ports pass.
    #[inline(always)]
    pub fn ports(&self, sock: Sock) -> bool {
        self.ports_with(sock, |marks| marks.of(sock.local_port()))
    }

    /// Whether a full socket passes all filters. Both its ports must be chosen.
    #[inline(always)]
    pub fn connection(&self, sock: Sock, netns: Netns) -> bool {
        self.listed(netns) && self.ports(sock) && self.addrs(sock)
    }

    /// The same for a bare subject.
    #[inline(always)]
    pub fn bare(&self, Bare { endpoints, netns, .. }: &Bare) -> bool {
        self.listed(*netns) && self.addrs_of(endpoints) && (self.0.ports == 0 || self.ports_of(endpoints))
    }

    #[inline(always)]
    fn listed(&self, netns: Netns) -> bool {
        self.0.netns == listed::ALL || self.names(netns)
    }

    #[inline(always)]
    fn names(&self, netns: Netns) -> bool {
        is_listed(netns) == (self.0.netns == listed::LISTED)
    }

    #[inline(always)]
    fn ports_of(&self, endpoints: &Endpoints) -> bool {
        let Some(marks) = PortMarks::get() else {
            return true;
        };
        selects(self.0.ports, marks.of(endpoints.local_port), marks.of(endpoints.remote_port))
    }

    /// Whether the ports pass before the local one is chosen; `None` if the local port will decide.
    #[inline(always)]
    pub fn ports_unbound(&self, sock: Sock) -> Option<bool> {
        let unnamed = self.ports_with(sock, |_| 0);
        let best = self.ports_with(sock, |_| BEST_LOCAL);
        let takes_away = self.0.ports & WORST_LOCAL != 0;
        let worst = if takes_away { self.ports_with(sock, |_| WORST_LOCAL) } else { unnamed };
        (worst == best || !self.can_get_local_port(sock)).then_some(unnamed)
    }

    /// Whether [`Self::ports_unbound`] may have been `None` for a socket whose port is chosen by now. If the
    /// port is outside the ephemeral range, that range has changed since, or the process chose the port.
    #[inline(always)]
    pub fn was_undecided(&self, sock: Sock) -> bool {
        let port = sock.local_port();
        let range = sock.ephemeral_ports();
        self.ports_unbound(sock).is_none() || range.is_some_and(|(first, last)| port < first || port > last)
    }

    /// Whether the kernel can choose a local port that the filter names. The socket's own range
    /// (`IP_LOCAL_PORT_RANGE`, since 6.3) only narrows that of its namespace.
    #[inline(always)]
    fn can_get_local_port(&self, sock: Sock) -> bool {
        let [lowest, highest] = self.0.local_ports;
        sock.ephemeral_ports().is_none_or(|(first, last)| lowest <= last && first <= highest)
    }

    #[inline(always)]
    fn ports_with(&self, sock: Sock, local_marks: impl FnOnce(PortMarks) -> u8) -> bool {
        if self.0.ports == 0 {
            return true;
        }
        let Some(marks) = PortMarks::get() else {
            return true;
        };
        let remote_port = sock.remote_port();
        let remote = if remote_port != 0 { marks.of(remote_port) } else { 0 };
        selects(self.0.ports, local_marks(marks), remote)
    }
}

/// Whether the filter lists this namespace. Another one may have its number once it is gone.
#[inline(always)]
fn is_listed(netns: Netns) -> bool {
    // SAFETY: user space fills the map before the program is attached and never changes it.
    unsafe { NETNS.get(netns.inum) }.is_some_and(|cookie| *cookie == 0 || *cookie == netns.cookie)
}

#[inline(always)]
fn is_mapped(address: &[u32; 4]) -> bool {
    address[0] == 0 && address[1] == 0 && address[2] == 0xffff_u32.to_be()
}
