//! Every TCP state, and every way out of it. A simulated remote host sends the necessary segments.

use std::{
    net::{Shutdown, TcpStream},
    os::fd::AsRawFd as _,
    thread,
    time::{Duration, Instant},
};

use socket2::{Domain, SockRef, Socket, Type};
use tests::{
    patience::until,
    place::Place,
    program::{Program, close, run},
    remote::{ACK, FIN_ACK, HERE, RST_ACK, Remote, SYN, SYN_ACK},
    story::{self, Line, number, text},
    tracer,
    traffic::{listen, wait_for_end},
};

struct Scene {
    place: Place,
    tracer: Program,
    remote: Remote,
}

impl Scene {
    fn new() -> Self {
        Self::with("")
    }

    /// With further options.
    fn with(options: &str) -> Self {
        let place = Place::new();
        let remote = Remote::new(&place, 7000);
        let tracer = tracer::start(&format!("-o json {options} --netns {}", place.name()));
        Self { place, tracer, remote }
    }

    /// Starts to connect to the remote host.
    fn connect(&mut self) -> Socket {
        let to = self.remote.address();
        let socket = self.place.run(|| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            socket.connect(&to.into()).unwrap_err();
            socket
        });
        self.remote.expect(SYN);
        socket
    }

    /// Makes a connection that this side opens.
    fn client() -> (Self, TcpStream) {
        Self::client_of("")
    }

    /// The same, with further options.
    fn client_of(options: &str) -> (Self, TcpStream) {
        let mut scene = Self::with(options);
        let socket = scene.connect();
        scene.remote.send(SYN_ACK);
        scene.remote.expect(ACK);
        socket.set_nonblocking(false).unwrap();
        (scene, socket.into())
    }

    /// Waits until the connection is in this state.
    fn reaches(&self, state: &str) {
        let entered = format!("\"new_state\":\"{state}\"");
        until(state, || self.tracer.out().contains(&entered).then_some(()));
    }

    /// Waits for the line that ends the connection, and returns its lines.
    fn story(self) -> Vec<Line> {
        until("the end", || {
            self.tracer.out().lines().any(|line| line.contains("\"reason\":\"")).then_some(())
        });
        let ended = self.tracer.interrupt();
        assert_eq!(ended.code(), 0, "{}", ended.err);
        let is_own = |line: &Line| text(line, "role") != "listener" && line["event"] != "reset";
        story::lines(&ended.out).into_iter().filter(is_own).collect()
    }
}

fn check(story: &[Line], path: &[&str], reason: &str) {
    assert_eq!(story::path(&story.iter().collect::<Vec<_>>()), path);
    assert_eq!(text(story.last().unwrap(), "reason"), reason);
    let cookies: Vec<_> = story.iter().map(|line| &line["cookie"]).collect();
    assert!(cookies.windows(2).all(|pair| pair[0] == pair[1]));
    // Every duration but those of CLOSE and of the listener's LISTEN is known.
    assert!(story[1..].iter().all(|line| number(line, "state_us").is_some()), "{story:#?}");
}

const OPENED: [&str; 2] = ["CLOSE>SYN_SENT", "SYN_SENT>ESTABLISHED"];

fn after(begin: &[&'static str], end: &[&'static str]) -> Vec<&'static str> {
    [begin, end].concat()
}

#[test]
fn simultaneous_open_and_reset() {
    let mut scene = Scene::new();
    let _socket = scene.connect();
    scene.remote.send(SYN);
    scene.remote.expect(SYN_ACK);
    scene.remote.send(ACK);
    until("ESTABLISHED", || {
        scene.tracer.out().contains("SYN_RECV\",\"new_state\":\"ESTABLISHED").then_some(())
    });
    scene.remote.send(RST_ACK);
    let story = scene.story();
    let path = ["CLOSE>SYN_SENT", "SYN_SENT>SYN_RECV", "SYN_RECV>ESTABLISHED", "ESTABLISHED>CLOSE"];
    check(&story, &path, "reset-remote");
    assert!(story.iter().all(|line| text(line, "role") == "client"), "{story:#?}");
}

