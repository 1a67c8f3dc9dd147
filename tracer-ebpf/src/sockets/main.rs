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
    event::{Holder, TimewaitSocket, flag, kind},
    helper::Helper,
    member::{ABSENT, Member},
    state::LISTEN,
};
use tracer_ebpf::{
    kernel::{has, now_ns, offset},
    mptcp::Mptcp,
    netns::Netns,
    record::{Moment, Occurrence, fill},
    sock::Sock,
    subject::{Bare, Subject},
    task::{Comm, NamedTask, sock_of_file},
    timewait::Timewait,
};

use crate::context::{Meta, TaskFile, Tcp, fill_up, write};

/// A file descriptor of a process: if it is a TCP socket, the socket with its holder.
#[unsafe(link_section = "iter/task_file")]
#[unsafe(no_mangle)]
extern "C" fn holders(context: *const TaskFile) -> i32 {
    let Some((meta, task, file)) = TaskFile::parts(context) else {
        return 0;
    };
    let holder = NamedTask::Holder(task);
    match socket_of(file) {
        FileSocket::Known(sk) => {
            if let Some(sock) = Sock::tcp(sk) {
                write_full(meta, sock, holder);
            } else if let Some(Mptcp { first_cookie, .. }) = Mptcp::of(sk) {
                holder_only(meta, holder, first_cookie);
            }
        }
        FileSocket::Address(sk) => holder_only(meta, holder, sk.rotate_right(6)),
        FileSocket::None => {}
    }
    0
}

/// Only who holds the socket; what it is, the iterators over namespaces tell.
#[inline(always)]
fn holder_only(meta: *const Meta, holder: NamedTask, cookie: u64) {
    let bare = Bare { cookie, ..Bare::default() };
    write_event(meta, Subject::Bare(&bare), holder, &exists(Netns::default(), flag::BARE, 0), now_ns(), 0);
}

/// The same, but only who it is. It takes a fraction of the time, and is asked again and again.
#[unsafe(link_section = "iter/task_file")]
#[unsafe(no_mangle)]
extern "C" fn holding(context: *const TaskFile) -> i32 {
    let Some((meta, task, file)) = TaskFile::parts(context) else {
        return 0;
    };
    let (cookie, mptcp_token) = match socket_of(file) {
        FileSocket::Known(sk) => {
            if let Some(sock) = Sock::tcp(sk) {
                (sock.cookie(), 0)
            } else if let Some(Mptcp { token, first_cookie }) = Mptcp::of(sk) {
                (first_cookie, token)
            } else {
                return 0;
            }
        }
        FileSocket::Address(sk) => (sk.rotate_right(6), 0),
        FileSocket::None => return 0,
    };
    let holder = HolderRecord { cookie, comm: task.comm(), pid: task.pid(), mptcp_token };
    write(meta, &holder);
    0
}

/// A [`tracer_common::event::Holder`], with the name as words.
#[repr(C)]
struct HolderRecord {
    cookie: u64,
    comm: Comm,
    pid: u32,
    mptcp_token: u32,
}

const _: () = assert!(size_of::<HolderRecord>() == size_of::<Holder>());

/// The socket that a file descriptor refers to.
enum FileSocket {
    /// None.
    None,
    /// A `struct sock` of any protocol.
    Known(*const c_void),
    /// Only its address is known. Before 5.11 a program cannot ask for the socket of a file.
    Address(u64),
}

#[inline(always)]
fn socket_of(file: *mut c_void) -> FileSocket {
    if !has(Helper::SocketOfFile) {
        return sock_of_file(file.cast_const().cast()).map_or(FileSocket::None, FileSocket::Address);
    }
    // SAFETY: a file of the kernel's; the helper returns NULL if it is no socket.
    let socket = unsafe { helpers::bpf_sock_from_file(file.cast()) };
    let at = offset(Member::SocketSock);
    if socket.is_null() || at == ABSENT {
        return FileSocket::None;
    }
    // SAFETY: the verifier checks the offset against the kernel's own type.
    let sk: *const c_void = unsafe { socket.cast::<u8>().add(at as usize).cast::<*const c_void>().read() };
    if sk.is_null() { FileSocket::None } else { FileSocket::Known(sk) }
}

