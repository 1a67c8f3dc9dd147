//! TIME_WAIT and FIN_WAIT2 of timewait sockets: their times and ends are right.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use socket2::{Domain, Socket, Type};
use tests::{
    patience::until,
    place::Place,
    program::{Program, close, run},
    story::{self, Line, number, text},
    tracer,
    traffic::{connect, listen, wait_for_end},
};

const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 77, 11, 1);

fn lines(tracer: &Program) -> Vec<Line> {
    story::lines(story::whole(&tracer.out()))
}

/// Waits for a line with this transition.
fn line(tracer: &Program, old: &str, new: &str) -> Line {
    until(&format!("{old} -> {new}"), || {
        lines(tracer)
            .into_iter()
            .find(|line| text(line, "old_state") == old && text(line, "new_state") == new)
    })
}

/// Connects from this port. Returns the client and the server.
fn pair(listener: &TcpListener, from_port: u16) -> (TcpStream, TcpStream) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind(&SocketAddr::from((ADDRESS, from_port)).into()).unwrap();
    socket.connect(&listener.local_addr().unwrap().into()).unwrap();
    let (server, _) = listener.accept().unwrap();
    (socket.into(), server)
}

/// Checks the reported time in a state. It has to be between the time that the test has seen for certain and
/// the longest possible one. The error is 0 if a hook reports the end.
fn fits(line: &Line, least: Duration, most: Duration) {
    let us = |duration: Duration| duration.as_secs_f64() * 1e6;
    let (told_us, error_us) = (number(line, "state_us").unwrap(), number(line, "state_error_us").unwrap());
    assert!(told_us >= us(least) && told_us - error_us <= us(most), "{least:?} to {most:?}: {line}");
    // Timewait sockets are sampled every second, or less often if that is expensive.
    assert!((0.0..5e6).contains(&error_us), "{line}");
}

/// An orphan stays in FIN_WAIT2 until the peer closes, and only then enters TIME_WAIT.
#[test]
fn an_orphan_in_fin_wait2_is_not_closed() {
    let place = Place::new();
    let tracer = tracer::start(&format!("-o json --netns {}", place.name()));
    let (client, server) = place.run(|| {
        let listener = listen(ADDRESS.into(), 0);
        (connect(listener.local_addr().unwrap()).unwrap(), listener.accept().unwrap().0)
    });
    let before_close = Instant::now();
    close(client);
    line(&tracer, "FIN_WAIT1", "FIN_WAIT2");
    let seen = Instant::now();
    // The peer does not close yet.
    thread::sleep(Duration::from_millis(2500));
    let before = lines(&tracer);
    assert!(before.iter().all(|line| text(line, "old_state") != "FIN_WAIT2"), "{before:#?}");
    let least = seen.elapsed();
    close(server);
    let most = before_close.elapsed();
    let line = line(&tracer, "FIN_WAIT2", "TIME_WAIT");
    assert_eq!((text(&line, "reason"), text(&line, "role")), ("fin-local", "client"));
    fits(&line, least, most);
}

/// Makes a connection whose client ends in TIME_WAIT.
fn leave_time_wait(place: &Place) {
    place.run(|| {
        let listener = listen(ADDRESS.into(), 0);
        let client = connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        close(client);
        wait_for_end(&mut server);
    });
}

/// TIME_WAIT ends when `ss` does not show the socket any more, within the reported error.
#[test]
fn time_wait_ends_when_the_kernel_says_so() {
    let place = Place::new();
    let tracer = tracer::start(&format!("-o json --netns {}", place.name()));
    let before_close = Instant::now();
    leave_time_wait(&place);
    line(&tracer, "FIN_WAIT2", "TIME_WAIT");
    let seen = Instant::now();
    let waits = || run(place.command("ss").args(["-Htan", "state", "time-wait"])).contains("127.77.11.1");
    assert!(waits(), "ss sees it too");
    // TIME_WAIT always takes a minute (TCP_TIMEWAIT_LEN), which cannot be configured.
    thread::sleep(Duration::from_secs(55));
    assert!(lines(&tracer).iter().all(|line| text(line, "old_state") != "TIME_WAIT"));
    let mut least = seen.elapsed();
    until("ss not to see it any more", || {
        let asked = seen.elapsed();
        if waits() {
            least = asked;
            return None;
        }
        Some(())
    });
    let most = before_close.elapsed();
    let line = line(&tracer, "TIME_WAIT", "CLOSE");
    assert!(line["reason"].is_null(), "the reason belongs to the transition into TIME_WAIT: {line}");
    fits(&line, least, most);
}

