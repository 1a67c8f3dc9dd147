//! A prefork server: a master listens, and workers accept on its listener.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    os::fd::{AsFd as _, OwnedFd},
    process::{Child, Command, Stdio},
};

use tests::traffic::wait_for_end;

use crate::{answer, call_yourself, die_with_parent, listening};

/// Prints the port and the only worker's process id.
pub(crate) fn single(address: &str) {
    let mut worker = start("worker", &listening(address));
    println!("{}", worker.id());
    let _ = worker.wait();
}

/// Prints the port. The workers print a line for each connection.
pub(crate) fn crew(address: &str, workers: usize) {
    let listener = listening(address);
    let workers: Vec<_> = (0..workers).map(|_| start("crew-worker", &listener)).collect();
    for mut worker in workers {
        let _ = worker.wait();
    }
}

fn start(word: &str, listener: &TcpListener) -> Child {
    let mut command = Command::new(std::env::current_exe().expect("a path"));
    let listener = listener.try_clone().expect("a copy");
    command.arg(word).stdin(Stdio::from(OwnedFd::from(listener))).spawn().expect("a worker")
}

fn inherited() -> TcpListener {
    die_with_parent();
    call_yourself("worker");
    TcpListener::from(std::io::stdin().as_fd().try_clone_to_owned().expect("a listener"))
}

/// The only worker.
pub(crate) fn worker() {
    answer(&inherited());
}

/// One of a crew. Prints the client's port and its own process id when it has accepted a connection, answers,
/// and does what the client's word says: `keep` it, `shut` it first, or else wait for the client to do so.
pub(crate) fn crew_worker() {
    let mut kept = Vec::new();
    for connection in inherited().incoming() {
        let mut connection = connection.expect("a connection");
        println!("{} {}", connection.peer_addr().expect("a client").port(), std::process::id());
        let mut word = [0; 4];
        connection.read_exact(&mut word).expect("a word");
        connection.write_all(b"answer").expect("a client");
        match &word {
            b"keep" => kept.push(connection),
            b"shut" => drop(connection),
            _ => wait_for_end(&mut connection),
        }
    }
}
