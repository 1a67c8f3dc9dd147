//! Real resets, compared with the kernel's own trace and counters.

use std::{
    io::Write as _,
    net::{IpAddr, SocketAddr, TcpStream},
    ops::RangeInclusive,
    thread,
    time::Duration,
};

use rustix::process::Signal;
use socket2::{Domain, SockRef, Socket, Type};
use tests::{
    incidents::{ADDRESS, Scene, end_of, is_own, local, of, only, remote, what},
    patience::until_or,
    place::Place,
    program::{close, run},
    remote::{ACK, FIN_ACK, RST_ACK, Remote, SYN, SYN_ACK, THERE},
    story::{self, Line, text},
    tracefs::{Told, Trace},
    tracer,
    traffic::{self, connect, wait_for_end},
};

/// The reason of a line that ends a connection, and its columns about the last RST.
fn reset(line: &Line) -> (&str, &str, &str) {
    (text(line, "reason"), text(line, "reset"), text(line, "reset_reason"))
}

/// The closing side sends its RST when the socket is already in CLOSE. So its line comes after the
/// transition, whose columns cannot show it. On the other side the line comes before the transition.
fn closed_with_reset(close: impl FnOnce(&mut TcpStream, &mut TcpStream), reason: &str, why: &str) {
    let scene = Scene::new("--resets --retransmits");
    let (_listener, mut client, mut server) = scene.connected();
    let (here, there) = (client.local_addr().unwrap(), server.local_addr().unwrap());
    close(&mut client, &mut server);
    let closed = Socket::from(client);
    drop(closed);
    wait_for_end(&mut server);
    scene.wait_for("reset", 2);
    let lines = scene.finish();
    let sent = only(&lines, "reset sent", here);
    assert_eq!((remote(sent), text(sent, "reset_reason")), (there, why));
    assert_eq!((text(sent, "old_state"), text(sent, "new_state")), ("CLOSE", "CLOSE"));
    assert!(is_own(sent), "{sent}");
    let end = end_of(&lines, here);
    assert_eq!(reset(end), (reason, "", ""));
    assert_eq!(sent["cookie"], end["cookie"]);
    assert!(text(end, "time") < text(sent, "time"));
    let received = only(&lines, "reset received", there);
    assert_eq!(text(received, "old_state"), "ESTABLISHED");
    assert!(received["reset_reason"].is_null() && is_own(received), "{received}");
    assert_eq!(reset(end_of(&lines, there)), ("reset-remote", "received", ""));
    assert!(text(received, "time") < text(end_of(&lines, there), "time"));
}

#[test]
fn linger_zero() {
    let set = |client: &mut TcpStream, _: &mut TcpStream| {
        SockRef::from(&*client).set_linger(Some(Duration::ZERO)).unwrap();
    };
    closed_with_reset(set, "reset-local-linger", "tcp-state");
}

#[test]
fn unread_data() {
    let send = |client: &mut TcpStream, server: &mut TcpStream| {
        server.write_all(b"unread").unwrap();
        client.peek(&mut [0]).unwrap();
    };
    closed_with_reset(send, "reset-local-unread", "tcp-abort-on-close");
}

/// A closed port sends an RST without a socket.
#[test]
fn refused() {
    for address in [IpAddr::from(ADDRESS), "fd77::1".parse().unwrap()] {
        let scene = Scene::new("--resets --retransmits");
        let closed = SocketAddr::new(address, 9);
        scene.place.run(|| connect(closed).unwrap_err());
        scene.wait_for("reset", 2);
        let inum = scene.place.inum();
        let lines = scene.finish();
        let client = lines.iter().find(|line| text(line, "reason") == "refused").unwrap();
        assert_eq!(reset(client), ("refused", "received", ""));
        let sent = only(&lines, "reset sent", closed);
        assert_eq!((remote(sent), text(sent, "reset_reason")), (local(client), "no-socket"));
        assert_eq!(sent["netns"].as_u64(), Some(inum));
        for key in ["cookie", "pid", "comm", "uid", "cgroup", "tx_bytes", "retransmits", "role", "send_queue"]
        {
            assert!(sent[key].is_null(), "{key} without a socket: {sent}");
        }
        let received = only(&lines, "reset received", local(client));
        assert_eq!((text(received, "old_state"), &received["cookie"]), ("SYN_SENT", &client["cookie"]));
    }
}

/// `ss -K` makes the kernel send the RST before the close, so the last transition shows it. `ss` is not the
/// owner.
#[test]
fn aborted() {
    let scene = Scene::new("--resets --retransmits");
    let (_listener, client, mut server) = scene.connected();
    let here = client.local_addr().unwrap();
    run(scene.place.command("ss").args(["-K", "sport", "=", &format!(":{}", here.port())]));
    wait_for_end(&mut server);
    scene.wait_for("reset", 2);
    let lines = scene.finish();
    let sent = only(&lines, "reset sent", here);
    let end = end_of(&lines, here);
    assert_eq!(reset(end), ("aborted", "sent", text(sent, "reset_reason")));
    assert!(!text(end, "reset_reason").is_empty());
    assert!(is_own(sent) && is_own(end), "{sent} {end}");
    assert_eq!(text(sent, "old_state"), "ESTABLISHED");
}