#[test]
fn reset_in_syn_recv() {
    let mut scene = Scene::new();
    let _socket = scene.connect();
    scene.remote.send(SYN);
    scene.remote.expect(SYN_ACK);
    scene.remote.send(RST_ACK);
    check(&scene.story(), &["CLOSE>SYN_SENT", "SYN_SENT>SYN_RECV", "SYN_RECV>CLOSE"], "reset-remote");
}

#[test]
fn refused() {
    let mut scene = Scene::new();
    let _socket = scene.connect();
    scene.remote.send(RST_ACK);
    check(&scene.story(), &["CLOSE>SYN_SENT", "SYN_SENT>CLOSE"], "refused");
}

#[test]
fn simultaneous_close() {
    let (mut scene, stream) = Scene::client();
    close(stream);
    let before_fin = scene.remote.ack;
    scene.remote.expect(FIN_ACK);
    // The two FINs cross: the remote one does not acknowledge ours yet.
    let fin = scene.remote.ack;
    scene.remote.send_acking(FIN_ACK, before_fin);
    scene.remote.send_acking(ACK, fin);
    let path = after(&OPENED, &["ESTABLISHED>FIN_WAIT1", "FIN_WAIT1>CLOSING", "CLOSING>TIME_WAIT"]);
    check(&scene.story(), &path, "fin-both");
}

#[test]
fn reset_in_closing() {
    let (mut scene, stream) = Scene::client();
    close(stream);
    let before_fin = scene.remote.ack;
    scene.remote.expect(FIN_ACK);
    scene.remote.send_acking(FIN_ACK, before_fin);
    scene.remote.expect(ACK);
    scene.remote.send_acking(RST_ACK, before_fin);
    let path = after(&OPENED, &["ESTABLISHED>FIN_WAIT1", "FIN_WAIT1>CLOSING", "CLOSING>CLOSE"]);
    check(&scene.story(), &path, "reset-remote");
}

#[test]
fn fin_and_ack_in_one() {
    let (mut scene, stream) = Scene::client();
    close(stream);
    scene.remote.expect(FIN_ACK);
    scene.remote.send(FIN_ACK);
    let path = after(&OPENED, &["ESTABLISHED>FIN_WAIT1", "FIN_WAIT1>FIN_WAIT2", "FIN_WAIT2>TIME_WAIT"]);
    check(&scene.story(), &path, "fin-local");
}

/// The process has only shut down its side, so a full socket is in FIN_WAIT2, not a timewait socket.
#[test]
fn fin_wait2_that_is_held() {
    let (mut scene, mut stream) = Scene::client();
    stream.shutdown(Shutdown::Write).unwrap();
    scene.remote.expect(FIN_ACK);
    scene.remote.send(ACK);
    thread::sleep(Duration::from_millis(100));
    scene.remote.send(FIN_ACK);
    wait_for_end(&mut stream);
    let story = scene.story();
    let path = after(&OPENED, &["ESTABLISHED>FIN_WAIT1", "FIN_WAIT1>FIN_WAIT2", "FIN_WAIT2>TIME_WAIT"]);
    check(&story, &path, "fin-local");
    let last = story.last().unwrap();
    assert_eq!(number(last, "state_error_us"), Some(0.0), "measured, not sampled");
    assert!(number(last, "state_us").unwrap() >= 1e5, "{last}");
}

#[test]
fn reset_in_fin_wait1_and_fin_wait2() {
    let (mut scene, stream) = Scene::client();
    stream.shutdown(Shutdown::Write).unwrap();
    let before_fin = scene.remote.ack;
    scene.remote.expect(FIN_ACK);
    scene.remote.send_acking(RST_ACK, before_fin);
    check(&scene.story(), &after(&OPENED, &["ESTABLISHED>FIN_WAIT1", "FIN_WAIT1>CLOSE"]), "reset-remote");

    let (mut scene, stream) = Scene::client();
    stream.shutdown(Shutdown::Write).unwrap();
    scene.remote.expect(FIN_ACK);
    scene.remote.send(ACK);
    scene.reaches("FIN_WAIT2");
    scene.remote.send(RST_ACK);
    let path = after(&OPENED, &["ESTABLISHED>FIN_WAIT1", "FIN_WAIT1>FIN_WAIT2", "FIN_WAIT2>CLOSE"]);
    check(&scene.story(), &path, "reset-remote");
}