/// A full or timewait socket of a network namespace.
#[unsafe(link_section = "iter/tcp")]
#[unsafe(no_mangle)]
extern "C" fn sockets(context: *const Tcp) -> i32 {
    // SAFETY: the kernel passes a valid context; the verifier knows its layout.
    let (meta, socket) = unsafe { ((*context).meta, (*context).socket) };
    if socket.is_null() {
        return 0;
    }
    if let Some(sock) = Sock::tcp(socket) {
        write_full(meta, sock, NamedTask::None);
    } else if let Some(timewait) = Timewait::tcp(socket) {
        let (bare, flags) = (timewait.bare(), flag::TIME_WAIT | flag::DEAD);
        let exists = exists(bare.netns, flags, bare.state);
        let in_state_ms = timewait.in_state_ms();
        write_event(meta, Subject::Bare(&bare), NamedTask::None, &exists, now_ns(), in_state_ms);
    }
    0
}

/// A full socket of a network namespace. No time is spent on others.
#[unsafe(link_section = "iter/tcp")]
#[unsafe(no_mangle)]
extern "C" fn live(context: *const Tcp) -> i32 {
    // SAFETY: as in `sockets`.
    let (meta, socket) = unsafe { ((*context).meta, (*context).socket) };
    if !socket.is_null()
        && let Some(sock) = Sock::tcp(socket)
    {
        write_full(meta, sock, NamedTask::None);
    }
    0
}

/// A listener of a network namespace. They come first, so the first other socket ends it.
#[unsafe(link_section = "iter/tcp")]
#[unsafe(no_mangle)]
extern "C" fn listening(context: *const Tcp) -> i32 {
    // SAFETY: as in `sockets`.
    let (meta, socket) = unsafe { ((*context).meta, (*context).socket) };
    if socket.is_null() {
        return 0;
    }
    match Sock::tcp(socket) {
        Some(sock) if sock.state() == LISTEN => write_full(meta, sock, NamedTask::None),
        _ => fill_up(meta),
    }
    0
}

/// A timewait socket of a network namespace. No time is spent on others.
#[unsafe(link_section = "iter/tcp")]
#[unsafe(no_mangle)]
extern "C" fn waiting(context: *const Tcp) -> i32 {
    // SAFETY: as in `sockets`.
    let (meta, socket) = unsafe { ((*context).meta, (*context).socket) };
    if !socket.is_null()
        && let Some(timewait) = Timewait::tcp(socket)
    {
        let (state, rest_jiffies) = (u32::from(timewait.substate()), timewait.rest_jiffies());
        write(meta, &TimewaitSocket { cookie: timewait.cookie(), state, rest_jiffies });
    }
    0
}

#[inline(always)]
fn write_full(meta: *const Meta, sock: Sock, holder: NamedTask) {
    let (state, roles, time_ns) = (sock.state(), sock.role_flags(), now_ns());
    let (flags, found) = if state == LISTEN {
        (sock.v6_only_flag(), sock.drops())
    } else {
        (sock.window_flag(state), sock.in_state_ms(state, roles, time_ns))
    };
    let exists = Occurrence { detail: sock.backoff(), ..exists(sock.netns(), roles | flags, state) };
    write_event(meta, Subject::Full(sock), holder, &exists, time_ns, found);
}

/// What "happened" to a socket in a snapshot: it exists, in this state.
#[inline(always)]
fn exists(netns: Netns, flags: u16, state: u8) -> Occurrence {
    Occurrence { netns, flags, old_state: state, new_state: state, kind: kind::TRANSITION, detail: 0 }
}

/// Writes an event. Its CPU is 0: that of the iterator says nothing about the socket. `found` is what a snapshot has
/// in the places of [`Event::idle_jiffies`] and [`Event::linger2`].
#[inline(always)]
fn write_event(
    meta: *const Meta,
    subject: Subject,
    holder: NamedTask,
    exists: &Occurrence,
    time_ns: u64,
    found: u32,
) {
    let mut event = MaybeUninit::<Event>::uninit();
    // SAFETY: memory for an Event, all of which `fill` initialises.
    let event = unsafe {
        fill(event.as_mut_ptr(), Moment { time_ns, cpu: 0 }, subject, holder, exists);
        event.assume_init_mut()
    };
    event.idle_jiffies = found;
    // At the end: the verifier of older kernels looks at all that follows once for each way through this.
    let also = match subject {
        Subject::Full(sock) if exists.new_state == LISTEN => sock.half_open(),
        Subject::Full(sock) => sock.idle_jiffies(),
        _ => 0,
    };
    event.linger2 = also.cast_signed();
    write(meta, event);
}
