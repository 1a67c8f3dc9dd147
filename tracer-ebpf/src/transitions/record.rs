//! A record and what stands in it.

use aya_ebpf::{
    helpers::{bpf_get_current_pid_tgid, generated as helpers},
    maps::ring_buf::RingBufEntry,
};
use tracer_common::{
    Event,
    event::{COMM_LEN, Counter, flag, kind},
};
use tracer_ebpf::{
    hook::{count::count, select::Filters},
    sock::{Ends, Sock},
    task::Task,
};

use crate::deliver::Ring;

/// What happened, beside what stands in the socket.
pub struct What {
    pub kind: u8,
    pub detail: u8,
    pub old_state: u8,
    pub new_state: u8,
    pub recv_queue: u32,
    pub send_queue: u32,
    pub flags: u16,
}

impl What {
    /// What counts it when it cannot be told.
    #[inline(always)]
    fn lost(&self) -> Counter {
        match self.kind {
            kind::RESET_SENT..=kind::RETRANSMIT_SYNACK => Counter::LostIncidents,
            // What tells of a connection's states: a look at all sockets makes good for it.
            _ => Counter::Lost,
        }
    }
}

/// Reports what happened to a socket; false if there is no room.
#[inline(always)]
pub fn report(filters: &Filters, sock: Sock, ends: &Ends, netns: u32, what: &What) -> bool {
    let Some(mut record) = Record::begin(ends, netns, what) else {
        return false;
    };
    let pid_tgid = bpf_get_current_pid_tgid();
    let event = record.event();
    // SAFETY: as in `Record::begin`, which has written the other fields.
    unsafe {
        (&raw mut (*event).cookie).write(sock.cookie());
        (&raw mut (*event).cgroup).write(sock.cgroup());
        (&raw mut (*event).bytes_acked).write(sock.bytes_acked());
        (&raw mut (*event).bytes_received).write(sock.bytes_received());
        if filters.for_stories() {
            (&raw mut (*event).comm).write(Task::current_comm());
        } else {
            helpers::bpf_get_current_comm((&raw mut (*event).comm).cast(), COMM_LEN as u32);
        }
        (&raw mut (*event).pid).write((pid_tgid >> 32) as u32);
        (&raw mut (*event).tid).write(pid_tgid as u32);
        (&raw mut (*event).uid).write(sock.uid());
        (&raw mut (*event).srtt_us).write(sock.srtt_us());
        (&raw mut (*event).retransmits).write(sock.retransmits());
        (&raw mut (*event).error).write(sock.error());
        (&raw mut (*event).flags).write(sock.flags() | what.flags);
        (&raw mut (*event).shutdown).write(sock.shutdown());
    }
    record.submit();
    true
}

/// Reports what happened where there is no full socket.
#[inline(always)]
pub fn report_bare(cookie: u64, ends: &Ends, netns: u32, what: &What) {
    let Some(mut record) = Record::begin(ends, netns, what) else {
        return;
    };
    let event = record.event();
    // SAFETY: as in `Record::begin`, which has written the other fields.
    unsafe {
        (&raw mut (*event).cookie).write(cookie);
        (&raw mut (*event).cgroup).write(0);
        (&raw mut (*event).bytes_acked).write(0);
        (&raw mut (*event).bytes_received).write(0);
        (&raw mut (*event).comm).cast::<[u64; 2]>().write([0; 2]);
        (&raw mut (*event).pid).write(0);
        (&raw mut (*event).tid).write(0);
        (&raw mut (*event).uid).write(0);
        (&raw mut (*event).srtt_us).write(0);
        (&raw mut (*event).retransmits).write(0);
        (&raw mut (*event).error).write(0);
        (&raw mut (*event).flags).write(flag::BARE);
        (&raw mut (*event).shutdown).write(0);
    }
    record.submit();
}

/// A place in the ring buffer.
struct Record {
    ring: Ring,
    entry: RingBufEntry<Event>,
    time_ns: u64,
}

impl Record {
    /// Reserves the place and writes what every record has. There is no way out before `submit`.
    #[inline(always)]
    fn begin(ends: &Ends, netns: u32, what: &What) -> Option<Self> {
        let Some(ring) = Ring::of_this_cpu() else {
            count(what.lost());
            return None;
        };
        let Some(mut entry) = ring.reserve() else {
            count(what.lost());
            return None;
        };
        // Taken after the reservation: whatever user space has not seen yet when it looks is younger
        // than its look, so it can put events into order without guessing.
        // SAFETY: reads the clock.
        let time_ns = unsafe { helpers::bpf_ktime_get_ns() };
        let event: *mut Event = entry.as_mut_ptr();
        // SAFETY: `event` points to reserved ring-buffer memory of the size of an Event; each field is
        // written once, here or by the caller, none is read.
        unsafe {
            (&raw mut (*event).time_ns).write(time_ns);
            (&raw mut (*event).local_addr).cast::<[u32; 4]>().write(ends.local_addr);
            (&raw mut (*event).remote_addr).cast::<[u32; 4]>().write(ends.remote_addr);
            (&raw mut (*event).netns).write(netns);
            (&raw mut (*event).recv_queue).write(what.recv_queue);
            (&raw mut (*event).send_queue).write(what.send_queue);
            (&raw mut (*event).cpu).write(helpers::bpf_get_smp_processor_id() as u16);
            (&raw mut (*event).local_port).write(ends.local_port);
            (&raw mut (*event).remote_port).write(ends.remote_port);
            (&raw mut (*event).family).write(ends.family);
            (&raw mut (*event).old_state).write(what.old_state);
            (&raw mut (*event).new_state).write(what.new_state);
            (&raw mut (*event).kind).write(what.kind);
            (&raw mut (*event).detail).write(what.detail);
        }
        Some(Self { ring, entry, time_ns })
    }

    #[inline(always)]
    fn event(&mut self) -> *mut Event {
        self.entry.as_mut_ptr()
    }

    #[inline(always)]
    fn submit(self) {
        self.entry.submit(self.ring.wakeup(self.time_ns));
    }
}
