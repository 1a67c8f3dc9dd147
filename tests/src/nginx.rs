//! nginx in a namespace, with a configuration of its own.

use std::{
    collections::HashMap,
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
};

use tempfile::TempDir;

use crate::{
    patience::until,
    place::Place,
    program::{Program, run},
    traffic::connect,
};

/// A running nginx, which answers `hello`.
pub struct Nginx {
    /// Its first process: the master, or the only one.
    pub process: Program,
    _folder: TempDir,
}

impl Nginx {
    /// Starts it at this address and port; with `workers` as a master with so many processes.
    pub fn start(place: &Place, at: &str, workers: Option<u32>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().display();
        let processes = match workers {
            None => "master_process off;".to_owned(),
            Some(count) => format!("worker_processes {count};"),
        };
        let config = format!(
            "daemon off; {processes} user root; error_log stderr; pid {path}/pid; events {{}} http {{ access_log off;
             client_body_temp_path {path}/a; proxy_temp_path {path}/b; fastcgi_temp_path {path}/c;
             uwsgi_temp_path {path}/d; scgi_temp_path {path}/e;
             server {{ listen {at}; location / {{ return 200 hello; }} }} }}"
        );
        fs::write(folder.path().join("nginx.conf"), config).unwrap();
        let mut command = place.command("nginx");
        let process =
            Program::collect(command.args(["-e", "stderr", "-c"]).arg(folder.path().join("nginx.conf")));
        until("nginx to listen", || run(place.command("ss").arg("-ltn")).contains(at).then_some(()));
        Self { process, _folder: folder }
    }
}

/// A connection to an nginx at this address and port that has answered, and keeps it.
pub fn keep(place: &Place, at: &str) -> TcpStream {
    let mut client = place.run(|| connect(at.parse().unwrap()).unwrap());
    client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    read_answer(&mut client);
    client
}

/// Reads an answer to its end, and returns it.
pub fn read_answer(client: &mut TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    while !answer.ends_with(b"hello") {
        let mut part = [0; 512];
        let read = client.read(&mut part).unwrap();
        assert_ne!(read, 0, "closed");
        answer.extend_from_slice(&part[..read]);
    }
    answer
}

/// The process that `ss` names for each connection of a server at this port, by the client's port.
pub fn workers_by_ss(place: &Place, port: u16) -> HashMap<u64, u64> {
    let out = run(place.command("ss").args(["-tnpH", &format!("sport = :{port}")]));
    let entry = |line: &str| {
        let peer = line.split_whitespace().nth(4)?;
        let pid = line.split("pid=").nth(1)?.split(',').next()?;
        Some((peer.rsplit(':').next()?.parse().ok()?, pid.parse().ok()?))
    };
    out.lines().filter_map(entry).collect()
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Killed, a master would leave its workers behind.
        self.process.terminate();
    }
}