#[test]
fn reset_in_close_wait_and_last_ack() {
    let (mut scene, _stream) = Scene::client();
    scene.remote.send(FIN_ACK);
    scene.remote.expect(ACK);
    scene.remote.send(RST_ACK);
    check(&scene.story(), &after(&OPENED, &["ESTABLISHED>CLOSE_WAIT", "CLOSE_WAIT>CLOSE"]), "reset-remote");

    let (mut scene, stream) = Scene::client();
    scene.remote.send(FIN_ACK);
    scene.remote.expect(ACK);
    close(stream);
    let before_fin = scene.remote.ack;
    scene.remote.expect(FIN_ACK);
    scene.remote.send_acking(RST_ACK, before_fin);
    let path = after(&OPENED, &["ESTABLISHED>CLOSE_WAIT", "CLOSE_WAIT>LAST_ACK", "LAST_ACK>CLOSE"]);
    check(&scene.story(), &path, "reset-remote");
}

/// How a process ends a connection without waiting for the peer.
#[derive(Clone, Copy, Debug)]
enum Abort {
    Unread,
    Linger,
    Disconnect,
}

impl Abort {
    const ALL: [(Self, &str); 3] = [
        (Self::Unread, "reset-local-unread"),
        (Self::Linger, "reset-local-linger"),
        (Self::Disconnect, "reset-local"),
    ];

    fn end(self, stream: TcpStream) {
        match self {
            Self::Unread => close(stream),
            Self::Linger => {
                SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
                close(stream);
            }
            // connect(AF_UNSPEC)
            Self::Disconnect => rustix::net::connect_unspec(&stream).unwrap(),
        }
    }
}

/// The FIN is sent and never acknowledged, so none of these ends is in order.
#[test]
fn aborts_in_last_ack_and_closing() {
    for (abort, reason) in Abort::ALL {
        for closes_first in [false, true] {
            let (mut scene, stream) = Scene::client();
            if matches!(abort, Abort::Unread) {
                scene.remote.send_data(b"unread");
            }
            let path = if closes_first {
                stream.shutdown(Shutdown::Write).unwrap();
                let before_fin = scene.remote.ack;
                scene.remote.expect(FIN_ACK);
                scene.remote.send_acking(FIN_ACK, before_fin);
                ["ESTABLISHED>FIN_WAIT1", "FIN_WAIT1>CLOSING", "CLOSING>CLOSE"]
            } else {
                scene.remote.send(FIN_ACK);
                scene.reaches("CLOSE_WAIT");
                stream.shutdown(Shutdown::Write).unwrap();
                ["ESTABLISHED>CLOSE_WAIT", "CLOSE_WAIT>LAST_ACK", "LAST_ACK>CLOSE"]
            };
            scene.reaches(path[1].split('>').nth(1).unwrap());
            abort.end(stream);
            check(&scene.story(), &after(&OPENED, &path), reason);
        }
    }
}

/// The peer never acknowledges our FIN.
#[test]
fn a_close_that_is_never_finished() {
    let (mut scene, stream) = Scene::client();
    scene.place.set("net.ipv4.tcp_orphan_retries=1");
    scene.remote.send(FIN_ACK);
    scene.remote.expect(ACK);
    close(stream);
    let path = after(&OPENED, &["ESTABLISHED>CLOSE_WAIT", "CLOSE_WAIT>LAST_ACK", "LAST_ACK>CLOSE"]);
    check(&scene.story(), &path, "timeout-close");
}

