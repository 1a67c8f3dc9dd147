//! Real retransmissions, compared with the kernel's counters.

use std::{
    io::{Read as _, Write as _},
    net::SocketAddr,
    time::Duration,
};

use socket2::{Domain, SockRef, Socket, Type};
use tests::{
    incidents::{ADDRESS, Scene, end_of, is_own, local, of, remote},
    program::close,
    remote::{ACK, SYN, SYN_ACK, THERE},
    story::text,
    traffic::wait_for_end,
};

#[test]
fn data_to_a_silent_peer() {
    let scene = Scene::new("--resets --retransmits");
    let (_listener, mut client, _server) = scene.connected();
    let here = client.local_addr().unwrap();
    SockRef::from(&client).set_tcp_user_timeout(Some(Duration::from_millis(1200))).unwrap();
    scene.cut();
    client.write_all(b"into the void").unwrap();
    wait_for_end(&mut client);
    let lines = scene.finish();
    let again = of(&lines, "retransmit");
    assert!(again.len() >= 2, "{lines:#?}");
    for (line, count) in again.iter().zip(1..) {
        assert_eq!((local(line), line["retransmits"].as_u64()), (here, Some(count)));
        assert_eq!((text(line, "old_state"), line["send_queue"].as_u64()), ("ESTABLISHED", Some(13)));
        assert_eq!(line["retransmitted"], line["time"]);
        assert!(is_own(line), "{line}");
    }
    let end = end_of(&lines, here);
    assert_eq!(text(end, "reason"), "timeout-retransmit");
    assert_eq!(end["retransmitted"], again.last().unwrap()["time"]);
}

#[test]
fn a_syn_to_a_silent_peer() {
    let scene = Scene::new("--resets --retransmits");
    scene.cut();
    let socket = scene.place.run(|| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_nonblocking(true).unwrap();
        socket.connect(&SocketAddr::from((ADDRESS, 9)).into()).unwrap_err();
        socket
    });
    let lines = scene.wait_for("retransmit", 1);
    let again = of(&lines, "retransmit")[0];
    assert_eq!(Some(local(again)), socket.local_addr().unwrap().as_socket());
    assert_eq!((text(again, "old_state"), remote(again)), ("SYN_SENT", SocketAddr::from((ADDRESS, 9))));
    assert_eq!(again["cookie"], of(&lines, "transition")[0]["cookie"]);
    close(socket);
    let end = scene.finish();
    assert_eq!(text(end.last().unwrap(), "reason"), "unanswered");
    assert_eq!(end.last().unwrap()["retransmitted"], again["time"]);
}

/// A half-open connection has the same cookie as the full socket that replaces it.
#[test]
fn a_syn_ack_to_a_silent_peer() {
    let (scene, mut far, listener) = Scene::listening("--resets --retransmits");
    let here = listener.local_addr().unwrap();
    far.send(SYN);
    far.expect(SYN_ACK);
    far.peer = here.port();
    let lines = scene.wait_for("retransmit-synack", 1);
    let again = of(&lines, "retransmit-synack")[0];
    assert_eq!((local(again), remote(again)), (here, SocketAddr::from((THERE, 7000))));
    assert_eq!((text(again, "old_state"), text(again, "role")), ("NEW_SYN_RECV", "server"));
    assert_eq!((text(again, "owner"), is_own(again)), ("listener", true));
    assert!(again["uid"].is_null() && again["retransmits"].is_null(), "{again}");
    far.send(ACK);
    let (mut server, _) = listener.accept().unwrap();
    let cookie = again["cookie"].clone();
    assert!(cookie.is_u64());
    server.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    assert!(server.read(&mut [0]).is_err());
    let lines = scene.finish();
    let born = lines.iter().find(|line| text(line, "new_state") == "SYN_RECV").unwrap();
    assert_eq!(born["cookie"], cookie);
}
