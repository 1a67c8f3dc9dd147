//! Connections that are older than the tracer: how long they have been in their state at least. The test's own
//! clock, read before and after the state begins, has to agree: never longer, and hardly shorter.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use socket2::{Domain, Socket, Type};
use tests::{
    forged::old_ack,
    place::Place,
    program::{close, run},
    remote::{ACK, FIN_ACK, Remote, SYN, SYN_ACK},
    story::{Line, lines, number, text, whole},
    tracer,
    traffic::{connect, listen, wait_for_end},
};

const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 77, 91, 1);

/// How old the states are when the tracer comes. The test measures it, so it need not be exact.
const AGE: Duration = Duration::from_millis(1500);

/// How much less than the true age is told at most: two jiffies of 10 ms, and a busy processor.
const TOLERANCE: Duration = Duration::from_millis(300);

/// A state that began between two readings of the clock.
struct Begun(Instant, Instant);

impl Begun {
    fn by<T>(begin: impl FnOnce() -> T) -> (T, Self) {
        let before = Instant::now();
        (begin(), Self(before, Instant::now()))
    }
}

/// The first line about each connection that is in `state`.
fn told(place: &Place, state: &str, count: usize) -> (Vec<Line>, Begun) {
    let started = Instant::now();
    let arguments = format!("-o json --netns {} --only-stuck --stuck {state}=0.1s", place.name());
    let mut tracer = tracer::start(&arguments);
    tracer.wait_for_out("the connections", |out| lines(whole(out)).len() >= count);
    let ended = Instant::now();
    (lines(&tracer.interrupt().out), Begun(started, ended))
}

/// Asserts that each line tells what is known of a state that began then.
fn check(lines: &[Line], begun: &Begun, read: &Begun) {
    for line in lines {
        assert!(line["state_us"].is_null(), "a bound is not the time: {line}");
        let told = Duration::from_secs_f64(number(line, "stuck_us").unwrap() / 1e6);
        assert!(told <= read.1 - begun.0, "longer than it is: {line}");
        assert!(told + TOLERANCE >= read.0 - begun.1, "{:?} at least: {line}", read.0 - begun.1);
    }
}

fn connected() -> (TcpListener, TcpStream, TcpStream) {
    let listener = listen(ADDRESS.into(), 0);
    let client = connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    (listener, client, server)
}

/// A socket that has begun to connect.
fn connecting(to: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket.connect(&to.into()).expect_err("not at once");
    socket
}

#[test]
fn close_wait_and_fin_wait2() {
    let place = Place::new();
    let (_listener, client, mut server) = place.run(connected);
    thread::sleep(TOLERANCE);
    let ((), begun) = Begun::by(|| {
        client.shutdown(Shutdown::Write).unwrap();
        wait_for_end(&mut server);
    });
    thread::sleep(AGE);
    for state in ["CLOSE_WAIT", "FIN_WAIT2"] {
        let (lines, read) = told(&place, state, 1);
        check(&lines, &begun, &read);
    }
}

/// One side sends, and the other one only acknowledges.
#[test]
fn established() {
    for sends in [None, Some(true), Some(false)] {
        let place = Place::new();
        let ((_listener, mut client, mut server), begun) = Begun::by(|| place.run(connected));
        let until = Instant::now() + AGE;
        while Instant::now() < until {
            match sends {
                Some(true) => client.write_all(b"data").unwrap(),
                Some(false) => server.write_all(b"data").unwrap(),
                None => {}
            }
            thread::sleep(Duration::from_millis(50));
        }
        let (mut lines, read) = told(&place, "ESTABLISHED", 2);
        if sends == Some(false) {
            // When the server has last received data may be older than the state, so nothing is known of it.
            lines.retain(|line| text(line, "role") == "client");
        }
        check(&lines, &begun, &read);
    }
}

/// With data in both directions only the last ones are known, which is less and still true.
#[test]
fn established_and_busy() {
    let place = Place::new();
    let ((_listener, mut client, mut server), begun) = Begun::by(|| place.run(connected));
    thread::sleep(AGE);
    client.write_all(b"data").unwrap();
    server.read_exact(&mut [0; 4]).unwrap();
    server.write_all(b"data").unwrap();
    client.read_exact(&mut [0; 4]).unwrap();
    let (lines, read) = told(&place, "ESTABLISHED", 2);
    for line in lines {
        assert!(number(&line, "stuck_us").unwrap() / 1e6 <= (read.1 - begun.0).as_secs_f64(), "{line}");
    }
}

/// Later SYNs change nothing.
#[test]
fn syn_sent() {
    let place = Place::new();
    run(place
        .command("nft")
        .arg("table ip cut { chain input { type filter hook input priority 0; drop; }; }"));
    let (_socket, begun) = Begun::by(|| place.run(|| connecting((ADDRESS, 9).into())));
    thread::sleep(AGE);
    let (lines, read) = told(&place, "SYN_SENT", 1);
    check(&lines, &begun, &read);
}

/// A late segment starts its timer again: what is told then is less, and still true.
#[test]
fn time_wait() {
    for is_late in [false, true] {
        let place = Place::new();
        // The late segment is answered, and the RST that comes back would end TIME_WAIT.
        place.set("net.ipv4.tcp_rfc1337=1");
        let (listener, client, mut server) = place.run(connected);
        let (ends, begun) = Begun::by(|| {
            let ends = [client.local_addr(), client.peer_addr()].map(Result::unwrap);
            close(client);
            wait_for_end(&mut server);
            close(server);
            place.settle_to(1);
            ends
        });
        thread::sleep(AGE);
        let begun = if is_late {
            let [client, server] = ends.map(|end| match end {
                SocketAddr::V4(end) => end,
                SocketAddr::V6(_) => unreachable!("IPv4"),
            });
            Begun::by(|| place.run(|| old_ack(server, client))).1
        } else {
            begun
        };
        let (lines, read) = told(&place, "TIME_WAIT", 1);
        check(&lines, &begun, &read);
        drop(listener);
    }
}

/// An ACK that overtakes the FIN is received before the state begins, so the last ACK proves nothing.
#[test]
fn a_fin_that_was_overtaken() {
    let place = Place::new();
    let mut remote = Remote::new(&place, 80);
    let connecting = place.run(|| connecting(remote.address()));
    remote.expect(SYN);
    remote.send(SYN_ACK);
    remote.expect(ACK);
    connecting.set_nonblocking(false).unwrap();
    let mut client = TcpStream::from(connecting);
    let before_data = remote.ack;
    client.write_all(b"data").unwrap();
    remote.expect(ACK);
    remote.send(ACK);
    thread::sleep(AGE);
    let ((), begun) = Begun::by(|| {
        remote.send_acking(FIN_ACK, before_data);
        wait_for_end(&mut client);
    });
    let info = run(place.command("ss").args(["-tinH", "state", "close-wait"]));
    let last_ack = info.split_whitespace().find_map(|word| word.strip_prefix("lastack:")).unwrap();
    assert!(Duration::from_millis(last_ack.parse().unwrap()) > begun.0.elapsed(), "{info}");
    thread::sleep(TOLERANCE);
    let (lines, read) = told(&place, "CLOSE_WAIT", 1);
    check(&lines, &begun, &read);
}