/// The kernel makes no timewait sockets: there are too many already (`tcp_max_tw_buckets`). Without a hook only the
/// next poll shows that, so the line says that TIME_WAIT may have taken no time at all.
#[test]
fn a_time_wait_that_never_was_is_ended_by_the_next_poll() {
    let place = Place::new();
    place.set("net.ipv4.tcp_max_tw_buckets=0");
    let tracer = tracer::start(&format!("-o json --netns {}", place.name()));
    leave_time_wait(&place);
    let is_end = |line: &Line| text(line, "role") == "client" && text(line, "new_state") == "CLOSE";
    let last = &until("the client's end", || lines(&tracer).into_iter().find(is_end));
    let has_reason = |line: &Line| text(line, "role") == "client" && text(line, "reason") == "fin-local";
    assert!(lines(&tracer).iter().any(has_reason), "{:#?}", lines(&tracer));
    if text(last, "old_state") == "TIME_WAIT" {
        let (told_us, error_us) =
            (number(last, "state_us").unwrap(), number(last, "state_error_us").unwrap());
        assert!(error_us >= told_us && told_us < 3e6, "{last}");
    } else {
        // A hook has told.
        assert_eq!((text(last, "old_state"), text(last, "reason")), ("FIN_WAIT2", "fin-local"), "{last}");
    }
}

/// A namespace without processes and without a name, which only a mount keeps, with one socket in TIME_WAIT.
fn kept_by(mount: &mut Command) -> (u32, Program) {
    let place = Place::new();
    let inum = u32::try_from(place.inum()).unwrap();
    leave_time_wait(&place);
    place.settle();
    let mut keeper = Program::with_input(mount.env("NETNS", place.name()), Stdio::piped());
    keeper.wait_for_out("the mount", |out| out.contains("mounted"));
    (inum, keeper)
}

/// Containers without root keep their namespaces by mounts in a mount namespace of their own.
#[test]
fn a_namespace_that_only_a_mount_keeps_is_looked_at() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let script = "mount --bind /run/netns/$NETNS $0 && echo mounted && cat";
    for own_mounts in [&[][..], &["--mount", "--propagation", "private"]] {
        let mut mount = Command::new("unshare");
        let (inum, keeper) = kept_by(mount.args(own_mounts).args(["sh", "-c", script]).arg(file.path()));
        let ended = tracer::start(&format!("--netns {inum}")).interrupt();
        drop(keeper);
        if own_mounts.is_empty() {
            run(Command::new("umount").arg(file.path()));
        }
        assert!(ended.err.contains("still open 0, waiting 1"), "{own_mounts:?}: {}", ended.err);
    }
}

/// A SYN ends a TIME_WAIT and begins a new connection with the same addresses and ports.
#[test]
fn a_reused_tuple_is_told() {
    let place = Place::new();
    let tracer = tracer::start(&format!("-o json --netns {}", place.name()));
    let begun = Instant::now();
    place.run(|| {
        let listener = listen(ADDRESS.into(), 7800);
        for _ in 0..2 {
            let (mut client, server) = pair(&listener, 7801);
            // The server closes first, so that it enters TIME_WAIT and the client can use its port again.
            close(server);
            wait_for_end(&mut client);
        }
    });
    let most_us = begun.elapsed().as_secs_f64() * 1e6;
    until("both ends", || (tracer.out().matches("\"reason\":\"fin-local\"").count() == 2).then_some(()));
    let all = lines(&tracer);
    let ended = all.iter().find(|line| text(line, "old_state") == "TIME_WAIT").expect("the first one's end");
    assert_eq!(ended["reuse"], true, "{ended}");
    assert!(number(ended, "state_us").unwrap() < most_us, "{most_us} {ended}");
    let births: Vec<_> = all.iter().filter(|line| text(line, "new_state") == "SYN_RECV").collect();
    assert_eq!(births.iter().map(|line| line["reuse"] == true).collect::<Vec<_>>(), [false, true]);
    assert_ne!(births[0]["cookie"], births[1]["cookie"]);
    assert_eq!(births[0]["cookie"], ended["cookie"]);
}

/// With `--no-timewait` timewait sockets are not followed, and no transitions of theirs are shown.
#[test]
fn without_sampling_the_story_ends_earlier() {
    let place = Place::new();
    let life = Program::collect(&mut tracer::command(&format!(
        "life -o json --no-timewait --netns {}",
        place.name()
    )));
    let (life, log) =
        (tracer::started(life), tracer::start(&format!("-o json --no-timewait --netns {}", place.name())));
    let (client, server) = place.run(|| {
        let listener = listen(ADDRESS.into(), 0);
        (connect(listener.local_addr().unwrap()).unwrap(), listener.accept().unwrap().0)
    });
    close(client);
    let of_client: Line = until("the client's life", || lines(&life).into_iter().next());
    assert_eq!((text(&of_client, "role"), text(&of_client, "reason")), ("client", "unknown"));
    close(server);
    until("the server's life", || (lines(&life).len() == 2).then_some(()));
    let log = story::lines(&log.interrupt().out);
    assert!(log.iter().all(|line| text(line, "old_state") != "FIN_WAIT2"), "{log:#?}");
}

