//! Reporting: a place in the ring buffer, filled in and handed over.

use tracer_common::event::{Counter, kind};
use tracer_ebpf::{
    hook::count::count,
    kernel::now_ns,
    record::{Moment, Occurrence, Subject, fill},
    task::NamedTask,
};

use crate::deliver::Ring;

/// Reports what happened; false if there is no room. Between `reserve` and `submit` there is no way out: the
/// verifier refuses a program that could keep the place.
#[inline(always)]
pub fn report(subject: Subject, task: NamedTask, occurrence: &Occurrence) -> bool {
    let Some((ring, mut entry)) = Ring::of_this_cpu().and_then(|ring| Some((ring, ring.reserve()?))) else {
        count(lost(occurrence.kind));
        return false;
    };
    // Taken after the reservation: whatever user space has not seen yet when it looks is younger than its
    // look, so it can put events into order without guessing.
    let moment = Moment { time_ns: now_ns(), cpu: ring.cpu() };
    // SAFETY: the reserved memory has the size of an Event.
    unsafe { fill(entry.as_mut_ptr(), moment, subject, task, occurrence) };
    entry.submit(ring.wakeup(moment.time_ns));
    true
}

/// Occurrence counts a record of this kind that cannot be told.
#[inline(always)]
fn lost(kind: u8) -> Counter {
    match kind {
        kind::RESET_SENT..=kind::RETRANSMIT_SYNACK => Counter::LostIncidents,
        // Occurrence tells of a connection's states: a look at all sockets makes good for it.
        _ => Counter::Lost,
    }
}
