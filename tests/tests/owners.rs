//! The owners of sockets are right: they are compared with the processes that the test started. The task on
//! the CPU, which `--raw` shows, is often another one.

use std::{
    collections::HashMap,
    io::{Read as _, Write as _},
    net::TcpStream,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use rustix::process::Signal;
use tests::{
    cgroups,
    patience::{until, until_or},
    place::Place,
    program::{Program, close, output},
    story::{self, Line, text},
    tracer,
    traffic::{actor, connect, listen, wait_for_end},
};

/// Starts the actor in this namespace.
fn act(place: &Place, words: &[&str]) -> Program {
    let mut command = Command::new("ip");
    // `ip netns exec` becomes the actor, so its process id is the actor's.
    command.args(["netns", "exec", place.name()]).arg(actor()).args(words);
    Program::collect(&mut command)
}

fn port(server: &mut Program) -> u16 {
    server.wait_for_out("the server's port", |out| out.contains('\n'));
    server.out().lines().next().unwrap().parse().unwrap()
}

fn pid(line: &Line) -> Option<u64> {
    line["pid"].as_u64()
}

const SERVERS: usize = 3;
const CLIENTS_EACH: usize = 4;
const CONNECTIONS_EACH: usize = 25;

/// Hundreds of connections between processes of one host: each line has the right pid, name and role. The
/// task on the CPU would often be wrong.
#[test]
fn every_line_names_the_right_process() {
    let place = Place::new();
    let mut servers: Vec<_> = (0..SERVERS)
        .map(|number| act(&place, &["answer", &format!("server{number}"), "127.77.10.1"]))
        .collect();
    // Timewait sockets are followed, because a client may be an orphan in FIN_WAIT2 until the server closes.
    let tracer = tracer::start(&format!("-o json --netns {}", place.name()));
    let raw = tracer::start(&format!("--raw -o json --netns {}", place.name()));

    let ports: Vec<u16> = servers.iter_mut().map(port).collect();
    let clients: Vec<Program> = (0..SERVERS * CLIENTS_EACH)
        .map(|number| {
            let port = ports[number % SERVERS].to_string();
            act(
                &place,
                &["ask", &format!("client{number}"), "127.77.10.1", &port, &CONNECTIONS_EACH.to_string()],
            )
        })
        .collect();
    let mut names: HashMap<u64, String> = HashMap::new();
    names.extend(
        servers.iter().enumerate().map(|(number, server)| (server.pid().into(), format!("server{number}"))),
    );
    names.extend(
        clients.iter().enumerate().map(|(number, client)| (client.pid().into(), format!("client{number}"))),
    );
    let by_port: HashMap<u64, u64> = ports
        .iter()
        .zip(&servers)
        .map(|(port, server)| (u64::from(*port), u64::from(server.pid())))
        .collect();
    for client in clients {
        assert_eq!(client.wait().out, "done\n");
    }
    let expected = SERVERS * CLIENTS_EACH * CONNECTIONS_EACH;
    until("all ends", || (tracer.out().matches("\"reason\":\"fin-").count() >= 2 * expected).then_some(()));

    let lines = story::lines(&tracer.interrupt().out);
    let sockets = story::by_socket(&lines);
    let mut client_pids: HashMap<u64, usize> = HashMap::new();
    for story in sockets.values() {
        let first = story[0];
        let role = text(first, "role");
        if role == "listener" {
            continue;
        }
        let owner = if role == "server" {
            by_port[&first["local_port"].as_u64().unwrap()]
        } else {
            let owner = pid(first).expect("a client is known from its first event on");
            *client_pids.entry(owner).or_default() += 1;
            owner
        };
        for line in story {
            assert_eq!(pid(line), Some(owner), "{line}");
            assert_eq!(text(line, "comm"), names[&owner], "{line}");
            assert_eq!(text(line, "role"), role, "{line}");
        }
        let last = story.last().unwrap();
        assert_eq!(text(last, "owner"), "own", "{last}");
        assert!(text(last, "reason").starts_with("fin-"), "{last}");
    }
    assert_eq!(client_pids.len(), SERVERS * CLIENTS_EACH);
    assert!(client_pids.values().all(|count| *count == CONNECTIONS_EACH), "{client_pids:?}");

    // The same sockets with the task on the CPU as owner.
    let owners: HashMap<u64, u64> =
        sockets.iter().filter_map(|(cookie, story)| Some((*cookie, pid(story.last()?)?))).collect();
    let raw = story::lines(&raw.interrupt().out);
    // `--raw` has no cookies, so connections are identified by their ports.
    let ends = |line: &Line| format!("{}>{}", line["local_port"], line["remote_port"]);
    let by_ends: HashMap<String, u64> = sockets
        .iter()
        .filter_map(|(cookie, story)| Some((ends(story.last()?), *owners.get(cookie)?)))
        .collect();
    let known: Vec<_> = raw.iter().filter_map(|line| Some((line, *by_ends.get(&ends(line))?))).collect();
    let wrong = known.iter().filter(|(line, owner)| pid(line) != Some(*owner)).count();
    println!("{} transitions; the task on the CPU was another than the owner at {wrong}", known.len());
    assert!(wrong > known.len() / 10, "the test proves nothing if the task on the CPU is mostly the owner");
}

/// A prefork server. The owner is the listener's process until the worker uses the connection.
#[test]
fn a_worker_is_known_when_it_touches_the_connection() {
    let place = Place::new();
    let tracer = tracer::start(&format!("-o json --netns {}", place.name()));
    let mut parent = act(&place, &["prefork", "127.77.10.2"]);
    parent.wait_for_out("the worker's pid", |out| out.matches('\n').count() == 2);
    let port = port(&mut parent).to_string();
    let worker: u64 = parent.out().lines().nth(1).unwrap().parse().unwrap();
    assert_eq!(act(&place, &["ask", "client", "127.77.10.2", &port, "1"]).wait().out, "done\n");
    until("its end", || tracer.out().contains("fin-remote").then_some(()));
    let lines = story::lines(&tracer.interrupt().out);
    let story = story::ended(&lines, "server", "fin-remote");
    let owners: Vec<_> = story.iter().map(|line| (text(line, "owner"), pid(line).unwrap())).collect();
    assert_eq!(owners[0], ("listener", u64::from(parent.pid())), "{owners:?}");
    assert_eq!(*owners.last().unwrap(), ("own", worker), "{owners:?}");
    assert_eq!(text(story.last().unwrap(), "comm"), "worker");
}

/// A worker that dies with unread data sends an RST, when its socket is already in CLOSE. The RST's own line names
/// the worker, too.
#[test]
fn the_rst_after_the_end_is_the_workers() {
    let place = Place::new();
    let tracer = tracer::start(&format!("-o json --resets --netns {}", place.name()));
    let mut parent = act(&place, &["prefork", "127.77.10.5"]);
    parent.wait_for_out("the worker's pid", |out| out.matches('\n').count() == 2);
    let port = port(&mut parent);
    let worker: u64 = parent.out().lines().nth(1).unwrap().parse().unwrap();
    let mut client = place.run(|| connect(format!("127.77.10.5:{port}").parse().unwrap()).unwrap());
    client.write_all(b"question").unwrap();
    client.read_exact(&mut [0; 6]).unwrap();
    let signal = |signal| {
        let pid = rustix::process::Pid::from_raw(worker.try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    };
    // It cannot read any more.
    signal(Signal::STOP);
    until("it to stop", || {
        let status = std::fs::read_to_string(format!("/proc/{worker}/status")).unwrap();
        status.contains("State:\tT").then_some(())
    });
    client.write_all(b"unread").unwrap();
    signal(Signal::KILL);
    wait_for_end(&mut client);
    let is_told = || tracer.out().contains("\"reset\":\"sent\"").then_some(());
    until_or("the RST", is_told, || tracer.out() + &tracer.err());
    let lines = story::lines(&tracer.interrupt().out);
    let sent =
        lines.iter().find(|line| text(line, "event") == "reset" && text(line, "reset") == "sent").unwrap();
    assert_eq!((text(sent, "old_state"), text(sent, "role")), ("CLOSE", "server"), "{sent}");
    assert_eq!((text(sent, "owner"), pid(sent)), ("own", Some(worker)), "{sent}");
}

/// A filter on processes shows whole connections, including the lines from before the owner was known.
#[test]
fn a_filter_on_processes_keeps_beginnings() {
    let place = Place::new();
    let mut parent = act(&place, &["prefork", "127.77.10.3"]);
    parent.wait_for_out("the worker's pid", |out| out.matches('\n').count() == 2);
    let port = port(&mut parent).to_string();
    let worker = parent.out().lines().nth(1).unwrap().to_owned();
    let tracers: Vec<_> = [
        format!("--pid {worker}"),
        "--comm work*".to_owned(),
        "--comm nobody,client --uid root".to_owned(),
        "--reason fin-local".to_owned(),
        "--state CLOSE_WAIT".to_owned(),
        "--transition ESTABLISHED:CLOSE_WAIT,SYN_SENT:ESTABLISHED".to_owned(),
        "--pid 1".to_owned(),
        "--uid nobody".to_owned(),
        format!("--pid !{worker}"),
        "--comm !client".to_owned(),
        "--comm !work*,!client".to_owned(),
        "--uid !root".to_owned(),
        "--comm !nobody".to_owned(),
        "--reason !fin-local".to_owned(),
        "--state !estab,!SYN-RCVD".to_owned(),
        "--reason fin*,reset".to_owned(),
    ]
    .into_iter()
    .map(|filter| tracer::start(&format!("-o json --netns {} {filter}", place.name())))
    .collect();
    let all = tracer::start(&format!("-o json --netns {}", place.name()));
    assert_eq!(act(&place, &["ask", "client", "127.77.10.3", &port, "1"]).wait().out, "done\n");
    // Wait for each tracer: the client may be an orphan in FIN_WAIT2, which each samples at its own time.
    for (number, end) in [
        (0, "fin-remote"),
        (1, "fin-remote"),
        (2, "fin-local"),
        (3, "fin-local"),
        (8, "fin-local"),
        (9, "fin-remote"),
        (12, "fin-local"),
        (12, "fin-remote"),
        (13, "fin-remote"),
        (14, "fin-local"),
        (14, "fin-remote"),
        (15, "fin-local"),
        (15, "fin-remote"),
    ] {
        until(end, || tracers[number].out().contains(end).then_some(()));
    }
    until("both ends", || {
        let out = all.out();
        (out.contains("fin-remote") && out.contains("fin-local")).then_some(())
    });
    let paths: Vec<Vec<String>> = tracers
        .into_iter()
        .map(|tracer| {
            let lines = story::lines(&tracer.interrupt().out);
            story::path(&lines.iter().collect::<Vec<_>>())
        })
        .collect();
    let server = [
        "LISTEN>SYN_RECV",
        "SYN_RECV>ESTABLISHED",
        "ESTABLISHED>CLOSE_WAIT",
        "CLOSE_WAIT>LAST_ACK",
        "LAST_ACK>CLOSE",
    ];
    let client = [
        "CLOSE>SYN_SENT",
        "SYN_SENT>ESTABLISHED",
        "ESTABLISHED>FIN_WAIT1",
        "FIN_WAIT1>FIN_WAIT2",
        "FIN_WAIT2>TIME_WAIT",
    ];
    assert_eq!(paths[0], server);
    assert_eq!(paths[1], server);
    assert_eq!(paths[2], client);
    assert_eq!(paths[3], ["FIN_WAIT2>TIME_WAIT"]);
    assert_eq!(paths[4], ["ESTABLISHED>CLOSE_WAIT", "CLOSE_WAIT>LAST_ACK"]);
    assert_eq!(paths[5], ["SYN_SENT>ESTABLISHED", "ESTABLISHED>CLOSE_WAIT"]);
    assert!(paths[6].is_empty() && paths[7].is_empty(), "{paths:?}");
    assert_eq!(paths[8], client);
    assert_eq!(paths[9], server);
    assert!(paths[10].is_empty() && paths[11].is_empty(), "{paths:?}");
    // The lines of both ends come in the order of their times.
    let same = |shown: &[String], expected: &[&str]| {
        let (mut shown, mut expected) = (shown.to_vec(), expected.to_vec());
        shown.sort();
        expected.sort_unstable();
        assert_eq!(shown, expected);
    };
    same(&paths[12], &[server, client].concat());
    assert_eq!(paths[13], ["LAST_ACK>CLOSE"]);
    same(&paths[14], &[server[3], server[4], client[0], client[3], client[4]]);
    same(&paths[15], &[server[4], client[4]]);
}

/// `io_uring_register(2)`
const IORING_REGISTER_FILES: u32 = 2;

/// Gives a socket to an io_uring and closes the ring. The kernel takes it apart in a thread of its own, which
/// closes the socket.
fn abandon(socket: &TcpStream) {
    // SAFETY: the parameters (`struct io_uring_params`) are 120 bytes, of which the kernel writes some.
    let ring = unsafe {
        let mut parameters = [0_u32; 30];
        libc::syscall(libc::SYS_io_uring_setup, 1, parameters.as_mut_ptr())
    };
    assert!(ring >= 0, "io_uring_setup: {}", std::io::Error::last_os_error());
    // SAFETY: a new descriptor that nothing else owns.
    let ring = unsafe { OwnedFd::from_raw_fd(i32::try_from(ring).unwrap()) };
    let descriptors = [socket.as_raw_fd()];
    // SAFETY: one descriptor, which the kernel reads.
    let registered = unsafe {
        let (ring, files) = (ring.as_raw_fd(), descriptors.as_ptr());
        libc::syscall(libc::SYS_io_uring_register, ring, IORING_REGISTER_FILES, files, descriptors.len())
    };
    assert_eq!(registered, 0, "io_uring_register: {}", std::io::Error::last_os_error());
}

#[test]
fn a_kernel_thread_is_no_owner() {
    let place = Place::new();
    let log = tracer::start(&format!("-o json --netns {}", place.name()));
    let raw = tracer::start(&format!("--raw -o json --netns {}", place.name()));
    let (client, server) = place.run(|| {
        let listener = listen([127, 77, 10, 6].into(), 0);
        let client = connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().unwrap().0)
    });
    abandon(&client);
    close(client);
    let closed = "\"new_state\":\"FIN_WAIT1\"";
    until("the kernel's close", || (log.out().contains(closed) && raw.out().contains(closed)).then_some(()));
    close(server);
    until("the end", || log.out().contains("fin-local").then_some(()));
    let raw = raw.interrupt().out;
    let close = raw.lines().find(|line| line.contains(closed)).unwrap();
    assert!(close.contains("\"comm\":\"kworker"), "not in a kernel thread, so this proves nothing: {close}");
    let lines = story::lines(&log.interrupt().out);
    for line in lines.iter().filter(|line| text(line, "role") == "client") {
        assert_eq!(pid(line), Some(std::process::id().into()), "{line}");
        assert_eq!(text(line, "owner"), "own", "{line}");
    }
}

/// `--cgroup` with the path of a cgroup selects its sockets.
#[test]
fn a_filter_on_cgroups() {
    let cgroup = Cgroup::new();
    let cgroup = &cgroup.0;
    let place = Place::new();
    let mut server = act(&place, &["answer", "server", "127.77.10.4"]);
    let port = port(&mut server).to_string();
    let tracer = tracer::start(&format!("-o json --netns {} --cgroup {cgroup}", place.name()));
    let script = format!("echo $$ > {cgroup}/cgroup.procs && exec \"$@\"");
    // Enter the cgroup first, because `ip netns exec` mounts another /sys.
    let mut inside = Command::new("sh");
    inside.args(["-c", &script, "sh", "ip", "netns", "exec", place.name()]);
    inside.arg(actor()).args(["ask", "client", "127.77.10.4", &port, "1"]);
    let outside = act(&place, &["ask", "other", "127.77.10.4", &port, "1"]);
    assert_eq!(Program::collect(&mut inside).wait().out, "done\n");
    assert_eq!(outside.wait().out, "done\n");
    until("its end", || tracer.out().contains("fin-local").then_some(()));
    let lines = story::lines(&tracer.interrupt().out);
    assert_eq!(lines.len(), 5);
    assert!(lines.iter().all(|line| text(line, "comm") == "client"), "{lines:#?}");
}

/// Cgroups and namespaces have their names in every view; what has ended keeps its own.
#[test]
fn cgroups_and_namespaces_by_name() {
    let cgroup = Cgroup::new();
    let place = Place::new();
    let address = "127.77.10.9";
    let name = cgroup.0.rsplit('/').next().unwrap();
    let of = |view: &str| {
        let arguments = format!("{view} -o json --netns {}", place.name());
        let mut command = tracer::command(&arguments);
        let columns = "cgroup,cgroup_path,netns,netns_name,remote_port";
        tracer::started(Program::collect(command.args(["--columns", columns])))
    };
    let tracers = ["", "life", "--raw"].map(|view| (view, of(view)));
    let port = place.run(|| listen(address.parse().unwrap(), 0).local_addr().unwrap().port()).to_string();
    let script = format!("echo $$ > {}/cgroup.procs && exec \"$@\"", cgroup.0);
    let mut client = Command::new("sh");
    client.args(["-c", &script, "sh", "ip", "netns", "exec", place.name()]);
    // Nobody listens there any more.
    _ = output(client.arg(actor()).args(["call", address, &port]));
    for (view, tracer) in tracers {
        let ended = tracer.interrupt();
        let lines = story::lines(&ended.out);
        let line = lines.iter().find(|line| line["remote_port"] == port.parse::<u64>().unwrap());
        let line = line.unwrap_or_else(|| panic!("{view}: {}", ended.out));
        assert_eq!(line["cgroup_path"], format!("/{name}"), "{view}: {line}");
        assert_eq!(
            (&line["netns_name"], &line["netns"]),
            (&place.name().into(), &place.inum().into()),
            "{line}"
        );
        assert!(line["cgroup"].is_u64(), "{line}");
    }
}

/// A new cgroup. It is removed when this is dropped.
struct Cgroup(String);

impl Cgroup {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = format!("{}/tracer-test-{}-{number}", cgroups::mount().display(), std::process::id());
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}
