//! Which events are reported: those that the filters select, and those that stories need.

use tracer_ebpf::{hook::select::Filters, sock::Ends};

/// Where in its life a connection is, as far as filters must know.
pub struct Stage {
    /// Its local port is not chosen yet.
    pub is_unbound: bool,
    /// It leaves SYN_SENT.
    pub leaves_syn_sent: bool,
    /// It is none, but a listener.
    pub is_listener: bool,
}

#[inline(always)]
pub fn selects(filters: &Filters, ends: &Ends, netns: u32, stage: &Stage) -> bool {
    if !filters.netns(netns) {
        return false;
    }
    if filters.for_stories() && stage.is_listener {
        // Its owner will be its connections' first.
        return true;
    }
    // User space keeps a beginning without a port until the connection leaves SYN_SENT.
    let is_beginning = filters.for_stories() && (stage.is_unbound || stage.leaves_syn_sent);
    filters.family(ends) && (is_beginning || filters.ports(ends)) && filters.addrs(ends)
}