/// Data arrives at an orphan in FIN_WAIT2. The kernel answers with an RST and ends the timewait socket at
/// once.
#[test]
fn data_after_the_close() {
    let scene = Scene::new("--resets --retransmits");
    let (_listener, client, mut server) = scene.connected();
    let here = client.local_addr().unwrap();
    close(client);
    let is_waiting = || scene.lines().iter().any(|line| text(line, "new_state") == "FIN_WAIT2").then_some(());
    until_or("FIN_WAIT2", is_waiting, || scene.tracer.out());
    server.write_all(b"late").unwrap();
    scene.wait_for("reset", 2);
    let lines = scene.finish();
    let sent = only(&lines, "reset sent", here);
    assert_eq!((text(sent, "old_state"), text(sent, "reset_reason")), ("FIN_WAIT2", "tcp-timewait-socket"));
    assert!(is_own(sent) && text(sent, "role") == "client", "{sent}");
    let end = end_of(&lines, here);
    assert_eq!(reset(end), ("reset-local-late-data", "sent", "tcp-timewait-socket"));
    assert_eq!((text(end, "old_state"), end["state_error_us"].as_f64()), ("FIN_WAIT2", Some(0.0)));
    assert_eq!((&end["time"], &end["cookie"]), (&sent["time"], &sent["cookie"]));
}

/// A connection to a hand-made peer.
fn connected_far(options: &str) -> (Scene, Remote, TcpStream) {
    let place = Place::new();
    let mut far = Remote::new(&place, 7000);
    let scene = Scene::at(place, options);
    let to = far.address();
    let client = thread::scope(|scope| {
        let client = scope.spawn(|| scene.place.run(|| connect(to).unwrap()));
        far.expect(SYN);
        far.send(SYN_ACK);
        client.join().unwrap()
    });
    (scene, far, client)
}

/// Data arrives with the ACK of the FIN. The transition `FIN_WAIT2 -> CLOSE` is also that of a socket which a
/// timewait socket replaces. Only the RST shows that none does.
#[test]
fn data_with_the_last_ack() {
    let (scene, mut far, client) = connected_far("--resets --retransmits");
    let here = client.local_addr().unwrap();
    close(client);
    far.expect(FIN_ACK);
    far.send_data(b"late");
    scene.wait_for("reset", 1);
    let lines = scene.finish();
    let sent = only(&lines, "reset sent", here);
    assert_eq!((text(sent, "old_state"), text(sent, "reset_reason")), ("CLOSE", "tcp-abort-on-data"));
    let end = end_of(&lines, here);
    assert_eq!(reset(end), ("reset-local-late-data", "sent", "tcp-abort-on-data"));
    assert_eq!((text(end, "old_state"), text(end, "new_state")), ("FIN_WAIT2", "CLOSE"));
    assert!(end["state_error_us"].as_f64().unwrap() < 1e3, "{end}");
}

/// A connection that this process has closed, and whose FIN the peer has not acknowledged yet.
fn unacknowledged(options: &str) -> (Scene, Remote, SocketAddr) {
    let (scene, mut far, client) = connected_far(options);
    let here = client.local_addr().unwrap();
    close(client);
    let before_fin = far.ack;
    far.expect(FIN_ACK);
    far.ack = before_fin;
    (scene, far, here)
}

/// Data arrives in FIN_WAIT1, and no process can read it any more. The kernel calls `tcp_receive_reset` and
/// leaves ECONNRESET, as for an RST that arrives; but this side sends the RST.
#[test]
fn data_before_the_last_ack() {
    let (scene, mut far, here) = unacknowledged("--resets --retransmits");
    far.send_data(b"late");
    scene.wait_for("reset", 1);
    let lines = scene.finish();
    let end = end_of(&lines, here);
    assert_eq!((text(end, "old_state"), text(end, "new_state")), ("FIN_WAIT1", "CLOSE"));
    assert_eq!(reset(end), ("reset-local-late-data", "sent", "tcp-abort-on-data"));
    assert_eq!(text(end, "closed_by"), "local");
    let sent = only(&lines, "reset sent", here);
    assert!(is_own(sent) && text(sent, "role") == "client", "{sent}");
    assert_eq!((text(sent, "old_state"), text(sent, "reset_reason")), ("FIN_WAIT1", "tcp-abort-on-data"));
    assert_eq!(of(&lines, "reset").len(), 1, "none was received: {lines:#?}");
}

