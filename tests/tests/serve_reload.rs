//! Options that change while `serve` runs.

// A panic is how a test says that it failed.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
};

use rustix::process::Signal;
use tests::{
    patience::until,
    place::Place,
    served::{metrics, serve},
    tracer,
    traffic::connect,
};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

const BEGUN: &str = "tracer_tcp_connections_begun_total";

#[test]
fn filters_and_labels_are_read_again() {
    let place = Place::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("options");
    let refuse = |port: u16, count: usize| {
        for _ in 0..count {
            place.run(|| connect((V4, port).into())).unwrap_err();
        }
    };
    fs::write(&file, "# those of one port\n--port 101\n\n--label service\n").unwrap();
    let (mut tracer, address) = serve(&format!("--config {} --netns {}", file.display(), place.inum()));
    let begun = |count: f64| {
        until("connections", || (metrics(address)[BEGUN] >= count).then_some(()));
        let begun = metrics(address)[BEGUN];
        assert!((begun - count).abs() < 1e-9, "{begun} and not {count}");
    };
    refuse(102, 3);
    refuse(101, 2);
    begun(2.0);
    let mut reload = |text: &str, said: &str, times: usize| {
        fs::write(&file, text).unwrap();
        tracer.signal(Signal::HUP);
        tracer.wait_for_err(said, |err| err.matches(said).count() == times);
    };
    let read_again = "the configuration was read again";
    // Nothing goes back, and other connections count from now on.
    reload("--port=102\n--label service,peer\n", read_again, 1);
    refuse(101, 4);
    refuse(102, 5);
    begun(7.0);
    let service = |port: u16| {
        format!("tracer_tcp_service_connections_total{{service=\"remote:{port}\",event=\"begun\"}}")
    };
    let now = metrics(address);
    assert!((now[&service(101)] - 2.0).abs() < 1e-9 && (now[&service(102)] - 5.0).abs() < 1e-9, "{now:?}");
    let peer = "tracer_tcp_peer_connections_total{peer=\"127.0.0.1\",event=\"begun\"}";
    assert!((now[peer] - 5.0).abs() < 1e-9, "{now:?}");
    // What is faulty changes nothing.
    for (times, faulty) in [
        "--port nonsense\n",
        "--no-such-option\n",
        "port 1\n",
        "--listen 127.0.0.1:1\n",
        "--netns 1\n",
        "--record /x\n",
    ]
    .into_iter()
    .enumerate()
    {
        reload(faulty, "what was in force stays so", times + 1);
    }
    fs::remove_file(&file).unwrap();
    tracer.signal(Signal::HUP);
    tracer.wait_for_err("a file that is gone", |err| err.matches("what was in force stays so").count() == 7);
    refuse(101, 1);
    refuse(102, 1);
    begun(8.0);
    let now = metrics(address);
    assert!((now["tracer_config_reloads_total{result=\"faulty\"}"] - 7.0).abs() < 1e-9, "{now:?}");
    assert!((now["tracer_config_reloads_total{result=\"done\"}"] - 1.0).abs() < 1e-9, "{now:?}");
    let ended = tracer.interrupt();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    assert!(
        ended.err.contains("agrees"),
        "the kernel's counters are those of the command line: {}",
        ended.err
    );
}

#[test]
fn a_faulty_file_is_said_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("options");
    fs::write(&file, "--port \x1b[31m\n").unwrap();
    for path in [&file, &folder.path().join("nothing")] {
        let ended = tracer::run(&format!("serve --config {}", path.display()));
        assert_eq!(ended.code(), 2, "{}", ended.err);
        assert!(ended.err.contains("--config /") && !ended.err.contains('\x1b'), "{}", ended.err);
    }
}

/// Without a file SIGHUP ends it, as it ends everything else.
#[test]
fn a_hangup_ends_what_has_no_file() {
    let (tracer, _) = serve("--port 1");
    tracer.signal(Signal::HUP);
    assert_eq!(tracer.wait().code(), 0);
}
