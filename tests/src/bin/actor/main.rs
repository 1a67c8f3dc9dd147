//! A process other than the test's own, which acts as a client or server. The servers print their port when
//! they listen; `ask` prints a line at its end.

mod handing;
mod prefork;

use std::{
    ffi::{CString, OsStr, OsString},
    io::{Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpListener},
    os::unix::ffi::OsStrExt as _,
};

use tests::traffic::{connect, listen, wait_for_end};

fn main() {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    // Only a name may be no text.
    let words: Vec<_> = arguments.iter().map(|word| word.to_str().unwrap_or_default()).collect();
    match words[..] {
        ["serve", address] => hold(&listening(address)),
        ["answer", name, address] => {
            call_yourself(name);
            answer(&listening(address));
        }
        ["ask", name, address, port, count] => {
            call_yourself(name);
            ask(address, port, count.parse().expect("a count"));
        }
        ["prefork", address] => prefork::single(address),
        ["worker"] => prefork::worker(),
        ["crew", address, workers] => prefork::crew(address, workers.parse().expect("a count")),
        ["crew-worker"] => prefork::crew_worker(),
        ["hand", way, address] => handing::connection(way, address),
        ["hand-listener", way, address] => handing::listener(way, address),
        ["serve-inherited"] => handing::serve_inherited(),
        ["keep"] => handing::keep(),
        ["receive"] => handing::receive(),
        ["name", _, address, port] => {
            call_yourself(&arguments[1]);
            let _ = connect(target(address, port));
        }
        // Under the name of the file that was executed, which need not be UTF-8.
        ["call", address, port] => drop(connect(target(address, port))),
        _ => panic!("unknown words: {words:?}"),
    }
}

/// A test that fails kills only the parent.
fn die_with_parent() {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .expect("a death signal");
}

fn call_yourself(name: impl AsRef<OsStr>) {
    let name = name.as_ref().as_bytes();
    rustix::thread::set_name(&CString::new(name).expect("no zero inside")).expect("a name");
}

fn target(address: &str, port: &str) -> SocketAddr {
    SocketAddr::new(address.parse().expect("an address"), port.parse().expect("a port"))
}

/// Listens, and prints the port.
fn listening(address: &str) -> TcpListener {
    let listener = listen(address.parse::<IpAddr>().expect("an address"), 0);
    println!("{}", listener.local_addr().expect("an address").port());
    listener
}

/// Greets each client, and holds all connections until this process is killed.
fn hold(listener: &TcpListener) {
    let mut held = Vec::new();
    for connection in listener.incoming() {
        let mut connection = connection.expect("a connection");
        connection.write_all(b"hello").expect("a peer");
        held.push(connection);
    }
}

/// Answers once on each connection, and closes it after the peer has.
fn answer(listener: &TcpListener) {
    for connection in listener.incoming() {
        let mut connection = connection.expect("a connection");
        let _ = connection.read(&mut [0; 64]);
        let _ = connection.write_all(b"answer");
        wait_for_end(&mut connection);
    }
}

/// Asks `count` times, each time on a new connection.
fn ask(address: &str, port: &str, count: usize) {
    for _ in 0..count {
        let mut connection = connect(target(address, port)).expect("a server");
        connection.write_all(b"question").expect("a peer");
        connection.read_exact(&mut [0; 6]).expect("an answer");
    }
    println!("done");
}
