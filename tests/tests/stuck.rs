//! `--stuck` in the log: each stuck connection is reported while it is stuck, once, and with its owner.

use std::{
    io::{Read as _, Write as _},
    net::SocketAddr,
    os::fd::OwnedFd,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use rustix::process::Signal;
use tests::{
    patience::Stops,
    place::Place,
    program::{Program, close, output, signal},
    story::{Line, lines, number, text, whole},
    tracer,
    traffic::{connect, leak, leaky, listen},
};

const ADDRESS: &str = "127.77.40.1";

fn stuck(out: &str) -> Vec<Line> {
    lines(out).into_iter().filter(|line| !line["stuck_us"].is_null()).collect()
}

/// The limit in microseconds. How soon after it the report comes depends on how busy the host is; that it is
/// due at once is proved in event time (`tracer/tests/captures.rs`).
const LIMIT_US: f64 = 1e6;

#[test]
fn a_leak_is_told_soon_and_once() {
    let place = Place::new();
    let (server, port) = leaky(&place, ADDRESS);
    let arguments = format!("-o json --netns {} --stuck CLOSE_WAIT=1s", place.name());
    let mut tracer = tracer::start(&arguments);
    leak(&place, ADDRESS, port, 5);
    tracer.wait_for_out("the leak", |out| stuck(whole(out)).len() >= 5);
    // Long enough to report all of them again.
    thread::sleep(Duration::from_secs(2));
    let ended = tracer.interrupt();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    let told = stuck(&ended.out);
    assert_eq!(told.len(), 5, "{told:#?}");
    for line in &told {
        assert_eq!((text(line, "old_state"), text(line, "new_state")), ("CLOSE_WAIT", "CLOSE_WAIT"));
        assert_eq!(text(line, "comm"), "actor", "{line}");
        let us = number(line, "stuck_us").unwrap();
        assert!(us >= LIMIT_US, "{line}");
        assert_eq!(
            number(line, "state_us"),
            Some(us),
            "the beginning of the state was seen, so its time is known"
        );
    }
    assert_eq!(ended.err.matches("see: tracer explain CLOSE_WAIT\n").count(), 1, "{}", ended.err);
    // These lines are no transitions, but they count as shown.
    assert_eq!(tracer::receipt(&ended, "shown"), lines(&ended.out).len() as u64);
    close(server);
}

#[test]
fn who_comes_later_tells_how_long_at_least() {
    let place = Place::new();
    let (_server, port) = leaky(&place, ADDRESS);
    leak(&place, ADDRESS, port, 1);
    let arguments = format!("-o json --netns {} --stuck CLOSE_WAIT=1s --exit-on-stuck", place.name());
    let ended = tracer::run(&arguments);
    assert_eq!(ended.code(), 4, "{}", ended.err);
    let told = stuck(&ended.out);
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(told[0]["state_us"].is_null(), "{}", told[0]);
    assert!(number(&told[0], "stuck_us").unwrap() >= LIMIT_US, "{}", told[0]);
    assert_eq!(text(&told[0], "owner"), "snapshot");
}

#[test]
fn scripts_get_status_4_and_people_a_sentence() {
    let place = Place::new();
    let (_server, port) = leaky(&place, ADDRESS);
    let arguments = format!("--netns {} --stuck close_wait=0.5 --exit-on-stuck --color never", place.name());
    let tracer = tracer::start(&arguments);
    leak(&place, ADDRESS, port, 1);
    let ended = tracer.wait();
    assert_eq!(ended.code(), 4, "{}", ended.err);
    let last = ended.out.lines().last().unwrap();
    assert!(last.contains("actor") && last.ends_with("CLOSE_WAIT  stuck: not closed here"), "{last}");
}

/// However many are stuck at once, and whatever happens meanwhile, the first one's line is the last.
#[test]
fn it_ends_at_the_first_and_the_receipt_adds_up() {
    let place = Place::new();
    let (_server, port) = leaky(&place, ADDRESS);
    leak(&place, ADDRESS, port, 7);
    let arguments = format!("-o json --netns {} --stuck CLOSE_WAIT=1s --exit-on-stuck", place.name());
    let tracer = tracer::start(&arguments);
    let has_ended = AtomicBool::new(false);
    let ended = thread::scope(|scope| {
        let stops = Stops(&has_ended);
        scope.spawn(|| {
            place.run(|| {
                while !has_ended.load(Ordering::Relaxed) {
                    _ = connect("127.77.40.2:9".parse().unwrap());
                }
            });
        });
        let ended = tracer.wait();
        drop(stops);
        ended
    });
    assert_eq!(ended.code(), 4, "{}", ended.err);
    let lines = lines(&ended.out);
    assert_eq!(stuck(&ended.out).len(), 1, "{}", ended.out);
    assert!(!lines.last().unwrap()["stuck_us"].is_null(), "{}", lines.last().unwrap());
    assert_eq!(tracer::receipt(&ended, "shown"), lines.len() as u64, "{}", ended.err);
    assert_eq!(tracer::remark(&ended, "tell of stuck connections"), 1, "{}", ended.err);
    let beyond = tracer::remark(&ended, "came after the last line asked for");
    assert_eq!(tracer::passed(&ended), lines.len() as u64 - 1 + beyond, "{}", ended.err);
}

#[test]
fn connections_below_the_limit_or_filtered_are_not_reported() {
    let place = Place::new();
    let (server, port) = leaky(&place, ADDRESS);
    let name = place.name();
    let leaving = tracer::start(&format!("-o json --netns {name} --stuck CLOSE_WAIT=6s"));
    let other = tracer::start(&format!("-o json --netns {name} --comm other --stuck CLOSE_WAIT=0.1s"));
    leak(&place, ADDRESS, port, 3);
    // Longer than the limit of the tracer whose filter does not match.
    thread::sleep(Duration::from_secs(1));
    // The server is killed, and the kernel closes its sockets.
    close(server);
    thread::sleep(Duration::from_secs(6));
    for tracer in [leaving, other] {
        let ended = tracer.interrupt();
        assert_eq!(ended.code(), 0, "{}", ended.err);
        assert_eq!(stuck(&ended.out), Vec::<Line>::new());
    }
}

#[test]
fn losses_hide_no_leak() {
    let place = Place::new();
    let (_server, port) = leaky(&place, ADDRESS);
    let arguments =
        format!("-o json --netns {} --only-stuck --stuck CLOSE_WAIT=1s --buffer 4KiB", place.name());
    let mut tracer = tracer::start(&arguments);
    leak(&place, ADDRESS, port, 3);
    let pid = tracer.pid();
    let stops = AtomicBool::new(false);
    let to: SocketAddr = ([127, 77, 40, 2], 9).into();
    thread::scope(|scope| {
        scope.spawn(|| {
            place.run(|| {
                while !stops.load(Ordering::Relaxed) {
                    // Alternately stopped, so that events are lost, and running.
                    for sent in [Signal::STOP, Signal::CONT] {
                        signal(pid, sent);
                        for _ in 0..200 {
                            connect(to).expect_err("nobody listens there");
                        }
                    }
                }
            });
        });
        let _stops = Stops(&stops);
        tracer.wait_for_out("the leak", |out| stuck(whole(out)).len() >= 3);
    });
    let ended = tracer.interrupt();
    assert!(tracer::lost(&ended) > 0, "{}", ended.err);
    let told = stuck(&ended.out);
    assert_eq!(told.len(), 3, "{told:#?}");
    assert!(told.iter().all(|line| line["remote_port"] != 9));
    assert_eq!(lines(&ended.out).len(), 3, "no other lines");
}

#[test]
fn filters_of_lines_hide_nothing_that_is_stuck() {
    let place = Place::new();
    let (_server, port) = leaky(&place, ADDRESS);
    leak(&place, ADDRESS, port, 1);
    let common = format!("--netns {} --stuck CLOSE_WAIT=0.5 --exit-on-stuck", place.name());
    for filter in ["--state LAST_ACK", "--transition SYN_SENT:CLOSE", "--reason refused"] {
        let ended = tracer::run(&format!("{common} {filter}"));
        assert_eq!(ended.code(), 4, "{filter}: {}", ended.err);
    }
    let ended = tracer::run(&format!("{common} --count 1"));
    assert_eq!(ended.out.lines().count(), 2, "a title and a line: {}", ended.out);
}

/// A line for each process that has stuck connections; what is known of the oldest is there on request.
#[test]
fn groups_have_a_line_per_process() {
    let place = Place::new();
    let servers = [(9, leaky(&place, ADDRESS)), (3, leaky(&place, "127.77.40.3"))];
    leak(&place, ADDRESS, servers[0].1.1, 9);
    leak(&place, "127.77.40.3", servers[1].1.1, 3);
    // All are stuck from the beginning. Otherwise those that are first have a line of their own.
    thread::sleep(Duration::from_millis(1500));
    let words = format!("--netns {} --only-stuck --group --stuck CLOSE_WAIT=1s", place.name());
    let ended = tracer::run(&format!("-o json {words} --count 2"));
    assert_eq!(tracer::remark(&ended, "tell of stuck connections"), 2, "{}", ended.err);
    assert_eq!(ended.err.matches("see: tracer explain CLOSE_WAIT\n").count(), 1, "{}", ended.err);
    for (line, (count, (server, _))) in lines(&ended.out).iter().zip(&servers) {
        assert_eq!((&line["count"], &line["pid"]), (&(*count).into(), &server.pid().into()), "{line}");
        assert_eq!((text(line, "event"), text(line, "state")), ("stuck", "CLOSE_WAIT"), "{line}");
        assert!(number(line, "oldest_us").unwrap() >= LIMIT_US, "{line}");
    }
    // The children of `ip netns exec` are the servers themselves.
    let ended = tracer::run(&format!("{words} --exit-on-stuck --columns comm,count,remote_port,local_port"));
    assert_eq!((ended.code(), ended.out.lines().count()), (4, 2), "{}", ended.out);
    let port = servers[0].1.1.to_string();
    assert!(ended.out.ends_with(&format!(" {port}\n")) && ended.out.contains(" 9 "), "{}", ended.out);
}

/// Programs can tell these lines from others, whatever else was asked for.
#[test]
fn lines_always_have_their_event() {
    let place = Place::new();
    let (_server, port) = leaky(&place, ADDRESS);
    leak(&place, ADDRESS, port, 1);
    for words in ["", "--only-stuck", "--only-stuck --group", "--resets"] {
        let arguments = format!("--netns {} --stuck CLOSE_WAIT=0.5 --exit-on-stuck {words}", place.name());
        let ended = tracer::run(&format!("-o json {arguments}"));
        assert_eq!(text(lines(&ended.out).last().unwrap(), "event"), "stuck", "{words}: {}", ended.out);
        let ended = tracer::run(&format!("-o csv {arguments}"));
        let at = ended.out.lines().next().unwrap().split(',').position(|key| key == "event").unwrap();
        assert_eq!(ended.out.lines().last().unwrap().split(',').nth(at), Some("stuck"), "{words}");
    }
}

/// The queues are those of this moment: no event tells that the process has read what was there.
#[test]
fn its_line_has_the_queues_of_now() {
    let place = Place::new();
    for (reads, expected) in [(false, 6), (true, 0)] {
        let (mut server, _listener) = place.run(|| {
            let listener = listen(ADDRESS.parse().unwrap(), 0);
            let mut client = connect(listener.local_addr().unwrap()).unwrap();
            let (server, _) = listener.accept().unwrap();
            client.write_all(b"hello").unwrap();
            (server, listener)
        });
        // The time counts from the FIN on: tracer may need a second to start on a busy host.
        let words = format!("-o json --netns {} --stuck CLOSE_WAIT=4s --exit-on-stuck", place.name());
        let tracer = tracer::start(&words);
        if reads {
            server.read_to_end(&mut Vec::new()).unwrap();
        }
        let ended = tracer.wait();
        let told = stuck(&ended.out);
        // Five bytes, and the end of the data counts as one.
        assert_eq!(told[0]["recv_queue"], expected, "{}", told[0]);
    }
}

#[test]
fn invalid_limits_are_refused() {
    for (words, why) in [
        ("CLOSE_WAIT", "is not STATE=TIME"),
        ("CLOSE=1s", "is not a state that a connection can be stuck in"),
        ("CLOSE_WAIT=0", "give a time greater than zero"),
        ("CLOSE_WAIT=1s,=", "is not a state"),
    ] {
        let output = output(Command::new(tracer::binary()).args(["--stuck", words]));
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{words}: {err}");
        assert!(err.contains(why), "{words}: {err}");
    }
}

#[test]
fn a_slow_reader_does_not_keep_it_from_being_told() {
    let place = Place::new();
    let (_server, port) = leaky(&place, ADDRESS);
    let (reader, writer) = std::io::pipe().unwrap();
    let arguments = format!("-o json --netns {} --stuck CLOSE_WAIT=1s --exit-on-stuck", place.name());
    let mut command = tracer::command(&arguments);
    let tracer = tracer::started(Program::start(command.stdout(Stdio::from(OwnedFd::from(writer)))));
    drop(command);
    leak(&place, ADDRESS, port, 1);
    let has_ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let stops = Stops(&has_ended);
        // Slightly more output than is read, so that tracer is always writing.
        scope.spawn(|| {
            place.run(|| {
                while !has_ended.load(Ordering::Relaxed) {
                    _ = connect("127.77.40.2:9".parse().unwrap());
                    thread::sleep(Duration::from_millis(1));
                }
            });
        });
        scope.spawn(move || {
            let (mut reader, mut part) = (reader, vec![0; 8192]);
            while reader.read(&mut part).is_ok_and(|read| read > 0) {
                thread::sleep(Duration::from_millis(10));
            }
        });
        let ended = tracer.wait();
        drop(stops);
        assert_eq!(ended.code(), 4, "{}", ended.err);
    });
}
