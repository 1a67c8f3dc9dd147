//! What the kernel keeps of a socket and no event tells: `top` reads it every second.

use std::{
    io::Write as _,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    time::{Duration, Instant},
};

use socket2::{Domain, Socket, Type};
use tests::{
    patience::until,
    place::Place,
    program::run,
    screen::Screen,
    story::{Line, text},
    tracer::binary,
    traffic::{churn, connect, listen},
    watch::{Watch, goes_to, is_of, python, wait_for_list},
};

fn top(place: &Place, width: u16) -> Screen {
    let script = format!("{} top --netns {}", binary().display(), place.name());
    let screen = Screen::run(width, 24, &script);
    wait_for_list(&screen);
    screen.wait_for("the listeners", |shown| shown.contains("LISTENERS"));
    screen
}

/// Opens the story of the only connection that passes this filter.
fn story(screen: &Screen, filter: &str) {
    screen.keys(&["/"]);
    screen.types(filter);
    screen.keys(&["Enter"]);
    screen.wait_for("one end", |shown| shown.contains(" 1 connections"));
    screen.keys(&["Enter"]);
}

#[test]
fn a_peer_that_does_not_read() {
    let place = Place::new();
    let (_listener, mut client, _server) = place.run(|| {
        let listener = listen(Ipv4Addr::new(127, 77, 92, 1).into(), 0);
        let client = connect(listener.local_addr().unwrap()).unwrap();
        let server = listener.accept().unwrap().0;
        (listener, client, server)
    });
    let screen = top(&place, 80);
    story(&screen, &format!("local-port={}", client.local_addr().unwrap().port()));
    assert!(!screen.wait_for("the story", |shown| shown.contains("queues")).contains("window is zero"));
    client.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    let data = vec![0; 65_536];
    while client.write(&data).is_ok() {}
    screen.wait_for("the window", |shown| shown.contains("sending    the peer's window is zero"));
    screen.keys(&["q"]);
}

#[test]
fn a_peer_that_is_gone() {
    let (near, far) = Place::pair();
    let listener = far.run(|| listen(Ipv4Addr::new(10, 77, 0, 2).into(), 0));
    let mut client = near.run(|| connect(listener.local_addr().unwrap()).unwrap());
    let screen = top(&near, 80);
    story(&screen, "state=ESTABLISHED");
    run(far.command("nft").arg("table ip cut { chain input { type filter hook input priority 0; drop; }; }"));
    client.write_all(b"data").unwrap();
    screen.wait_for("the timer", |shown| {
        let line = shown.lines().find_map(|line| line.strip_prefix("sending    backoff "));
        let backoff = line.and_then(|backoff| backoff.trim_end().parse::<u8>().ok());
        shown.contains("4 to be acknowledged") && backoff.is_some_and(|backoff| backoff >= 2)
    });
    screen.keys(&["q"]);
}

/// A listener with a queue of this length, whose wildcard takes only IPv6 if `v6_only`.
fn listener(address: IpAddr, v6_only: bool, queue: i32) -> TcpListener {
    let domain = if address.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    let socket = Socket::new(domain, Type::STREAM, None).unwrap();
    if address.is_ipv6() {
        socket.set_only_v6(v6_only).unwrap();
    }
    socket.bind(&SocketAddr::new(address, 0).into()).unwrap();
    socket.listen(queue).unwrap();
    socket.into()
}

/// Fills the accept queue of a listener: one more than its limit fits in. It drops the last ACK of what comes then.
fn overflow(listener: &TcpListener) -> Vec<Socket> {
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, listener.local_addr().unwrap().port()));
    let begun = (0..4).map(|_| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_nonblocking(true).unwrap();
        let _ = socket.connect(&to.into());
        socket
    });
    begun.collect()
}

/// The line of a listener on the screen.
fn line<'a>(shown: &'a str, end: &str) -> Option<&'a str> {
    shown.lines().find(|line| line.starts_with(&format!("{end} ")))
}

