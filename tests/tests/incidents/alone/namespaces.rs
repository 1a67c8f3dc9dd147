//! Containers: namespaces and cgroups of their own, all with a server at the same address. One of them fails.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use tests::{
    attack::cgroup::Cgroup,
    place::Place,
    program::Program,
    story::{Line, text},
    traffic::leak,
    watch::{Watch, goes_to, is_of, ready},
};

use super::common::ADDRESS;

/// Sends a greeting, waits for the peer to close, and closes, or does not.
const SERVES: &str = "
import socket, sys
listener = socket.create_server((sys.argv[1], 8080))
print('ready', flush=True)
kept = []
while True:
    client = listener.accept()[0]
    client.sendall(b'hello')
    client.recv(1)
    if sys.argv[2] == 'leaks':
        kept.append(client)
    else:
        client.close()
";

/// Makes six connections, one after the other.
const CALLS: &str = "
import signal, socket, sys
for _ in range(6):
    try:
        with socket.create_connection((sys.argv[1], 8080)) as client:
            client.recv(5)
    except ConnectionRefusedError:
        pass
print('ready', flush=True)
signal.pause()
";

/// A namespace with a server in a cgroup of its own.
struct Container {
    server: Program,
    place: Place,
    cgroup: Cgroup,
}

impl Container {
    fn new(manner: &str) -> Self {
        let (place, cgroup) = (Place::new(), Cgroup::named("tracer-container".as_ref()));
        let server = ready(&mut inside(&place, &cgroup, SERVES, &[ADDRESS, manner]));
        Self { server, place, cgroup }
    }

    /// The path of its cgroup below the root.
    fn cgroup_path(&self) -> String {
        format!("/{}", self.cgroup.path().file_name().unwrap().display())
    }
}

/// A python program in a namespace and in a cgroup.
fn inside(place: &Place, cgroup: &Cgroup, script: &str, arguments: &[&str]) -> Command {
    let mut command = place.command("python3");
    command.args(["-c", script]).args(arguments);
    cgroup.hold(&mut command);
    command
}

/// Five of them, and the third of another manner.
fn five(manner: &str) -> Vec<Container> {
    (0..5).map(|number| Container::new(if number == 2 { manner } else { "closes" })).collect()
}

/// The names of their namespaces.
fn names(containers: &[Container]) -> String {
    let names: Vec<_> = containers.iter().map(|container| container.place.name()).collect();
    names.join(",")
}

/// The columns that say where a line comes from.
const COLUMNS: &str =
    "--columns old_state,reason,pid,comm,remote_addr,remote_port,netns,netns_name,cgroup_path";

/// Whether a line comes from this container.
fn is_from(line: &Line, container: &Container) -> bool {
    line["netns"] == container.place.inum()
        && text(line, "netns_name") == container.place.name()
        && text(line, "cgroup_path") == container.cgroup_path()
}

#[test]
fn one_of_five_containers_leaks() {
    let containers = five("leaks");
    let log = format!("--only-stuck --stuck CLOSE_WAIT=2s {COLUMNS}");
    let watch = Watch::of(&names(&containers), "--stuck CLOSE_WAIT=2s", &log);
    for container in &containers {
        leak(&container.place, ADDRESS, 8080, 3);
    }
    let due = Instant::now() + Duration::from_secs(2);
    let broken = &containers[2];
    let is_leak = |line: &Line| is_of(line, &broken.server) && line["count"] == 3;
    let pid = format!("({})", broken.server.pid());
    watch.finds("close-wait", due, is_leak, &[" 3 ", &pid]);
    let stuck = watch.logs("the leak", due, 3, |line| text(line, "old_state") == "CLOSE_WAIT");
    assert!(stuck.iter().all(|line| is_of(line, &broken.server) && is_from(line, broken)), "{stuck:#?}");
    for container in &containers {
        // What it does not end tells it apart.
        let ended = if container.place.name() == broken.place.name() { 0 } else { 3 };
        let path = container.cgroup_path();
        watch.ranks("cgroup", |row| row["path"] == path, "begun", 3);
        watch.ranks("cgroup", |row| row["path"] == path, "ended", ended);
    }
    // The others are not accused.
    watch.next_summary();
    let found = watch.all_findings();
    assert!(found.iter().all(|line| is_of(line, &broken.server)), "{found:#?}");
}

#[test]
fn one_of_five_containers_refuses() {
    let mut containers = five("closes");
    let watch = Watch::of(&names(&containers), "", &format!("life {COLUMNS}"));
    containers[2].server.end_with(Signal::KILL);
    let clients: Vec<_> =
        containers.iter().map(|one| ready(&mut inside(&one.place, &one.cgroup, CALLS, &[ADDRESS]))).collect();
    let due = Instant::now();
    let (broken, client) = (&containers[2], &clients[2]);
    let target = format!("{ADDRESS}:8080").parse().unwrap();
    let is_refused = |line: &Line| {
        goes_to(line, target)
            && line["netns"] == broken.place.inum()
            && text(line, "evidence") == "6 refused/min"
    };
    let found =
        watch.finds("connect-failures", due, is_refused, &[&format!("{ADDRESS}:8080"), " 6 ", "python3"]);
    assert!(is_of(&found, client), "{found}");
    let refused = watch.logs("the refused", due, 6, |line| text(line, "reason") == "refused");
    assert!(refused.iter().all(|line| is_of(line, client) && is_from(line, broken)), "{refused:#?}");
    watch.ranks("cgroup", |row| row["path"] == broken.cgroup_path(), "failed", 6);
    watch.ranks("netns", |row| row["netns"] == broken.place.inum(), "failed", 6);
    // The others are not accused.
    watch.next_summary();
    let found = watch.all_findings();
    assert!(found.iter().all(|line| line["netns"] == broken.place.inum()), "{found:#?}");
}