/// The peer acknowledges our FIN but never sends its own. The orphan ends after `tcp_fin_timeout`.
#[test]
fn an_orphan_in_fin_wait2_runs_out_of_time() {
    let (mut scene, stream) = Scene::client();
    scene.place.set("net.ipv4.tcp_fin_timeout=3");
    close(stream);
    scene.remote.expect(FIN_ACK);
    scene.remote.send(ACK);
    let story = scene.story();
    let path = after(&OPENED, &["ESTABLISHED>FIN_WAIT1", "FIN_WAIT1>FIN_WAIT2", "FIN_WAIT2>CLOSE"]);
    check(&story, &path, "timeout-close");
    let last = story.last().unwrap();
    let (told_us, error_us) = (number(last, "state_us").unwrap(), number(last, "state_error_us").unwrap());
    assert!(told_us >= 3e6 && told_us - error_us < 4.5e6, "{last}");
}

/// Sets `TCP_LINGER2`, in seconds.
fn set_linger2(stream: &TcpStream, seconds: i32) {
    // SAFETY: the option's value is an `int`.
    let set = unsafe {
        let value = (&raw const seconds).cast();
        libc::setsockopt(stream.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_LINGER2, value, 4)
    };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
}

const ORPHAN: [&str; 3] = ["ESTABLISHED>FIN_WAIT1", "FIN_WAIT1>FIN_WAIT2", "FIN_WAIT2>CLOSE"];

/// The process has said how long its orphan may wait, or the namespace says more than a minute. Then the full
/// socket waits for what is above a minute, and the timewait socket as long again.
#[test]
fn an_orphan_has_a_time_of_its_own() {
    for (linger2, fin_timeout, least_us, most_us) in [(Some(2), 60, 2e6, 3.5e6), (None, 62, 4e6, 5.5e6)] {
        let (mut scene, stream) = Scene::client();
        scene.place.set(&format!("net.ipv4.tcp_fin_timeout={fin_timeout}"));
        if let Some(seconds) = linger2 {
            set_linger2(&stream, seconds);
        }
        close(stream);
        scene.remote.expect(FIN_ACK);
        scene.remote.send(ACK);
        let story = scene.story();
        check(&story, &after(&OPENED, &ORPHAN), "timeout-close");
        let last = story.last().unwrap();
        let (told_us, error_us) =
            (number(last, "state_us").unwrap(), number(last, "state_error_us").unwrap());
        assert!(told_us >= least_us && told_us - error_us < most_us, "{last}");
    }
}

/// With a negative TCP_LINGER2 an orphan does not wait in FIN_WAIT2 at all.
#[test]
fn an_orphan_that_may_not_wait() {
    for options in ["--hooks auto --resets", "--hooks minimal"] {
        for is_acknowledged in [false, true] {
            let (mut scene, stream) = Scene::client_of(options);
            set_linger2(&stream, -1);
            stream.shutdown(Shutdown::Write).unwrap();
            scene.remote.expect(FIN_ACK);
            if is_acknowledged {
                scene.remote.send(ACK);
                scene.reaches("FIN_WAIT2");
                close(stream);
            } else {
                close(stream);
                scene.remote.send(ACK);
            }
            if options.contains("auto") {
                // The RST comes after the end, and its line still knows whose it is.
                until("the RST", || scene.tracer.out().contains("\"event\":\"reset\"").then_some(()));
                let lines = story::lines(story::whole(&scene.tracer.out()));
                let rst = lines.iter().find(|line| text(line, "event") == "reset").unwrap();
                assert_eq!(
                    (text(rst, "reset"), text(rst, "role"), text(rst, "owner")),
                    ("sent", "client", "own")
                );
                assert_eq!(rst["pid"].as_u64(), Some(u64::from(std::process::id())), "{rst}");
            }
            let story = scene.story();
            check(&story, &after(&OPENED, &ORPHAN), "timeout-close");
            let last = story.last().unwrap();
            assert_eq!(number(last, "state_error_us"), Some(0.0), "{last}");
            assert!(number(last, "state_us").unwrap() < 1e5, "at once: {last}");
        }
    }
}

