//! Another process, for tests: `actor serve ADDRESS` prints its port, greets who connects, and
//! holds the connection until it is killed; `actor name NAME ADDRESS PORT` takes a name and connects.

use std::{
    io::Write as _,
    net::{IpAddr, SocketAddr},
};

use tests::traffic::{connect, listen};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["serve", address] => serve(address.parse().expect("an address")),
        ["name", name, address, port] => {
            rustix::thread::set_name(&std::ffi::CString::new(name).expect("no zero inside")).expect("a name");
            let to = SocketAddr::new(address.parse().expect("an address"), port.parse().expect("a port"));
            let _ = connect(to);
        }
        _ => panic!("unknown words: {words:?}"),
    }
}

#[allow(clippy::infinite_loop)]
fn serve(address: IpAddr) {
    let listener = listen(address, 0);
    println!("{}", listener.local_addr().expect("an address").port());
    let mut held = Vec::new();
    for connection in listener.incoming() {
        let mut connection = connection.expect("a connection");
        connection.write_all(b"hello").expect("a peer");
        held.push(connection);
    }
}
