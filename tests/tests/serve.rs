//! Metrics: what Prometheus learns of them is what the kernel says.

// A panic is how a test says that it failed.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    collections::BTreeMap,
    fs,
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, TcpListener, TcpStream},
    process::Command,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
};

use rustix::process::Signal;
use tests::{
    patience::{Stops, until},
    place::Place,
    program::{self, close},
    prometheus::{Prometheus, faults},
    served::{get, metrics, serve},
    tracer,
    traffic::{churn, connect, listen, storm},
};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The sum of all series of a family with this label.
fn sum(metrics: &BTreeMap<String, f64>, family: &str, label: &str) -> f64 {
    let series =
        metrics.iter().filter(|(name, _)| name.starts_with(&format!("{family}{{")) && name.contains(label));
    series.map(|(_, value)| value).sum()
}

/// Whoever asks without a pause does not keep events from being read.
#[test]
fn scrapes_all_the_time_leave_time_for_events() {
    let place = Place::new();
    let (tracer, address) = serve(&format!("--netns {}", place.inum()));
    let (asked, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let _stops = Stops(&is_over);
        for _ in 0..8 {
            scope.spawn(|| {
                let mut stream = TcpStream::connect(address).unwrap();
                let mut buffer = vec![0; 1 << 16];
                while !is_over.load(Ordering::Relaxed) {
                    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
                    // The rest of an answer comes with the next one.
                    assert!(stream.read(&mut buffer).unwrap() > 0);
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for round in 1..=3_u32 {
            let before = asked.load(Ordering::Relaxed);
            until("scrapes", || (asked.load(Ordering::Relaxed) > before + 100).then_some(()));
            churn(&place, 100);
            until("what has been made meanwhile", || {
                let begun = metrics(address)["tracer_tcp_connections_begun_total"];
                (begun >= f64::from(200 * round)).then_some(())
            });
        }
    });
    assert_eq!(tracer.interrupt().code(), 0);
}

#[test]
#[allow(clippy::cast_precision_loss)]
fn prometheus_learns_what_the_kernel_counts() {
    let place = Place::new();
    let (tracer, address) = serve(&format!("--netns {} --label service,process,peer", place.inum()));
    let prometheus = Prometheus::start(address);
    churn(&place, 100);
    // Nobody listens there.
    for port in 1..=5 {
        place.run(|| connect((V4, port).into())).unwrap_err();
    }
    place.settle();
    let listener = place.run(|| listen(V4, 0));
    let kept: Vec<_> = (0..3)
        .map(|_| {
            let client = place.run(|| connect(listener.local_addr().unwrap())).unwrap();
            (client, listener.accept().unwrap().0)
        })
        .collect();
    let begun = (place.tcp_counter("ActiveOpens") + place.tcp_counter("PassiveOpens")) as f64;
    assert!(begun >= 211.0, "{begun}");
    prometheus.wait_for("tracer_tcp_connections_begun_total", begun);
    prometheus.wait_for("tracer_tcp_connections_ended_total", begun - 6.0);
    prometheus.wait_for("sum(tracer_tcp_ends_total)", begun - 6.0);
    prometheus.wait_for("sum(tracer_tcp_ends_total{reason=\"refused\"})", 5.0);
    for by in ["service", "process", "peer"] {
        for (event, count) in [("begun", begun), ("ended", begun - 6.0)] {
            prometheus
                .wait_for(&format!("sum(tracer_tcp_{by}_connections_total{{event=\"{event}\"}})"), count);
        }
    }
    prometheus.wait_for("tracer_tcp_handshake_seconds_count{role=\"client\"}", 103.0);
    prometheus.wait_for(
        "histogram_quantile(0.5, tracer_tcp_handshake_seconds_bucket{role=\"client\"}) < bool 1",
        1.0,
    );
    let sockets = program::run(place.command("ss").args(["-tanH"]));
    let count = |state: &str| sockets.lines().filter(|line| line.starts_with(state)).count() as f64;
    for (state, word) in [("ESTABLISHED", "ESTAB"), ("LISTEN", "LISTEN"), ("TIME_WAIT", "TIME-WAIT")] {
        prometheus.wait_for(&format!("tracer_tcp_sockets{{state=\"{state}\"}}"), count(word));
    }
    assert!(prometheus.query("up").iter().all(|(_, up)| (up - 1.0).abs() < 1e-9));
    let (_, text) = get(address, "/metrics", &[]);
    assert_eq!(faults(&(text.clone() + "\n")), "");
    let documented = include_str!("../../docs/metrics.md");
    for family in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()) {
        assert!(documented.contains(&format!("`{family}`")), "{family} is not in docs/metrics.md");
    }
    close(kept);
    let ended = tracer.interrupt();
    assert_eq!(ended.code(), 0, "{}", ended.err);
}

#[test]
fn labels_are_bounded_and_their_sum_is_the_whole() {
    let place = Place::new();
    let (tracer, address) = serve(&format!("--netns {} --label service", place.inum()));
    // More services than there are labels.
    for port in 1..=300 {
        place.run(|| connect((V4, port).into())).unwrap_err();
    }
    let family = "tracer_tcp_service_connections_total";
    until("all connections", || {
        let metrics = metrics(address);
        (metrics["tracer_tcp_connections_begun_total"] >= 300.0).then_some(())
    });
    let metrics = metrics(address);
    let series = metrics.keys().filter(|name| name.starts_with(family) && name.contains("begun")).count();
    assert_eq!(series, 101, "100 of their own, and the others");
    assert!((sum(&metrics, family, "begun") - 300.0).abs() < 1e-9, "{metrics:?}");
    assert!((metrics[&format!("{family}{{service=\"other\",event=\"begun\"}}")] - 200.0).abs() < 1e-9);
    assert!(metrics.len() < 2_000);
    assert_eq!(tracer.interrupt().code(), 0);
}

#[test]
fn http_is_answered_as_it_should_be() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    fs::write(&token, "a-secret\n").unwrap();
    let (tracer, address) = serve(&format!("--bearer-token {} --port 1", token.display()));
    assert_eq!(get(address, "/metrics", &[]).0, 401);
    assert_eq!(get(address, "/metrics", &["-H", "Authorization: Bearer another"]).0, 401);
    let secret = ["-H", "Authorization: Bearer a-secret"];
    assert_eq!(get(address, "/metrics", &secret).0, 200);
    assert_eq!(get(address, "/healthz", &[]), (200, "ok".to_owned()));
    assert_eq!(get(address, "/readyz", &[]), (200, "ready".to_owned()));
    assert_eq!(get(address, "/nothing", &secret).0, 404);
    assert_eq!(get(address, "/metrics", &["-X", "POST", secret[0], secret[1]]).0, 405);
    let (_, page) = get(address, "/", &secret);
    assert!(page.contains("<a href=\"/metrics\">"), "{page}");
    let open_metrics = ["-H", "Accept: application/openmetrics-text; version=1.0.0", secret[0], secret[1]];
    assert!(get(address, "/metrics", &open_metrics).1.ends_with("# EOF"));
    let long = format!("X: {}", "x".repeat(100_000));
    assert!((400..500).contains(&get(address, "/metrics", &["-H", &long]).0));
    // What is no HTTP, and who never ends a request, do no harm.
    let mut nonsense = TcpStream::connect(address).unwrap();
    nonsense.write_all(b"\x16\x03\x01\x02\x00\x01\x00 no request\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    nonsense.read_to_end(&mut answer).unwrap();
    let mut slow: Vec<_> = (0..20).map(|_| TcpStream::connect(address).unwrap()).collect();
    for slow in &mut slow {
        slow.write_all(b"GET /met").unwrap();
    }
    assert_eq!(get(address, "/metrics", &secret).0, 200);
    assert_eq!(tracer.interrupt().code(), 0);
}

/// Each label has a family of its own, and with many of them each has fewer values.
#[test]
fn all_labels_together_are_bounded() {
    let place = Place::new();
    let labels = "service,peer,process,pid,cgroup,container,netns,state";
    let (tracer, address) = serve(&format!("--netns {} --label {labels}", place.inum()));
    for port in 1..=80 {
        place.run(|| connect((V4, port).into())).unwrap_err();
    }
    until("all connections", || {
        (metrics(address)["tracer_tcp_connections_begun_total"] >= 80.0).then_some(())
    });
    let (_, text) = get(address, "/metrics", &[]);
    assert_eq!(faults(&(text + "\n")), "");
    let metrics = metrics(address);
    for label in labels.split(',') {
        let family = format!("tracer_tcp_{label}_connections_total");
        assert!((sum(&metrics, &family, "begun") - 80.0).abs() < 1e-9, "{label}: {metrics:?}");
    }
    let services = metrics.keys().filter(|name| name.contains("{service=") && name.contains("begun")).count();
    assert_eq!(services, 51, "50 of their own, and the others");
    assert_eq!(tracer.interrupt().code(), 0);
}

/// Who asks for much and reads nothing keeps others out for seconds only.
#[test]
fn who_does_not_read_is_cut_off() {
    let (tracer, address) = serve("--port 1");
    let requests = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n".repeat(20_000);
    let greedy: Vec<_> = (0..64)
        .map(|_| {
            let mut client = TcpStream::connect(address).unwrap();
            client.set_nonblocking(true).unwrap();
            // Its buffers are full then.
            while client.write(&requests).is_ok() {}
            client
        })
        .collect();
    until("an answer to somebody else", || {
        let mut curl = Command::new("curl");
        let answer = program::output(curl.args(["-sS", "-m", "5", &format!("http://{address}/healthz")]));
        answer.status.success().then_some(())
    });
    drop(greedy);
    assert_eq!(tracer.interrupt().code(), 0);
}

#[test]
fn what_cannot_be_is_said() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let ended = tracer::run(&format!("serve --listen {address}"));
    assert!(ended.code() == 1 && ended.err.contains(&format!("cannot listen on {address}")), "{}", ended.err);
    let ended = tracer::run("serve --bearer-token /nowhere");
    assert!(ended.code() == 2 && ended.err.contains("/nowhere"), "{}", ended.err);
    let ended = tracer::run("serve --bearer-token /dev/null");
    assert!(ended.code() == 2 && ended.err.contains("is empty"), "{}", ended.err);
}

const DIFFERENCE: &str = "tracer_kernel_difference";

/// What is counted of connections, and the kernel's name of it.
const EVENTS: [(&str, &str); 4] = [
    ("opened", "ActiveOpens"),
    ("accepted", "PassiveOpens"),
    ("failed", "AttemptFails"),
    ("reset", "EstabResets"),
];

fn of_event(metrics: &BTreeMap<String, f64>, family: &str, event: &str) -> f64 {
    metrics[&format!("{family}{{event=\"{event}\"}}")]
}

/// What events tell is what the kernel has counted, at each scrape while connections come and go.
#[test]
#[allow(clippy::cast_precision_loss)]
fn events_agree_with_the_kernel_at_each_scrape() {
    let (place, other) = Place::pair();
    let (tracer, address) = serve(&format!("--netns {},{}", place.inum(), other.inum()));
    let is_over = AtomicBool::new(false);
    let mut scrapes = 0;
    thread::scope(|scope| {
        let load = scope.spawn(|| {
            let _stops = Stops(&is_over);
            storm(&[&place, &other], 400, 19);
            churn(&other, 5_000);
        });
        while !is_over.load(Ordering::Relaxed) {
            let metrics = metrics(address);
            for (event, _) in EVENTS {
                let difference = of_event(&metrics, DIFFERENCE, event);
                assert!(difference.abs() < 1e-9, "{event} after {scrapes} scrapes: {metrics:?}");
            }
            scrapes += 1;
        }
        load.join().unwrap();
    });
    assert!(scrapes > 20, "{scrapes}");
    assert!((1e-6..0.5).contains(&metrics(address)["tracer_buffer_used_peak_ratio"]));
    place.settle();
    other.settle();
    // Only then have half-open connections ended, which may be counted or not.
    for (event, counter) in EVENTS.into_iter().filter(|(event, _)| *event != "failed") {
        let counted = (place.tcp_counter(counter) + other.tcp_counter(counter)) as f64;
        for family in ["tracer_tcp_connections_total", "tracer_kernel_tcp_connections_total"] {
            until(&format!("{family} {event} {counted}"), || {
                (of_event(&metrics(address), family, event) - counted).abs().lt(&1e-9).then_some(())
            });
        }
    }
    assert_eq!(tracer.interrupt().code(), 0);
}

/// Whoever looks at the metrics sees that events are missing, and how many connections.
#[test]
fn losses_show_as_a_difference() {
    let place = Place::new();
    let (tracer, address) = serve(&format!("--netns {} --buffer 4KiB", place.inum()));
    churn(&place, 10);
    until("the first connections", || {
        (of_event(&metrics(address), "tracer_kernel_tcp_connections_total", "opened") >= 10.0).then_some(())
    });
    tracer.signal(Signal::STOP);
    churn(&place, 2_000);
    tracer.signal(Signal::CONT);
    until("a difference", || {
        let metrics = metrics(address);
        let [kernel, here] = ["tracer_kernel_tcp_connections_total", "tracer_tcp_connections_total"]
            .map(|family| of_event(&metrics, family, "opened"));
        let missing = kernel - here;
        let is_whole = (kernel - 2_010.0).abs() < 1e-9 && missing > 1_000.0;
        (is_whole && (of_event(&metrics, DIFFERENCE, "opened") - missing).abs() < 1e-9).then_some(())
    });
    let metrics = metrics(address);
    assert!(sum(&metrics, "tracer_events_lost_total", "") > 1_000.0);
    assert!((0.9..=1.0).contains(&metrics["tracer_buffer_used_peak_ratio"]), "{metrics:?}");
    assert!(metrics["tracer_buffer_bytes"] >= 4096.0, "{metrics:?}");
    assert_eq!(tracer.interrupt().code(), 0);
}

/// With other filters there is nothing to compare.
#[test]
fn a_part_is_not_compared_with_the_whole() {
    let (tracer, address) = serve("--port 1");
    assert!(!metrics(address).keys().any(|name| name.starts_with(DIFFERENCE)));
    assert_eq!(tracer.interrupt().code(), 0);
}
