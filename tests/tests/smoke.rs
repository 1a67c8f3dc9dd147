//! The most basic test: tracer loads, and shows a connection from its beginning to its end.

use tests::{
    patience::until_or,
    place::Place,
    story::{self, whole},
    tracer,
    traffic::{Scenario, play},
};

#[test]
fn a_connection_is_told_from_beginning_to_end() {
    let place = Place::new();
    let tracer = tracer::start(&format!("-o json --netns {}", place.name()));
    place.run(|| play(Scenario::ClientCloses, place.own_v4(1).into()));
    let both = || {
        let lines = story::lines(whole(&tracer.out()));
        (lines.iter().filter(|line| !line["reason"].is_null()).count() == 2).then_some(lines)
    };
    let lines = until_or("both ends", both, || tracer.out() + &tracer.err());
    let client = story::ended(&lines, "client", "fin-local");
    let begin = ["CLOSE>SYN_SENT", "SYN_SENT>ESTABLISHED", "ESTABLISHED>FIN_WAIT1", "FIN_WAIT1>FIN_WAIT2"];
    assert_eq!(story::path(&client)[..4], begin);
    let server = story::ended(&lines, "server", "fin-remote");
    let path = ["LISTEN>SYN_RECV", "SYN_RECV>ESTABLISHED", "ESTABLISHED>CLOSE_WAIT", "CLOSE_WAIT>LAST_ACK"];
    assert_eq!(story::path(&server)[..4], path);
    let us = u64::from(std::process::id());
    assert!(client.iter().all(|line| line["pid"].as_u64() == Some(us)), "{client:#?}");
    let ended = tracer.interrupt();
    assert_eq!((ended.code(), tracer::lost(&ended)), (0, 0), "{}", ended.err);
}
