//! Reporting: reserve a place in the ring buffer, fill it in, submit it.

use tracer_common::event::{Counter, kind};
use tracer_ebpf::{
    hook::count::count,
    kernel::now_ns,
    record::{Moment, Occurrence, fill},
    subject::Subject,
    task::NamedTask,
};

use crate::ring::Ring;

/// Reports what happened; false if the ring buffer is full. Nothing returns between `reserve` and `submit`:
/// the verifier refuses a program that does not give its place back.
#[inline(always)]
pub fn report(subject: Subject, task: NamedTask, occurrence: &Occurrence) -> bool {
    let Some((ring, mut entry)) = Ring::of_this_cpu().and_then(|ring| Some((ring, ring.reserve()?))) else {
        count(lost(occurrence.kind));
        return false;
    };
    // Taken after the reservation. So an event that the reader does not see when it reads has a later time
    // than that moment, and user space can sort events without guessing.
    let moment = Moment { time_ns: now_ns(), cpu: ring.cpu() };
    // SAFETY: the reserved memory has the size of an Event.
    unsafe { fill(entry.as_mut_ptr(), moment, subject, task, occurrence) };
    entry.submit(ring.wakeup(moment.time_ns));
    true
}

/// The counter for a lost record of this kind.
#[inline(always)]
fn lost(kind: u8) -> Counter {
    match kind {
        kind::RESET_SENT..=kind::RETRANSMIT_SYNACK => Counter::LostIncidents,
        // Others tell of a connection's state. User space takes a snapshot of all sockets when one is lost.
        _ => Counter::Lost,
    }
}