#[test]
fn listeners_have_their_drops_and_are_told_apart() {
    let place = Place::new();
    let (v4, both, only_v6) = place.run(|| {
        let any = Ipv6Addr::UNSPECIFIED.into();
        (listener(Ipv4Addr::UNSPECIFIED.into(), false, 1), listener(any, false, 9), listener(any, true, 9))
    });
    let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
    let screen = top(&place, 80);
    let ends =
        [format!("0.0.0.0:{}", port(&v4)), format!("*:{}", port(&both)), format!("[::]:{}", port(&only_v6))];
    screen.wait_for("the listeners", |shown| ends.iter().all(|end| line(shown, end).is_some()));
    let _sockets = place.run(|| overflow(&v4));
    screen.wait_for("drops", |shown| line(shown, &ends[0]).is_some_and(|line| line.contains("2/1 !")));
    screen.resize(160, 24);
    screen.wait_for("drops", |shown| {
        let title = shown.lines().find(|line| line.contains("LISTENERS 3"));
        let told = line(shown, &ends[0]).map(|line| line.split_whitespace().collect::<Vec<_>>());
        title.is_some_and(|title| title.contains("NEW/S  ACC/S  DROPS"))
            && told.is_some_and(|words| {
                words[2] == "2/1" && words[6].parse::<u64>().is_ok_and(|drops| drops > 0)
            })
    });
    screen.keys(&["q"]);
}

/// However many other sockets there are: to look at them all takes too long for every second.
#[test]
fn listeners_are_fresh_among_many_connections() {
    let place = Place::new();
    let quiet = place.run(|| listener(Ipv4Addr::UNSPECIFIED.into(), false, 9));
    // Those in TIME_WAIT count, too, and need no file descriptors.
    churn(&place, 20_000);
    let screen = top(&place, 160);
    let end = format!("0.0.0.0:{}", quiet.local_addr().unwrap().port());
    let queue = |shown: &str| Some(line(shown, &end)?.split_whitespace().nth(2)?.to_owned());
    screen.wait_for("the listener", |shown| queue(shown).is_some_and(|queue| queue == "0/9"));
    let mut waiting = Vec::new();
    for length in 1..=3 {
        waiting.push(
            place.run(|| connect(([127, 0, 0, 1], quiet.local_addr().unwrap().port()).into()).unwrap()),
        );
        screen
            .wait_for("its queue", |shown| queue(shown).is_some_and(|queue| queue == format!("{length}/9")));
    }
    until("no reading that is not fresh", || (!screen.shown().contains("s?")).then_some(()));
    screen.keys(&["q"]);
}

/// Listens with this backlog, and accepts nothing.
const LISTENS: &str = "
import signal, socket, sys
listener = socket.create_server((sys.argv[1], int(sys.argv[2])), backlog=500)
print('ready', flush=True)
signal.pause()
";

/// Begins so many connects, and waits for none.
const CONNECTS: &str = "
import signal, socket, sys
held = []
for _ in range(int(sys.argv[3])):
    held.append(socket.socket())
    held[-1].setblocking(False)
    held[-1].connect_ex((sys.argv[1], int(sys.argv[2])))
print('ready', flush=True)
signal.pause()
";

/// No single one of them is seen where the kernel does not allow its hook, but the listener counts them.
#[test]
fn half_open_connections_that_fit_into_the_backlog() {
    let (near, far) = Place::pair();
    // The clients never hear the server's answers.
    let rules = "table ip t { chain c { type filter hook input priority 0; tcp sport 8080 drop; }; }";
    run(near.command("nft").arg(rules));
    let server = python(&far, LISTENS, &["10.77.0.2", "8080"]);
    let at_server = Watch::new(&far, "--finding half-open=60", "life");
    let at_client = Watch::new(&near, "--stuck SYN_SENT=1h", "life");
    let client = python(&near, CONNECTS, &["10.77.0.2", "8080", "60"]);
    // The SYN-ACK, or the SYN, is sent again.
    let due = Instant::now() + Duration::from_secs(1);
    let is_whole = |line: &Line| line["local_port"] == 8080 && line["count"] == 60;
    let found = at_server.finds("half-open", due, is_whole, &[" 60 ", "port 8080"]);
    assert!(is_of(&found, &server), "{found}");
    let waits = |line: &Line| goes_to(line, ([10, 77, 0, 2], 8080).into()) && line["count"] == 60;
    let found = at_client.finds("slow-handshakes", due, waits, &[" 60 ", "10.77.0.2:8080"]);
    assert!(is_of(&found, &client), "{found}");
    assert!(text(&found, "evidence").starts_with("60 without an answer yet, oldest "), "{found}");
}
