//! Alerts: lines when something begins to be wrong, and when that ends.

// A panic is how a test says that it failed.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    fs,
    io::{Read as _, pipe},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream},
};

use rustix::process::Signal;
use tests::{
    patience::until,
    place::Place,
    program::{Program, close},
    served::{address, metrics, serve},
    story::{Line, lines, text},
    tracer,
    traffic::{connect, listen},
};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A port where nobody listens.
const DISCARD: u16 = 9;

/// The alerts so far: those whose lines are whole.
fn alerts(out: &str) -> Vec<Line> {
    lines(&out[..out.rfind('\n').map_or(0, |end| end + 1)])
}

fn find<'a>(alerts: &'a [Line], event: &str, alert: &str, name: &str) -> Option<&'a Line> {
    let is_it = |line: &&Line| {
        let about = match alert {
            "finding" => text(line, "finding"),
            "reason" => text(line, "reason"),
            _ => text(line, "state"),
        };
        text(line, "event") == event && text(line, "alert") == alert && about == name
    };
    alerts.iter().filter(|line| text(line, "alert") == alert).find(is_it)
}

/// A connection whose peer has closed.
fn left_open(place: &Place, listener: &TcpListener) -> TcpStream {
    place.run(|| {
        let client = connect(listener.local_addr().unwrap()).unwrap();
        let server = listener.accept().unwrap().0;
        close(client);
        server
    })
}

#[test]
fn what_begins_is_told_and_that_it_ends() {
    let place = Place::new();
    let (mut tracer, address) =
        serve(&format!("--alerts --stuck CLOSE_WAIT=1s --on-reason refused=5/10s --netns {}", place.inum()));
    let listener = place.run(|| listen(V4, 0));
    let port = listener.local_addr().unwrap().port();
    let server = left_open(&place, &listener);
    let name = server.peer_addr().unwrap().port();
    for (alert, name) in [("stuck", "CLOSE_WAIT"), ("finding", "close-wait")] {
        tracer.wait_for_out(name, |out| find(&alerts(out), "begin", alert, name).is_some());
    }
    let begun = alerts(&tracer.out());
    let stuck = find(&begun, "begin", "stuck", "CLOSE_WAIT").unwrap();
    assert_eq!(
        (stuck["local_port"].as_u64(), stuck["remote_port"].as_u64()),
        (Some(port.into()), Some(name.into()))
    );
    assert_eq!(stuck["netns"].as_u64(), Some(place.inum()));
    assert_eq!(stuck["pid"].as_u64(), Some(std::process::id().into()));
    assert!(stuck["stuck_us"].as_f64().unwrap() >= 1e6, "{stuck:?}");
    let finding = find(&begun, "begin", "finding", "close-wait").unwrap();
    assert_eq!(finding["count"].as_u64(), Some(1));
    for _ in 0..5 {
        place.run(|| connect((V4, DISCARD).into())).unwrap_err();
    }
    tracer.wait_for_out("refusals", |out| find(&alerts(out), "begin", "reason", "refused").is_some());
    close(server);
    tracer.wait_for_out("the end", |out| {
        let alerts = alerts(out);
        find(&alerts, "end", "stuck", "CLOSE_WAIT").is_some()
            && find(&alerts, "end", "finding", "close-wait").is_some()
            && find(&alerts, "end", "reason", "refused").is_some()
    });
    let told = metrics(address);
    let ended = tracer.interrupt();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    let all = alerts(&ended.out);
    for event in ["begin", "end"] {
        let count = all.iter().filter(|line| text(line, "event") == event).count();
        let metric = told[&format!("tracer_alerts_total{{event=\"{event}\"}}")];
        assert!((metric - f64::from(u32::try_from(count).unwrap())).abs() < 1e-9, "{metric} {count}");
    }
    let end = find(&all, "end", "stuck", "CLOSE_WAIT").unwrap();
    assert_eq!((&end["cookie"], end["local_port"].as_u64()), (&stuck_cookie(&all), Some(port.into())));
    assert!(end["alert_us"].as_f64().unwrap() > 0.0 && text(end, "time") > text(&all[0], "time"));
}

