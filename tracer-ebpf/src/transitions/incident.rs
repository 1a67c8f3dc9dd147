//! What happens to a connection beside its transitions. It is filtered like transitions; what the filters
//! keep back is not counted.

use tracer_common::event::flag;
use tracer_ebpf::{
    hook::{filters::Filters, netns::netns},
    netns::Netns,
    record::Occurrence,
    sock::Sock,
    subject::{Bare, Subject},
    task::NamedTask,
};

use crate::report::report;

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
    if Filters::load().bare(bare) {
        let occurrence = occurrence(bare.netns, flag::BARE | bare.flags, kind, detail, bare.state);
        report(Subject::Bare(bare), NamedTask::None, &occurrence);
    }
}

#[inline(always)]
fn occurrence(netns: Netns, flags: u16, kind: u8, detail: u8, state: u8) -> Occurrence {
    Occurrence { netns, flags, old_state: state, new_state: state, kind, detail }
}