/// The peer's RST at the same moment is told as such.
#[test]
fn an_rst_before_the_last_ack() {
    let (scene, mut far, here) = unacknowledged("--resets --retransmits");
    far.send(RST_ACK);
    scene.wait_for("reset", 1);
    let lines = scene.finish();
    let end = end_of(&lines, here);
    assert_eq!((text(end, "old_state"), reset(end)), ("FIN_WAIT1", ("reset-remote", "received", "")));
    assert_eq!(text(only(&lines, "reset received", here), "old_state"), "FIN_WAIT1");
}

/// Without the hooks for resets nobody can tell one from the other.
#[test]
fn without_hooks_both_are_unknown() {
    for is_data in [true, false] {
        let (scene, mut far, here) = unacknowledged("--hooks minimal");
        if is_data {
            far.send_data(b"late");
        } else {
            far.send(RST_ACK);
        }
        let has_ended = || scene.lines().iter().any(|line| text(line, "new_state") == "CLOSE").then_some(());
        until_or("the end", has_ended, || scene.tracer.out());
        let end = end_of(&scene.lines(), here).clone();
        assert_eq!((text(&end, "reason"), text(&end, "error")), ("unknown", "ECONNRESET"), "{end}");
    }
}

/// A connection that this side has ended with unread data, so that the peer got an RST.
fn ended_unread() -> (Scene, Remote, SocketAddr) {
    let (scene, mut far, client) = connected_far("--resets --retransmits");
    let here = client.local_addr().unwrap();
    far.send_data(b"unread");
    client.peek(&mut [0]).unwrap();
    close(client);
    far.expect(RST_ACK);
    (scene, far, here)
}

/// More data arrives for a connection that this side has just reset. No socket is left to tell whose the RST is.
#[test]
fn data_after_the_end() {
    let (scene, mut far, here) = ended_unread();
    far.send_data(b"late");
    scene.wait_for("reset", 2);
    // Nor is one left for a segment that belongs to no connection.
    far.port += 1;
    far.send_data(b"other");
    scene.wait_for("reset", 3);
    let lines = scene.finish();
    let end = end_of(&lines, here);
    assert_eq!(text(end, "reason"), "reset-local-unread");
    let [_, late, other] = of(&lines, "reset")[..] else { panic!("{lines:#?}") };
    for sent in [late, other] {
        assert_eq!((local(sent), text(sent, "reset_reason")), (here, "no-socket"), "{sent}");
    }
    assert!(is_own(late) && text(late, "role") == "client", "{late}");
    assert_eq!(late["cookie"], end["cookie"], "{late}");
    for key in ["cookie", "pid", "comm", "role"] {
        assert!(other[key].is_null(), "{key} of no connection: {other}");
    }
}

/// The peer opens a new connection with the same four numbers, and nobody listens. The connection that has ended just
/// before has nothing to do with it; but a late SYN-ACK answers its own SYN.
#[test]
fn a_new_syn_after_the_end() {
    let (scene, mut far, here) = ended_unread();
    for (at, flags) in [(2, SYN), (3, SYN_ACK)] {
        far.send(flags);
        scene.wait_for("reset", at);
    }
    let lines = scene.finish();
    let [_, of_syn, of_syn_ack] = of(&lines, "reset")[..] else { panic!("{lines:#?}") };
    for sent in [of_syn, of_syn_ack] {
        assert_eq!((local(sent), text(sent, "reset_reason")), (here, "no-socket"), "{sent}");
    }
    for key in ["cookie", "pid", "comm", "role"] {
        assert!(of_syn[key].is_null(), "{key} of no connection: {of_syn}");
    }
    assert_eq!(of_syn_ack["cookie"], end_of(&lines, here)["cookie"], "{of_syn_ack}");
}

/// A segment arrives at a listener, but belongs to no connection.
#[test]
fn reset_of_a_listener() {
    let (scene, mut far, listener) = Scene::listening("--resets --retransmits");
    let here = listener.local_addr().unwrap();
    far.send(ACK);
    scene.wait_for("reset", 1);
    let lines = scene.finish();
    let sent = only(&lines, "reset sent", here);
    assert_eq!(remote(sent), SocketAddr::from((THERE, 7000)));
    assert_eq!(text(sent, "old_state"), "LISTEN");
    assert!(sent["cookie"].is_null() && is_own(sent), "the listener's owner, but not its cookie: {sent}");
}

/// `life` shows the last reset in its columns.
#[test]
fn life_tells_of_the_last_reset() {
    let place = Place::new();
    let tracer = tracer::start(&format!("life -o json --netns {}", place.name()));
    place.run(|| connect(SocketAddr::from((ADDRESS, 9))).unwrap_err());
    let ended = tracer.interrupt();
    let lines = story::lines(&ended.out);
    assert_eq!(lines.len(), 1, "{}", ended.out);
    assert_eq!(reset(&lines[0]), ("refused", "received", ""));
}

