//! The sockets that are there: who holds them (`iter/task_file`), and which ones a network
//! namespace has, those without a holder and those in TIME_WAIT included (`iter/tcp`).
//!
//! A sighting is written as an event whose two states are the same.

#![no_std]
#![no_main]

use core::{ffi::c_void, mem::MaybeUninit};

use aya_ebpf::helpers::generated as helpers;
use tracer_common::{
    Event,
    event::{Waiting, flag, kind},
    helper::Helper,
    member::{ABSENT, Member},
};
use tracer_ebpf::{
    kernel::{has, now_ns, offset},
    record::{Bare, Moment, Occurrence, Subject, fill},
    sock::Sock,
    task::{NamedTask, Task, sock_of_file},
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
    write_socket(meta, sock, NamedTask::Holder(Task(task)));
    0
}

/// Where the socket behind a file cannot be asked for: who holds the socket with which address, of
/// whatever kind. What it is, the namespaces' lists tell.
#[inline(always)]
fn holder_only(meta: *const Meta, holder: Task, file: *const u8) -> i32 {
    let Some(sk) = sock_of_file(file) else {
        return 0;
    };
    let bare = Bare { cookie: sk.rotate_right(6), ..Bare::default() };
    write_event(meta, Subject::Bare(&bare), NamedTask::Holder(holder), &there(0, 0, 0));
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
        write_socket(meta, sock, NamedTask::None);
    } else if let Some(waiting) = TimeWait::tcp(socket) {
        let (bare, flags) = (waiting.bare(), flag::TIME_WAIT | flag::DEAD);
        let there = there(bare.netns, flags, bare.state);
        write_event(meta, Subject::Bare(&bare), NamedTask::None, &there);
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
        write_socket(meta, sock, NamedTask::None);
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

/// A full socket in the state that it is in.
#[inline(always)]
fn write_socket(meta: *const Meta, sock: Sock, holder: NamedTask) {
    let state = sock.state();
    write_event(meta, Subject::Full(sock), holder, &there(sock.netns(), 0, state));
}

#[inline(always)]
fn there(netns: u32, flags: u16, state: u8) -> Occurrence {
    Occurrence { netns, flags, old_state: state, new_state: state, kind: kind::TRANSITION, detail: 0 }
}

/// The CPU is that of the iterator, which tells nothing of the socket.
#[inline(always)]
fn write_event(meta: *const Meta, subject: Subject, holder: NamedTask, there: &Occurrence) {
    let mut event = MaybeUninit::<Event>::uninit();
    // SAFETY: memory of that size, in which `fill` initialises everything.
    let event = unsafe {
        fill(event.as_mut_ptr(), Moment { time_ns: now_ns(), cpu: 0 }, subject, holder, there);
        event.assume_init_ref()
    };
    write(meta, event);
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