/// An orphan in FIN_WAIT2 that is older than the tracer: its timer says when it is due.
#[test]
fn an_older_orphan_runs_out_of_time() {
    for (is_reset, reason) in [(false, "timeout-close"), (true, "unknown")] {
        let place = Place::new();
        place.set("net.ipv4.tcp_fin_timeout=10");
        let mut remote = Remote::new(&place, 7000);
        let socket = place.run(|| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            socket.connect(&remote.address().into()).unwrap_err();
            socket
        });
        remote.expect(SYN);
        remote.send(SYN_ACK);
        remote.expect(ACK);
        close(socket);
        remote.expect(FIN_ACK);
        remote.send(ACK);
        let is_orphan = || run(place.command("ss").args(["-Htan", "state", "fin-wait-2"])).contains("7000");
        until("FIN_WAIT2", || is_orphan().then_some(()));
        // Part of its time is over. The rest has to last until tracer is ready, also on a busy host.
        thread::sleep(Duration::from_secs(2));
        let tracer = tracer::start(&format!("-o json --netns {}", place.name()));
        if is_reset {
            remote.send(RST_ACK);
            until("the RST", || (!is_orphan()).then_some(()));
        }
        until("the end", || tracer.out().contains("\"reason\":\"").then_some(()));
        let lines = story::lines(&tracer.interrupt().out);
        assert_eq!(
            (text(&lines[0], "old_state"), text(&lines[0], "reason")),
            ("FIN_WAIT2", reason),
            "{lines:#?}"
        );
        assert!(lines[0]["state_us"].is_null(), "its beginning was not seen: {lines:#?}");
    }
}

const DELAY: Duration = Duration::from_millis(150);

fn us(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

#[test]
fn a_clients_handshake_is_its_time_in_syn_sent() {
    let mut scene = Scene::new();
    let begun = Instant::now();
    let _socket = scene.connect();
    thread::sleep(DELAY);
    scene.remote.send(SYN_ACK);
    scene.remote.expect(ACK);
    let most = begun.elapsed();
    scene.remote.send(RST_ACK);
    let story = scene.story();
    check(&story, &after(&OPENED, &["ESTABLISHED>CLOSE"]), "reset-remote");
    let shake_us = number(&story[1], "handshake_us").unwrap();
    assert!((us(DELAY)..us(most)).contains(&shake_us), "{shake_us} in {most:?}");
    assert!((shake_us - number(&story[1], "state_us").unwrap()).abs() < 1.0);
}

/// `SYN_RECV` lasts only microseconds, because the request socket before it waits for the ACK. The handshake
/// includes that wait.
#[test]
fn a_servers_handshake_is_from_syn_ack_to_ack() {
    // One that is a whole number of milliseconds is not known.
    let known = (0..3).find_map(|_| delayed_handshake());
    let (shake_us, received_us, most) = known.expect("a handshake that the kernel has measured");
    assert!((us(DELAY)..us(most)).contains(&shake_us), "{shake_us} in {most:?}");
    // SYN_RECV does not include the delay, even if a busy CPU interrupted it.
    let rest_us = us(most) - us(DELAY);
    assert!(received_us < rest_us, "{received_us}, of {rest_us} without the pause");
}

/// Opens a connection whose last ACK comes after [`DELAY`]. Returns the server's handshake and its time in SYN_RECV in
/// microseconds, and how long the whole took. `None` if the handshake was not measured.
fn delayed_handshake() -> Option<(f64, f64, Duration)> {
    let mut scene = Scene::new();
    let listener = scene.place.run(|| listen(HERE.into(), 0));
    scene.remote.peer = listener.local_addr().unwrap().port();
    let begun = Instant::now();
    scene.remote.send(SYN);
    scene.remote.expect(SYN_ACK);
    thread::sleep(DELAY);
    scene.remote.send(ACK);
    let (mut server, _) = listener.accept().unwrap();
    let most = begun.elapsed();
    scene.remote.send(RST_ACK);
    wait_for_end(&mut server);
    let story = scene.story();
    check(&story, &["LISTEN>SYN_RECV", "SYN_RECV>ESTABLISHED", "ESTABLISHED>CLOSE"], "reset-remote");
    let received_us = number(&story[1], "state_us").unwrap();
    Some((number(&story[1], "handshake_us")?, received_us, most))
}