/// Sampling the timewait sockets of a namespace does not keep it alive.
#[test]
fn a_namespace_can_go_while_it_is_looked_at() {
    let place = Place::new();
    let tracer = tracer::start(&format!("-o json --netns {}", place.name()));
    place.run(|| {
        let listener = listen(ADDRESS.into(), 0);
        let client = connect(listener.local_addr().unwrap()).unwrap();
        drop((client, listener.accept().unwrap()));
    });
    line(&tracer, "FIN_WAIT2", "TIME_WAIT");
    // Long enough for some samples.
    thread::sleep(Duration::from_millis(2500));
    let inum = place.inum();
    drop(place);
    let is_in_it = || {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", tracer.pid())).unwrap();
        let links = tasks.map(|task| std::fs::read_link(task.unwrap().path().join("ns/net")));
        links.flatten().any(|link| link.to_string_lossy().contains(&inum.to_string()))
    };
    until("the tracer to leave the namespace", || (!is_in_it()).then_some(()));
    thread::sleep(Duration::from_millis(1500));
    assert!(!is_in_it());
    assert_eq!(tracer.interrupt().code(), 0);
}

/// The namespaces of one connection each that waits in TIME_WAIT are removed, and another one gets the number of one
/// of them before the next poll. What that finds in it says nothing about the one before.
#[test]
fn a_namespace_with_the_number_of_one_before_does_not_end_its_connections() {
    // Not the whole host's connections: other programs make millions.
    let tracer = tracer::start(&format!("-o json --addr {ADDRESS}"));
    let older: Vec<_> = Place::with_high_numbers(|| (0..3).map(|_| Place::new()).collect());
    let of_place = |place: &Place, line: &Line| line["netns"] == place.inum();
    let waits = |line: &Line| text(line, "new_state") == "TIME_WAIT";
    let before = older.iter().map(|place| {
        leave_time_wait(place);
        place.settle();
        let is_it = |line: &Line| of_place(place, line) && waits(line);
        until("TIME_WAIT", || lines(&tracer).into_iter().find(is_it))["cookie"].clone()
    });
    let before: Vec<_> = before.collect();
    tracer.signal(Signal::STOP);
    let newer = Place::with_number_of(older);
    tracer.signal(Signal::CONT);
    // Polls find that orphans go on to TIME_WAIT.
    for _ in 0..2 {
        let known = lines(&tracer).iter().filter(|line| of_place(&newer, line) && waits(line)).count();
        let (client, server) = newer.run(|| {
            let listener = listen(ADDRESS.into(), 0);
            (connect(listener.local_addr().unwrap()).unwrap(), listener.accept().unwrap().0)
        });
        close(client);
        newer.settle_to(2);
        close(server);
        until("a poll", || {
            let now = lines(&tracer).iter().filter(|line| of_place(&newer, line) && waits(line)).count();
            (now > known).then_some(())
        });
    }
    let all = lines(&tracer);
    let is_wrong = |line: &&Line| text(line, "old_state") == "TIME_WAIT" && before.contains(&line["cookie"]);
    assert!(all.iter().find(is_wrong).is_none(), "{:#?}", all.iter().find(is_wrong));
}

/// Tests that measure CPU time. `cargo xtask test` runs no other test at the same time.
mod alone {
    use super::*;

    /// Sampling ten thousand timewait sockets costs at most 1.2 % of a CPU.
    #[test]
    fn sampling_is_cheap() {
        let place = Place::new();
        let tracer = tracer::start(&format!("-o json --netns {}", place.name()));
        place.run(|| {
            let listener = listen(ADDRESS.into(), 0);
            let to = listener.local_addr().unwrap();
            for _ in 0..10_000 {
                let client = connect(to).unwrap();
                drop((listener.accept().unwrap(), client));
            }
        });
        until("all ends", || (tracer.out().matches("TIME_WAIT").count() >= 10_000).then_some(()));
        let before = tracer.cpu_ticks();
        thread::sleep(Duration::from_secs(10));
        let spent = tracer.cpu_ticks() - before;
        println!("10,000 in TIME_WAIT, 10 s: {spent} ticks of 10 ms");
        assert!(spent <= 12, "{spent} ticks in 1000");
    }
}