/// What is stuck depends on the limits, which may change.
#[test]
fn a_reload_ends_alerts_and_begins_them_again() {
    let (place, folder) = (Place::new(), tempfile::tempdir().unwrap());
    let file = folder.path().join("options");
    let limit = |limit: &str| fs::write(&file, format!("--stuck CLOSE_WAIT={limit}\n")).unwrap();
    limit("100ms");
    let (mut tracer, _) = serve(&format!("--alerts --config {} --netns {}", file.display(), place.inum()));
    let listener = place.run(|| listen(V4, 0));
    let server = left_open(&place, &listener);
    let count = |out: &str, event: &str| {
        let is_it = |line: &&Line| (text(line, "event"), text(line, "alert")) == (event, "stuck");
        alerts(out).iter().filter(is_it).count()
    };
    tracer.wait_for_out("an alert", |out| count(out, "begin") == 1);
    for (time, event, times) in [("1h", "end", 1), ("100ms", "begin", 2), ("off", "end", 2)] {
        limit(time);
        tracer.signal(Signal::HUP);
        tracer.wait_for_out(time, |out| count(out, event) == times);
    }
    drop(server);
    let out = tracer.interrupt().out;
    assert_eq!((count(&out, "begin"), count(&out, "end")), (2, 2), "{out}");
}

fn stuck_cookie(all: &[Line]) -> serde_json::Value {
    find(all, "begin", "stuck", "CLOSE_WAIT").unwrap()["cookie"].clone()
}

/// Many stuck connections are no flood, and who does not read, or has gone, delays nothing.
#[test]
fn nobody_waits_for_the_reader() {
    let place = Place::new();
    let listener = place.run(|| listen(V4, 0));
    let arguments =
        format!("serve --listen 127.0.0.1:0 --alerts --stuck CLOSE_WAIT=100ms --netns {}", place.inum());
    for is_closed in [false, true] {
        let (mut reader, writer) = pipe().unwrap();
        // A full pipe takes nothing.
        let fcntl = rustix::pipe::fcntl_setpipe_size(&writer, 4096).unwrap();
        assert_eq!(fcntl, 4096);
        let mut command = tracer::command(&arguments);
        let program = tracer::started(Program::start(command.stdout(writer)));
        drop(command);
        let address: SocketAddr = address(&program);
        if is_closed {
            drop(reader);
            reader = pipe().unwrap().0;
        }
        let open: Vec<_> = (0..150).map(|_| left_open(&place, &listener)).collect();
        until("stuck connections are counted", || {
            let stuck: f64 = metrics(address)
                .iter()
                .filter(|(name, _)| name.starts_with("tracer_tcp_stuck{"))
                .map(|(_, count)| count)
                .sum();
            (stuck >= 150.0).then_some(())
        });
        until("alerts", || {
            let begun = metrics(address)["tracer_alerts_total{event=\"begin\"}"];
            // At most 100 connections, and what was found about them.
            assert!(begun < 110.0, "{begun}");
            (begun >= 101.0).then_some(())
        });
        if is_closed {
            until("a closed pipe", || (metrics(address)["tracer_alerts_lost_total"] >= 101.0).then_some(()));
        }
        let ended = program.interrupt();
        assert_eq!(ended.code(), 0, "{}", ended.err);
        assert_eq!(ended.err.contains("all else goes on"), is_closed, "{}", ended.err);
        assert!(ended.err.contains("were not taken by standard output"), "{}", ended.err);
        if !is_closed {
            let mut read = String::new();
            reader.read_to_string(&mut read).unwrap();
            assert!(!alerts(&read).is_empty());
        }
        close(open);
    }
}

#[test]
fn what_cannot_be_is_said() {
    for (options, text) in
        [("--on-reason refused=5/1s", "--ring or --alerts"), ("--alerts --record -", "standard output")]
    {
        let ended = tracer::run(&format!("serve {options}"));
        assert!(ended.code() == 2 && ended.err.contains(text), "{}", ended.err);
    }
}
