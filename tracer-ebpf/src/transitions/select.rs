//! Which events are reported: those that the filters select, and those that stories need.

use tracer_ebpf::{hook::select::Filters, sock::Sock};

/// Where in its life a connection is, as far as filters must know.
pub struct Stage {
    /// Its local port is not chosen yet.
    pub is_unbound: bool,
    /// It leaves SYN_SENT.
    pub leaves_syn_sent: bool,
    /// It has no peer yet: older kernels give a child its own only after they have set its state.
    pub is_unfilled: bool,
    /// It is none, but a listener.
    pub is_listener: bool,
}

#[inline(always)]
pub fn selects(filters: &Filters, sock: Sock, stage: &Stage) -> bool {
    if !filters.netns(sock) {
        return false;
    }
    if filters.for_stories() && (stage.is_listener || stage.is_unfilled) {
        // Its owner will be its connections' first; what it is, its next event tells.
        return true;
    }
    ports(filters, sock, stage) && filters.addrs(sock)
}

#[inline(always)]
fn ports(filters: &Filters, sock: Sock, stage: &Stage) -> bool {
    if filters.for_stories() && stage.is_unbound {
        return filters.ports_unbound(sock) != Some(false);
    }
    // User space keeps a beginning that it cannot judge until the connection leaves SYN_SENT.
    let ends_doubt = filters.for_stories() && stage.leaves_syn_sent;
    filters.ports(sock) || (ends_doubt && filters.was_in_doubt(sock))
}
