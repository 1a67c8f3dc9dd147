//! Which transitions are reported: those that pass the filters, and those that user space needs to follow
//! connections.

use tracer_ebpf::{hook::filters::Filters, sock::Sock};

/// What filters must know of a transition.
pub struct Stage {
    /// No local port is chosen yet.
    pub is_unbound: bool,
    /// The connection leaves SYN_SENT.
    pub leaves_syn_sent: bool,
    /// A new connection without its peer: older kernels (6.12 still) set its state before they fill it in.
    pub is_unfilled: bool,
    /// A listener's transition.
    pub is_listener: bool,
}

#[inline(always)]
pub fn selects(filters: &Filters, sock: Sock, stage: &Stage) -> bool {
    if !filters.netns(sock) {
        return false;
    }
    if filters.for_stories() && (stage.is_listener || stage.is_unfilled) {
        // A listener's process is the first owner of its connections. What an unfilled connection is, its
        // next event tells, and user space filters then.
        return true;
    }
    ports(filters, sock, stage) && filters.addrs(sock)
}

#[inline(always)]
fn ports(filters: &Filters, sock: Sock, stage: &Stage) -> bool {
    if filters.for_stories() && stage.is_unbound {
        return filters.ports_unbound(sock) != Some(false);
    }
    // User space keeps a beginning that it cannot decide on until the connection leaves SYN_SENT.
    let decides = filters.for_stories() && stage.leaves_syn_sent;
    filters.ports(sock) || (decides && filters.was_undecided(sock))
}
