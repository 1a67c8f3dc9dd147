//! Iterators over existing sockets: who holds them (`iter/task_file`), and which ones a network namespace has
//! (`iter/tcp`), with those that nobody holds and timewait sockets.
//!
//! A snapshot record is an event whose two states are the same.
//!
//! # Layout
//!
//! * `context`: what the kernel passes, and where records go.

#![no_std]
#![no_main]

mod context;

use core::{ffi::c_void, mem::MaybeUninit};

use aya_ebpf::helpers::generated as helpers;
use tracer_common::{
    Event,
    event::{TimewaitSocket, flag, kind},
    helper::Helper,
    member::{ABSENT, Member},
};
use tracer_ebpf::{
    kernel::{has, now_ns, offset},
    record::{Moment, Occurrence, fill},
    sock::Sock,
    subject::{Bare, Subject},
    task::{NamedTask, Task, sock_of_file},
    timewait::Timewait,
};

use crate::context::{Meta, TaskFile, Tcp, write};

/// A file descriptor of a process: if it is a TCP socket, the socket with its holder.
#[unsafe(link_section = "iter/task_file")]
#[unsafe(no_mangle)]
extern "C" fn holders(context: *const TaskFile) -> i32 {
    // SAFETY: the kernel passes a valid context; the verifier knows its layout.
    let (meta, task, file) = unsafe { ((*context).meta, (*context).task, (*context).file) };
    if task.is_null() || file.is_null() {
        return 0;
    }
    let holder = NamedTask::Holder(Task(task));
    if !has(Helper::SocketOfFile) {
        return holder_only(meta, holder, file.cast());
    }
    // SAFETY: a file of the kernel's; the helper returns NULL if it is no socket.
    let socket = unsafe { helpers::bpf_sock_from_file(file.cast()) };
    let at = offset(Member::SocketSock);
    if socket.is_null() || at == ABSENT {
        return 0;
    }
    // SAFETY: the verifier checks the offset against the kernel's own type.
    let sk: *const c_void = unsafe { socket.cast::<u8>().add(at as usize).cast::<*const c_void>().read() };
    if !sk.is_null()
        && let Some(sock) = Sock::tcp(sk)
    {
        write_full(meta, sock, holder);
    }
    0
}

/// Before 5.11 a program cannot ask for the socket of a file: only who holds the socket at which address, of
/// any kind of socket. What it is, the iterators over namespaces tell.
#[inline(always)]
fn holder_only(meta: *const Meta, holder: NamedTask, file: *const u8) -> i32 {
    if let Some(sk) = sock_of_file(file) {
        let bare = Bare { cookie: sk.rotate_right(6), ..Bare::default() };
        write_event(meta, Subject::Bare(&bare), holder, &exists(0, 0, 0));
    }
    0
}

/// A full or timewait socket of a network namespace.
#[unsafe(link_section = "iter/tcp")]
#[unsafe(no_mangle)]
extern "C" fn sockets(context: *const Tcp) -> i32 {
    // SAFETY: as in `holders`.
    let (meta, socket) = unsafe { ((*context).meta, (*context).socket) };
    if socket.is_null() {
        return 0;
    }
    if let Some(sock) = Sock::tcp(socket) {
        write_full(meta, sock, NamedTask::None);
    } else if let Some(timewait) = Timewait::tcp(socket) {
        let (bare, flags) = (timewait.bare(), flag::TIME_WAIT | flag::DEAD);
        let exists = exists(bare.netns, flags, bare.state);
        write_event(meta, Subject::Bare(&bare), NamedTask::None, &exists);
    }
    0
}

/// A full socket of a network namespace. No time is spent on others.
#[unsafe(link_section = "iter/tcp")]
#[unsafe(no_mangle)]
extern "C" fn live(context: *const Tcp) -> i32 {
    // SAFETY: as in `holders`.
    let (meta, socket) = unsafe { ((*context).meta, (*context).socket) };
    if !socket.is_null()
        && let Some(sock) = Sock::tcp(socket)
    {
        write_full(meta, sock, NamedTask::None);
    }
    0
}

/// A timewait socket of a network namespace. No time is spent on others.
#[unsafe(link_section = "iter/tcp")]
#[unsafe(no_mangle)]
extern "C" fn waiting(context: *const Tcp) -> i32 {
    // SAFETY: as in `holders`.
    let (meta, socket) = unsafe { ((*context).meta, (*context).socket) };
    if !socket.is_null()
        && let Some(timewait) = Timewait::tcp(socket)
    {
        write(meta, &TimewaitSocket { cookie: timewait.cookie(), state: u64::from(timewait.substate()) });
    }
    0
}

#[inline(always)]
fn write_full(meta: *const Meta, sock: Sock, holder: NamedTask) {
    write_event(meta, Subject::Full(sock), holder, &exists(sock.netns(), 0, sock.state()));
}

/// What "happened" to a socket in a snapshot: it exists, in this state.
#[inline(always)]
fn exists(netns: u32, flags: u16, state: u8) -> Occurrence {
    Occurrence { netns, flags, old_state: state, new_state: state, kind: kind::TRANSITION, detail: 0 }
}

/// Writes an event. Its CPU is 0: that of the iterator says nothing about the socket.
#[inline(always)]
fn write_event(meta: *const Meta, subject: Subject, holder: NamedTask, exists: &Occurrence) {
    let mut event = MaybeUninit::<Event>::uninit();
    // SAFETY: memory for an Event, all of which `fill` initialises.
    let event = unsafe {
        fill(event.as_mut_ptr(), Moment { time_ns: now_ns(), cpu: 0 }, subject, holder, exists);
        event.assume_init_ref()
    };
    write(meta, event);
}
