//! The sockets that are there: who holds them (`iter/task_file`), and which ones a network
//! namespace has, those without a holder and those in TIME_WAIT included (`iter/tcp`).
//!
//! A sighting is written as an event whose two states are the same.

#![no_std]
#![no_main]

use core::ffi::c_void;

use aya_ebpf::helpers::generated as helpers;
use tracer_common::{
    Event,
    event::{Waiting, flag},
    helper::Helper,
    member::{ABSENT, Member},
};
use tracer_ebpf::{
    kernel::{has, offset},
    sock::{Ends, Sock},
    task::{Task, sock_of_file},
    time_wait::TimeWait,
};

/// Context of `iter/task_file`, `struct bpf_iter__task_file`.
#[repr(C)]
struct TaskFile {
    meta: *const Meta,
    task: *const u8,
    fd: u32,
    file: *mut c_void,
}

/// Context of `iter/tcp`, `struct bpf_iter__tcp`.
#[repr(C)]
struct Tcp {
    meta: *const Meta,
    socket: *const c_void,
}

/// `struct bpf_iter_meta`
#[repr(C)]
struct Meta {
    seq: *mut c_void,
}

/// A descriptor of a task: if it is a TCP socket, the socket with its holder.
#[unsafe(link_section = "iter/task_file")]
#[unsafe(no_mangle)]
extern "C" fn holders(context: *const TaskFile) -> i32 {
    // SAFETY: the kernel gives a valid context; the verifier knows its layout.
    let (meta, task, file) = unsafe { ((*context).meta, (*context).task, (*context).file) };
    if task.is_null() || file.is_null() {
        return 0;
    }
    if !has(Helper::SocketOfFile) {
        return holder_only(meta, Task(task), file.cast());
    }
    // SAFETY: a file of the kernel's; the helper says if it is no socket.
    let socket = unsafe { helpers::bpf_sock_from_file(file.cast()) };
    if socket.is_null() {
        return 0;
    }
    let at = offset(Member::SocketSock);
    if at == ABSENT {
        return 0;
    }
    // SAFETY: the verifier has checked the offset against the kernel's own type.
    let sk: *const c_void = unsafe { socket.cast::<u8>().add(at as usize).cast::<*const c_void>().read() };
    if sk.is_null() {
        return 0;
    }
    let Some(sock) = Sock::tcp(sk) else {
        return 0;
    };
    let mut event = full(sock);
    let holder = Task(task);
    event.pid = holder.pid();
    event.tid = event.pid;
    event.comm = holder.comm();
    write(meta, &event);
    0
}

/// Where the socket behind a file cannot be asked for: who holds the socket with which address, of
/// whatever kind. What it is, the namespaces' lists tell.
#[inline(always)]
fn holder_only(meta: *const Meta, holder: Task, file: *const u8) -> i32 {
    let Some(sk) = sock_of_file(file) else {
        return 0;
    };
    let mut event = blank();
    event.cookie = sk.rotate_right(6);
    event.pid = holder.pid();
    event.tid = event.pid;
    event.comm = holder.comm();
    write(meta, &event);
    0
}

/// A socket of a network namespace.
#[unsafe(link_section = "iter/tcp")]
#[unsafe(no_mangle)]
extern "C" fn sockets(context: *const Tcp) -> i32 {
    // SAFETY: as in `holders`.
    let (meta, socket) = unsafe { ((*context).meta, (*context).socket) };
    if socket.is_null() {
        return 0;
    }
    if let Some(sock) = Sock::tcp(socket) {
        write(meta, &full(sock));
    } else if let Some(waiting) = TimeWait::tcp(socket) {
        let ends = waiting.ends();
        let mut event = blank();
        event.cookie = waiting.cookie();
        event.netns = waiting.netns();
        set_ends(&mut event, &ends);
        event.old_state = waiting.substate();
        event.new_state = event.old_state;
        event.flags = flag::TIME_WAIT | flag::DEAD;
        write(meta, &event);
    }
    0
}

/// A full socket of a network namespace; others cost nothing.
#[unsafe(link_section = "iter/tcp")]
#[unsafe(no_mangle)]
extern "C" fn live(context: *const Tcp) -> i32 {
    // SAFETY: as in `holders`.
    let (meta, socket) = unsafe { ((*context).meta, (*context).socket) };
    if socket.is_null() {
        return 0;
    }
    if let Some(sock) = Sock::tcp(socket) {
        write(meta, &full(sock));
    }
    0
}

/// A timewait socket of a network namespace; others cost nothing.
#[unsafe(link_section = "iter/tcp")]
#[unsafe(no_mangle)]
extern "C" fn waiting(context: *const Tcp) -> i32 {
    // SAFETY: as in `holders`.
    let (meta, socket) = unsafe { ((*context).meta, (*context).socket) };
    if socket.is_null() {
        return 0;
    }
    if let Some(waiting) = TimeWait::tcp(socket) {
        write(meta, &Waiting { cookie: waiting.cookie(), state: u64::from(waiting.substate()) });
    }
    0
}

/// What there is to say of a full socket.
#[inline(always)]
fn full(sock: Sock) -> Event {
    let ends = sock.ends();
    let now = sock.state();
    let (recv_queue, send_queue) = sock.queues(i32::from(now), i32::from(now));
    let mut event = blank();
    event.cookie = sock.cookie();
    event.cgroup = sock.cgroup();
    event.bytes_acked = sock.bytes_acked();
    event.bytes_received = sock.bytes_received();
    set_ends(&mut event, &ends);
    event.netns = sock.netns();
    event.uid = sock.uid();
    event.srtt_us = sock.srtt_us();
    event.retransmits = sock.retransmits();
    event.recv_queue = recv_queue;
    event.send_queue = send_queue;
    event.error = sock.error();
    event.flags = sock.flags();
    event.old_state = now;
    event.new_state = now;
    event.shutdown = sock.shutdown();
    event
}

#[inline(always)]
fn set_ends(event: &mut Event, ends: &Ends) {
    event.local_addr = octets(ends.local_addr);
    event.remote_addr = octets(ends.remote_addr);
    event.local_port = ends.local_port;
    event.remote_port = ends.remote_port;
    event.family = ends.family;
}

#[inline(always)]
fn octets(words: [u32; 4]) -> [u8; 16] {
    // SAFETY: the same size, and any value is valid.
    unsafe { core::mem::transmute(words) }
}

#[inline(always)]
fn blank() -> Event {
    // SAFETY: integers and arrays of them, for which zero is a value.
    let mut event: Event = unsafe { core::mem::zeroed() };
    // SAFETY: reads the clock.
    event.time_ns = unsafe { helpers::bpf_ktime_get_ns() };
    event
}

/// If there is no room the kernel makes some and shows the socket again.
#[inline(always)]
fn write<T>(meta: *const Meta, record: &T) {
    // SAFETY: the kernel's own sequence file; the record is initialised memory of the given size.
    unsafe {
        let record = (&raw const *record).cast_mut().cast();
        helpers::bpf_seq_write((*meta).seq.cast(), record, size_of::<T>() as u32);
    }
}
