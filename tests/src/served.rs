//! `tracer serve`, and what it answers.

use std::{collections::BTreeMap, net::SocketAddr, process::Command};

use crate::{
    program::{self, Program},
    tracer,
};

/// Starts `serve` on a free port, and returns where.
pub fn serve(arguments: &str) -> (Program, SocketAddr) {
    let command = &mut tracer::command(&format!("serve --listen 127.0.0.1:0 {arguments}"));
    let program = tracer::started(Program::collect(command));
    let address = address(&program);
    (program, address)
}

/// Where it answers.
pub fn address(program: &Program) -> SocketAddr {
    let err = program.err();
    let address = err.split("tracer: serving ").nth(1).and_then(|url| url.split('/').nth(2)).unwrap();
    address.parse().unwrap()
}

/// What curl gets with these options: the status, and the body.
pub fn get(address: SocketAddr, path: &str, options: &[&str]) -> (u16, String) {
    let mut curl = Command::new("curl");
    curl.args(["-sS", "-w", "\n%{http_code}"]).args(options);
    let answer = program::run(curl.arg(format!("http://{address}{path}")));
    let (body, status) = answer.trim_end().rsplit_once('\n').unwrap();
    (status.parse().unwrap(), body.trim_end().to_owned())
}

/// The values of metrics, by name and labels as they are written.
pub fn metrics(address: SocketAddr) -> BTreeMap<String, f64> {
    let (status, text) = get(address, "/metrics", &[]);
    assert_eq!(status, 200, "{text}");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        })
        .collect()
}