/// The filters in the kernel apply to resets, too.
#[test]
fn filters() {
    for (filter, count) in [
        ("--port 9", 2),
        ("-D 9", 1),
        ("-L 9", 1),
        ("--port 10", 0),
        ("--addr 127.77.21.1", 2),
        ("--addr 127.77.21.2", 0),
        ("-4", 2),
        ("-6", 0),
        ("--netns 1", 0),
    ] {
        let place = Place::new();
        let netns =
            if filter.contains("netns") { String::new() } else { format!("--netns {}", place.name()) };
        let tracer = tracer::start(&format!("-o json --resets {filter} {netns}"));
        place.run(|| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.bind(&SocketAddr::from((ADDRESS, 0)).into()).unwrap();
            socket.connect(&SocketAddr::from((ADDRESS, 9)).into()).unwrap_err();
        });
        let ended = tracer.interrupt();
        let lines = story::lines(&ended.out);
        assert_eq!(of(&lines, "reset").len(), count, "{filter}: {}{}", ended.out, ended.err);
    }
}

#[test]
fn text_lines() {
    let place = Place::new();
    let tracer = tracer::start(&format!("--resets --netns {}", place.name()));
    place.run(|| connect(SocketAddr::from((ADDRESS, 9))).unwrap_err());
    let ended = tracer.interrupt();
    let ends: Vec<_> =
        ended.out.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>()).collect();
    assert_eq!(ends[1][6..], ["CLOSE", "reset", "sent", "(no-socket)"], "{}", ended.out);
    assert_eq!(ends[2][6..], ["SYN_SENT", "reset", "received"], "{}", ended.out);
    assert!(ended.out.lines().all(|line| line.len() <= 120), "{}", ended.out);
    assert!(ended.err.contains("; 2 tell of resets and retransmissions"), "{}", ended.err);
}

/// Compares all resets and retransmissions of random traffic with the kernel's own trace.
fn the_kernels_own_trace_says_the_same_in(seeds: RangeInclusive<u64>) {
    for seed in seeds {
        let (left, right) = Place::pair();
        let netns = format!("--netns {},{}", left.name(), right.name());
        let tracer = tracer::start(&format!("-o json --resets --retransmits {netns}"));
        let trace = Trace::start();
        traffic::storm(&[&left, &right], 120, seed);
        [&left, &right].into_iter().for_each(Place::settle);
        let theirs = trace.finish(&[&left, &right]);
        let ended = tracer.interrupt();
        assert_eq!((ended.code(), tracer::lost(&ended)), (0, 0), "{}", ended.err);
        let lines = story::lines(&ended.out);
        let mut ours: Vec<_> = lines
            .iter()
            .filter(|line| text(line, "event") != "transition")
            .map(|line| Told {
                what: what(line),
                local: local(line),
                remote: remote(line),
                reason: text(line, "reset_reason").to_owned(),
            })
            .filter(|told| [&left, &right].into_iter().any(|place| place.owns(told.local.ip())))
            .collect();
        ours.sort();
        assert!(theirs.len() > 50, "too little happened: {}", theirs.len());
        assert_eq!(ours, theirs, "seed {seed}");
        println!("seed {seed}: {} resets and retransmissions, the same", theirs.len());
    }
}

#[test]
fn the_kernels_own_trace_says_the_same() {
    the_kernels_own_trace_says_the_same_in(1..=3);
}

#[test]
#[ignore = "takes minutes: cargo xtask test --long"]
fn the_kernels_own_trace_says_the_same_in_many_storms() {
    the_kernels_own_trace_says_the_same_in(4..=40);
}

/// RSTs that the kernel sends: far more than a ring buffer of one page holds.
const SENT: u64 = 500;

/// A port scan causes an RST per port. They would fill the buffer, so they stay in the kernel without
/// `--resets`.
#[test]
fn those_of_no_connection_stay_in_the_kernel_unless_they_are_asked_for() {
    for asked in ["", "--resets"] {
        let place = Place::new();
        let mut far = Remote::new(&place, 7000);
        // Nobody listens there.
        far.peer = 9;
        let tracer = tracer::start(&format!("--buffer 4KiB {asked} --netns {}", place.name()));
        // A stopped tracer does not empty the buffer.
        tracer.signal(Signal::STOP);
        for _ in 0..SENT {
            far.send(SYN);
        }
        tracer.signal(Signal::CONT);
        let ended = tracer.interrupt();
        // Without `--resets` a few may be lost all the same: those of the whole host that happened while the
        // program was busy.
        let lost = tracer::remark(&ended, "records of other hooks were lost");
        assert_eq!(lost > SENT / 2, !asked.is_empty(), "{asked}: {}", ended.err);
    }
}
