//! Owners of a prefork server's connections. What a connection inherits from its listener is the master's name;
//! the workers themselves say which of them took which connection. And the owner of a TLS socket for which a kernel
//! thread works.

mod ktls;

use std::{
    collections::HashMap,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    panic::{AssertUnwindSafe, catch_unwind},
    process,
};

use guest::Found;
use tests::{
    figures::Figures,
    patience::until,
    place::Place,
    program::Program,
    story::{self, Line, text},
    tracer,
    traffic::{actor, connect, wait_for_end},
};

use crate::scenario::unless_lost;

const ADDRESS: &str = "127.77.63.1";
const WORKERS: &str = "3";
/// Connections that end, half of them closed by each side.
const SHORT: usize = 30;
/// Connections that stay open.
const KEPT: usize = 6;
/// Attempts to get a capture without lost events.
const TRIES: usize = 4;

/// Makes the connections, and compares owners with what the workers said.
pub(crate) fn play() -> Found {
    (0..TRIES).find_map(|_| attempt()).expect("a capture without losses")
}

fn attempt() -> Option<Found> {
    let place = Place::new();
    let mut server = Program::collect(place.command(actor()).args(["crew", ADDRESS, WORKERS]));
    server.wait_for_out("the server's port", |out| out.ends_with('\n'));
    let port: u16 = server.out().trim().parse().expect("a port");
    let tracer = tracer::start(&format!("-o json --netns {} --stuck ESTABLISHED=2s", place.name()));
    let played = catch_unwind(AssertUnwindSafe(|| {
        let to = SocketAddr::new(ADDRESS.parse().expect("an address"), port);
        let _kept: Vec<_> = (0..KEPT).map(|_| ask(&place, to, *b"keep")).collect();
        for _ in 0..SHORT / 2 {
            wait_for_end(&mut ask(&place, to, *b"shut"));
            drop(ask(&place, to, *b"wait"));
        }
        let encrypted = ktls::play(&place);
        until("the lines of all that stay open", || {
            let lines = story::lines(story::whole(&tracer.out()));
            (lines.iter().filter(|line| is_stuck(line, port)).count() == KEPT).then_some(())
        });
        encrypted
    }));
    let ended = tracer.interrupt();
    let encrypted = unless_lost(played, &ended)?;
    if tracer::receipt(&ended, "lost") > 0 {
        return None;
    }
    let lines = story::lines(&ended.out);
    let workers = workers(&server.out());
    let owned = |line| owner(line, port, &workers).map(|worker| (line, worker));
    let all = Figures::of(lines.iter().filter_map(owned));
    assert!(all.all() > 4 * SHORT, "too few lines: {all:?}");
    assert_eq!(all.wrong, 0, "lines that name another process, without a mark: {}", ended.out);
    let live = Figures::of(lines.iter().filter(|line| is_stuck(line, port)).filter_map(owned));
    assert_eq!(live.sure, KEPT, "connections that are older than two seconds: {live:?}: {}", ended.out);
    if let Some(port) = encrypted {
        check_encrypted(&lines, port);
    }
    let Figures { wrong, unknown, sure, marked } = all;
    Some(Found::Owners { wrong, unknown, sure, marked, has_ktls: encrypted.is_some() })
}

/// Whether a line reports one of the server's connections that stay open.
fn is_stuck(line: &Line, port: u16) -> bool {
    text(line, "event") == "stuck" && line["local_port"] == port
}

/// The worker that has one of the server's connections.
fn owner(line: &Line, port: u16, workers: &HashMap<u64, u64>) -> Option<u64> {
    let client = line["remote_port"].as_u64().filter(|_| line["local_port"] == port)?;
    workers.get(&client).copied()
}

/// All of the TLS socket's lines name its process, also those of what happened in a kernel thread.
fn check_encrypted(lines: &[Line], port: u16) {
    let lines: Vec<_> = lines.iter().filter(|line| line["remote_port"] == port).collect();
    let end = lines.last().expect("lines");
    assert_eq!(
        (text(end, "old_state"), text(end, "reason")),
        ("CLOSE_WAIT", "reset-remote-after-fin"),
        "{end}"
    );
    for line in lines {
        assert_eq!(line["pid"], process::id(), "{line}");
    }
}

/// Connects and gets an answer.
fn ask(place: &Place, to: SocketAddr, word: [u8; 4]) -> TcpStream {
    let mut client = place.run(|| connect(to).expect("a server"));
    client.write_all(&word).expect("a worker");
    client.read_exact(&mut [0; 6]).expect("an answer");
    client
}

/// The worker of each client's port.
fn workers(out: &str) -> HashMap<u64, u64> {
    let entry = |line: &str| {
        let (port, worker) = line.split_once(' ')?;
        Some((port.parse().ok()?, worker.parse().ok()?))
    };
    out.lines().filter_map(entry).collect()
}
