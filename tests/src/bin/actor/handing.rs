//! Processes that hand a socket to another one, and no longer hold it themselves.

use std::{
    io::{IoSlice, IoSliceMut, Read as _, Write as _},
    mem::MaybeUninit,
    net::TcpListener,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::{net::UnixStream, process::CommandExt as _},
    },
    process::{Child, Command, Stdio},
    thread,
};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};

use crate::{call_yourself, die_with_parent, listening};

/// Accepts one connection, and hands it on. Prints the port, and then the id of the process that has got it.
pub(crate) fn connection(way: &str, address: &str) {
    let listener = listening(address);
    let mut connection = listener.accept().expect("a connection").0;
    // It is this process's by all that can be seen.
    connection.write_all(b"hello").expect("a peer");
    let mut keeper = match way {
        "fork" => start("keep", connection.into()),
        "share" => {
            let keeper = start("keep", connection.as_fd().try_clone_to_owned().expect("a copy"));
            std::mem::forget(connection);
            keeper
        }
        "pass" => {
            let (ours, theirs) = UnixStream::pair().expect("sockets");
            let keeper = start("receive", theirs.into());
            send(&ours, &connection.into());
            ours.shutdown(std::net::Shutdown::Write).expect("a peer");
            // The other process has it now.
            assert_eq!((&ours).read(&mut [0]).expect("an answer"), 1);
            keeper
        }
        _ => panic!("unknown way: {way}"),
    };
    println!("{}", keeper.id());
    let _ = keeper.wait();
}

/// Listens, and goes on as another program, in the same process or in one that it leaves behind.
pub(crate) fn listener(way: &str, address: &str) {
    let listener = listening(address);
    match way {
        "exec" => {
            println!("{}", std::process::id());
            let mut command = Command::new(std::env::current_exe().expect("a path"));
            let error = command.arg("serve-inherited").stdin(Stdio::from(OwnedFd::from(listener))).exec();
            panic!("{error}");
        }
        "daemon" => {
            let mut command = Command::new(std::env::current_exe().expect("a path"));
            command.arg("serve-inherited").stdin(Stdio::from(OwnedFd::from(listener)));
            // Nobody waits for the end of its output.
            command.stdout(Stdio::null()).stderr(Stdio::null());
            println!("{}", command.spawn().expect("a process").id());
        }
        _ => panic!("unknown way: {way}"),
    }
}

/// Serves with the listener that is standard input, until the test ends it.
pub(crate) fn serve_inherited() {
    call_yourself("keeper");
    let listener = TcpListener::from(std::io::stdin().as_fd().try_clone_to_owned().expect("a listener"));
    for connection in listener.incoming() {
        drop(connection);
    }
}

fn start(word: &str, input: OwnedFd) -> Child {
    let mut command = Command::new(std::env::current_exe().expect("a path"));
    command.arg(word).stdin(Stdio::from(input)).spawn().expect("a process")
}

/// Keeps the socket that is standard input.
pub(crate) fn keep() -> ! {
    die_with_parent();
    call_yourself("keeper");
    loop {
        thread::park();
    }
}

/// Takes a socket from the one that is standard input, and keeps it.
pub(crate) fn receive() -> ! {
    let from = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned().expect("a socket"));
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    recvmsg(&from, &mut [IoSliceMut::new(&mut [0])], &mut ancillary, RecvFlags::empty()).expect("a message");
    let held: Vec<_> = ancillary
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(sockets) => Some(sockets.collect::<Vec<_>>()),
            _ => None,
        })
        .collect();
    assert_eq!(held.iter().flatten().count(), 1);
    (&from).write_all(b"!").expect("a peer");
    keep();
}

fn send(to: &UnixStream, socket: &OwnedFd) {
    let sockets = [socket.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    assert!(ancillary.push(SendAncillaryMessage::ScmRights(&sockets)));
    sendmsg(to, &[IoSlice::new(b"!")], &mut ancillary, SendFlags::empty()).expect("a peer");
}
