//! What happens to a connection beside its transitions. The filters are those of transitions; what
//! they keep back is not counted, because only transitions are.

use tracer_common::event::kind;
use tracer_ebpf::{
    hook::{netns::netns, select::Filters},
    sock::{Ends, Sock},
};

use crate::record::{What, report, report_bare};

#[inline(always)]
fn what(kind: u8, detail: u8, state: u8) -> What {
    What { kind, detail, old_state: state, new_state: state, recv_queue: 0, send_queue: 0, flags: 0 }
}

/// Something has happened to a full socket.
#[inline(always)]
pub fn of_socket(sock: Sock, kind: u8, detail: u8) {
    let filters = Filters::load();
    let (ends, netns) = (sock.ends(), netns(sock));
    if !filters.ends(&ends, netns) {
        return;
    }
    let state = sock.state();
    // No beginning of a connection, of which the queues would say nothing.
    let (recv_queue, send_queue) =
        if kind == kind::RETRANSMIT { sock.queues(i32::from(state), i32::from(state)) } else { (0, 0) };
    report(&filters, sock, &ends, netns, &What { recv_queue, send_queue, ..what(kind, detail, state) });
}

/// Something has happened where there is no full socket.
#[inline(always)]
pub fn of_none(cookie: u64, ends: &Ends, netns: u32, kind: u8, detail: u8, state: u8) {
    if Filters::load().ends(ends, netns) {
        report_bare(cookie, ends, netns, &what(kind, detail, state));
    }
}
