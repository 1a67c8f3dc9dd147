//! What happens to a connection beside its transitions. The filters are those of transitions; what
//! they keep back is not counted, because only transitions are.

use tracer_common::event::flag;
use tracer_ebpf::{
    hook::{netns::netns, select::Filters},
    record::{Bare, Occurrence, Subject},
    sock::Sock,
    task::NamedTask,
};

use crate::record::report;

/// Something has happened to a full socket.
#[inline(always)]
pub fn of_socket(sock: Sock, kind: u8, detail: u8) {
    let filters = Filters::load();
    let netns = netns(sock);
    if !filters.connection(sock, netns) {
        return;
    }
    let state = sock.state();
    let task = NamedTask::OnCpu { by_process: filters.for_stories() };
    report(Subject::Full(sock), task, &occurrence(netns, 0, kind, detail, state));
}

/// Something has happened where there is no full socket.
#[inline(always)]
pub fn of_bare(bare: &Bare, kind: u8, detail: u8) {
    if Filters::load().ends(&bare.ends, bare.netns) {
        let occurrence = occurrence(bare.netns, flag::BARE, kind, detail, bare.state);
        report(Subject::Bare(bare), NamedTask::None, &occurrence);
    }
}

#[inline(always)]
fn occurrence(netns: u32, flags: u16, kind: u8, detail: u8, state: u8) -> Occurrence {
    Occurrence { netns, flags, old_state: state, new_state: state, kind, detail }
}
