//! `--slow`: transitions out of a state, and in `life` connections, that took longer than a limit.

use std::{net::IpAddr, process::Command, thread, time::Duration};

use tests::{
    place::Place,
    program::{Program, close},
    story::{Line, ended, lines, number, path, text},
    tracer,
    traffic::{connect, listen},
};

/// The limit in microseconds. On a busy host a conversation of a moment may last for half a second.
const LIMIT_US: f64 = 2_000_000.0;
const LIMIT: &str = "ESTABLISHED=2s";

/// Two connections that last for a moment and for longer than the limit. Returns the client's port of the second one.
fn conversations(place: &Place) -> u64 {
    place.run(|| {
        let listener = listen(IpAddr::from([127, 77, 41, 1]), 0);
        let mut port = 0;
        for lasts in [Duration::ZERO, Duration::from_secs(3)] {
            let client = connect(listener.local_addr().unwrap()).unwrap();
            let server = listener.accept().unwrap();
            port = client.local_addr().unwrap().port();
            // There is no condition to wait for.
            thread::sleep(lasts);
            close(client);
            close(server);
        }
        u64::from(port)
    })
}

fn is_of(line: &Line, port: u64) -> bool {
    line["local_port"] == port || line["remote_port"] == port
}

#[test]
fn transitions_out_of_a_state_that_took_longer() {
    let place = Place::new();
    // The filter is repeated, and one is a list.
    let words = format!("--slow LAST_ACK=1h --slow {LIMIT},CLOSE_WAIT=1h");
    let tracer = tracer::start(&format!("-o json --netns {} --no-timewait {words}", place.name()));
    let port = conversations(&place);
    place.settle();
    let ended = tracer.interrupt();
    let lines = lines(&ended.out);
    let mut left = path(&lines.iter().collect::<Vec<_>>());
    left.sort();
    assert_eq!(left, ["ESTABLISHED>CLOSE_WAIT", "ESTABLISHED>FIN_WAIT1"], "{lines:#?}");
    for line in &lines {
        assert!(is_of(line, port) && number(line, "state_us").unwrap() > LIMIT_US, "{line}");
    }
    assert_eq!((ended.code(), tracer::passed(&ended)), (0, 2), "{}", ended.err);
}

#[test]
fn connections_that_were_in_a_state_for_longer() {
    let place = Place::new();
    let tracer = tracer::start(&format!("life -o json --netns {} --slow {LIMIT}", place.name()));
    let port = conversations(&place);
    place.settle();
    let lines = lines(&tracer.interrupt().out);
    assert_eq!(lines.len(), 2, "{lines:#?}");
    for (role, reason) in [("client", "fin-local"), ("server", "fin-remote")] {
        let line = ended(&lines, role, reason)[0];
        assert!(is_of(line, port) && number(line, "established_us").unwrap() > LIMIT_US, "{line}");
    }
}

/// As with other filters on single lines, whose the connection is may turn out later.
#[test]
fn it_goes_with_other_filters() {
    let place = Place::new();
    let words = format!("--slow {LIMIT} --pid {}", std::process::id());
    let tracer = tracer::start(&format!("-o json --netns {} {words} --state CLOSE_WAIT", place.name()));
    conversations(&place);
    place.settle();
    let lines = lines(&tracer.interrupt().out);
    let left: Vec<_> = lines.iter().map(|line| (text(line, "old_state"), text(line, "new_state"))).collect();
    assert_eq!(left, [("ESTABLISHED", "CLOSE_WAIT")]);
}

#[test]
fn wrong_limits_are_refused() {
    for (words, why) in [
        ("--slow CLOSE_WAIT", "is not STATE=TIME"),
        ("--slow CLOSE=1s", "is not a state that a connection can be stuck in"),
        ("life --slow CLOSE_WAIT=0", "give a time greater than zero"),
        ("life --slow TIME_WAIT=1s", "use `tracer log`"),
        ("--raw --slow CLOSE_WAIT=1s", "cannot be used with"),
    ] {
        let mut command = Command::new(tracer::binary());
        let ended = Program::collect(command.args(words.split(' '))).wait();
        assert_eq!(ended.code(), 2, "{words}: {}", ended.err);
        assert!(ended.err.contains(why), "{words}: {}", ended.err);
    }
}
