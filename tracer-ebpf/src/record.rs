//! Filling in an [`Event`]: the one place where its fields are written, for the records of all programs.

use tracer_common::{Event, event::kind, state};

use crate::{
    netns::Netns,
    sock::{Sock, flags::has_failed_to_connect},
    subject::Subject,
    task::NamedTask,
};

/// When and where it happened.
#[derive(Clone, Copy)]
pub struct Moment {
    pub time_ns: u64,
    pub cpu: u16,
}

/// What happened to the subject.
pub struct Occurrence {
    pub netns: Netns,
    /// Flags beside those of the socket.
    pub flags: u16,
    pub old_state: u8,
    pub new_state: u8,
    pub kind: u8,
    pub detail: u8,
}

impl Occurrence {
    /// Receive and send queue in bytes, which are 0 in records of resets and accepted connections.
    #[inline(always)]
    fn queues(&self, subject: Subject) -> (u32, u32) {
        match self.kind {
            kind::TRANSITION | kind::RETRANSMIT => {
                subject.fact(|sock| sock.queues(self.old_state, self.new_state))
            }
            _ => (0, 0),
        }
    }

    /// Flags that have a meaning only in some transitions. They are composed late: before the record is reserved,
    /// older verifiers would look at all that follows once for each combination.
    #[inline(always)]
    fn stage_flags(&self, sock: Sock) -> u16 {
        match self.kind {
            kind::TRANSITION => sock.stage_flags(self.old_state, self.new_state),
            _ => 0,
        }
    }

    /// For a connect that has failed the errno that ICMP has left.
    #[inline(always)]
    fn detail(&self, subject: Subject) -> u8 {
        if self.kind == kind::TRANSITION && has_failed_to_connect(self.old_state, self.new_state) {
            subject.fact(Sock::soft_error)
        } else {
            self.detail
        }
    }

    /// Only at the end of a connection.
    #[inline(always)]
    fn idle_jiffies(&self, subject: Subject) -> u32 {
        if self.new_state == state::CLOSE && self.kind == kind::TRANSITION {
            subject.fact(Sock::idle_jiffies)
        } else {
            0
        }
    }
}

/// Writes one field. Volatile, because the compiler would turn zeros that lie side by side into a call of
/// `memset`, which on this target is a loop over bytes.
macro_rules! set {
    ($event:ident.$field:ident = $value:expr) => {
        (&raw mut (*$event).$field).write_volatile($value)
    };
    ($event:ident.$field:ident = words $value:expr) => {
        write_words((&raw mut (*$event).$field).cast(), $value)
    };
}

/// Writes every field once, in the order of their declaration, and reads none. Facts of a full socket are
/// read when it is their turn: what is read early has to be kept on the stack.
///
/// # Safety
///
/// `event` points to memory for an [`Event`], aligned for it.
#[inline(always)]
pub unsafe fn fill(
    event: *mut Event,
    moment: Moment,
    subject: Subject,
    task: NamedTask,
    occurrence: &Occurrence,
) {
    // SAFETY: as promised. The arrays of bytes lie at offsets that are aligned for the words.
    unsafe {
        set!(event.time_ns = moment.time_ns);
        set!(event.cookie = subject.cookie());
        set!(event.cgroup = subject.fact(Sock::cgroup));
        set!(event.bytes_acked = subject.fact(Sock::bytes_acked));
        set!(event.bytes_received = subject.bytes_received());
        set!(event.netns_cookie = occurrence.netns.cookie);
        let endpoints = subject.endpoints();
        set!(event.local_addr = words endpoints.local_addr);
        set!(event.remote_addr = words endpoints.remote_addr);
        task.write_comm((&raw mut (*event).comm).cast());
        let (pid, tid) = task.ids();
        set!(event.pid = pid);
        set!(event.tid = tid);
        set!(event.netns = occurrence.netns.inum);
        set!(event.uid = subject.fact(Sock::uid));
        set!(event.srtt_us = subject.fact(Sock::srtt_us));
        set!(event.retransmits = subject.fact(Sock::retransmits));
        let (recv_queue, send_queue) = occurrence.queues(subject);
        set!(event.recv_queue = recv_queue);
        set!(event.send_queue = send_queue);
        set!(event.ifindex = endpoints.ifindex);
        set!(event.mptcp_token = subject.fact(Sock::mptcp_token));
        set!(event.idle_jiffies = occurrence.idle_jiffies(subject));
        set!(event.linger2 = subject.fact(Sock::linger2));
        set!(event.error = subject.fact(Sock::error));
        set!(event.cpu = moment.cpu);
        set!(event.local_port = endpoints.local_port);
        set!(event.remote_port = endpoints.remote_port);
        set!(event.family = endpoints.family);
        set!(event.old_state = occurrence.old_state);
        set!(event.new_state = occurrence.new_state);
        set!(event.shutdown = subject.fact(Sock::shutdown));
        set!(event.kind = occurrence.kind);
        set!(event.detail = occurrence.detail(subject));
        let flags = subject.fact(|sock| sock.flags(task.names_owner()) | occurrence.stage_flags(sock));
        set!(event.flags = flags | occurrence.flags);
    }
}

/// Writes an array word by word; see `set`.
///
/// # Safety
///
/// `to` points to memory for the words, aligned for them.
#[inline(always)]
pub(crate) unsafe fn write_words<T: Copy, const N: usize>(to: *mut T, words: [T; N]) {
    for (index, word) in words.into_iter().enumerate() {
        // SAFETY: as promised.
        unsafe { to.add(index).write_volatile(word) };
    }
}
