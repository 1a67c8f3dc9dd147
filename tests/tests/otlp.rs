//! OTLP: what a receiver decodes with the official protobufs is what the kernel did, also after an outage, and whatever
//! the receiver answers.

// A panic is how a test says that it failed.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::Value;
use tests::{
    cgroups,
    otlp::{Receiver, sum},
    patience::{until, until_or},
    place::Place,
    program::{close, run, spawn},
    served::{get, metrics, serve},
    tracer,
    traffic::{churn, connect, listen},
};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const METRICS: &str = "/v1/metrics";
const LOGS: &str = "/v1/logs";
const BEGUN: &str = "tracer.tcp.connections_begun";
const ENDED: &str = "tracer.tcp.connections_ended";

fn now_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos().try_into().unwrap()
}

/// How many connections the kernel has begun.
fn begun(place: &Place) -> u64 {
    place.tcp_counter("ActiveOpens") + place.tcp_counter("PassiveOpens")
}

/// Connects to where nobody listens.
fn refused(place: &Place) -> u16 {
    let port = 9;
    place.run(|| connect((V4, port).into())).unwrap_err();
    port
}

/// All series of a request, as Prometheus names them, with the values of their labels.
fn series(request: &Value) -> BTreeMap<(String, BTreeSet<String>), f64> {
    let mut all = BTreeMap::new();
    for point in request["points"].as_array().unwrap() {
        let unit = match point["unit"].as_str().unwrap() {
            "s" => "_seconds",
            "By" => "_bytes",
            _ => "",
        };
        let name = format!("{}{unit}", point["name"].as_str().unwrap().replace('.', "_"));
        let labels: BTreeSet<_> = point["attributes"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(key, value)| {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                if key == "network.connection.state" { kernel_state(&value) } else { value }
            })
            .collect();
        if point["kind"] == "histogram" {
            all.insert((format!("{name}_count"), labels.clone()), point["count"].as_f64().unwrap());
            all.insert((format!("{name}_sum"), labels.clone()), point["sum"].as_f64().unwrap());
            let bounds = point["bounds"].as_array().unwrap().iter().map(|bound| bound.as_f64().unwrap());
            let mut below = 0.0;
            for (bound, count) in bounds.chain([f64::INFINITY]).zip(point["buckets"].as_array().unwrap()) {
                below += count.as_f64().unwrap();
                let mut labels = labels.clone();
                labels.insert(format!("{bound}"));
                all.insert((format!("{name}_bucket"), labels), below);
            }
        } else {
            let total = if point["kind"] == "sum" { "_total" } else { "" };
            all.insert((format!("{name}{total}"), labels), point["value"].as_f64().unwrap());
        }
    }
    all
}

/// The kernel's name for a state.
fn kernel_state(word: &str) -> String {
    match word {
        "closed" => "CLOSE".to_owned(),
        "fin_wait_1" => "FIN_WAIT1".to_owned(),
        "fin_wait_2" => "FIN_WAIT2".to_owned(),
        "syn_received" => "SYN_RECV".to_owned(),
        // No state.
        "other" => word.to_owned(),
        word => word.to_uppercase(),
    }
}

/// The same of what was scraped.
fn scraped(address: SocketAddr) -> BTreeMap<(String, BTreeSet<String>), f64> {
    let one = |(name, value): (String, f64)| {
        let (name, labels) = name.split_once('{').unwrap_or((&name, ""));
        let labels = labels.trim_end_matches('}').split_terminator("\",");
        let labels = labels.map(|label| {
            let (key, value) = label.split_once("=\"").unwrap();
            let value = value.trim_end_matches('"');
            // Prometheus and Rust write some bounds in different ways.
            if key == "le" {
                value.replace("+Inf", "inf").parse::<f64>().unwrap().to_string()
            } else {
                value.to_owned()
            }
        });
        ((name.to_owned(), labels.collect()), value)
    };
    metrics(address).into_iter().map(one).collect()
}

#[test]
fn what_is_sent_is_what_is_scraped_and_what_the_kernel_did() {
    let place = Place::new();
    let receiver = Receiver::start("ok");
    let folder = tempfile::tempdir().unwrap();
    let headers = folder.path().join("headers");
    fs::write(&headers, "Authorization: Bearer a-secret\n\nX-Scope-OrgID: 7\n").unwrap();
    let before_ns = now_ns();
    let (tracer, address) = serve(&format!(
        "--netns {} --label service,process,peer,state --otlp {} --otlp-interval 200ms --otlp-header {}",
        place.inum(),
        receiver.url,
        headers.display()
    ));
    let ready_ns = now_ns();
    churn(&place, 100);
    for _ in 0..5 {
        refused(&place);
    }
    place.settle();
    let listener = place.run(|| listen(V4, 0));
    let client = place.run(|| connect(listener.local_addr().unwrap())).unwrap();
    let server = listener.accept().unwrap().0;
    let begun = begun(&place);
    assert_eq!(begun, 207);
    receiver.wait_for_metrics("all connections", |request| {
        (sum(request, BEGUN), sum(request, ENDED)) == (begun, begun - 2)
    });
    // Of both what was made last is compared, because what tracer uses, and what waits, goes on.
    let is_compared = |name: &str| name.starts_with("tracer_tcp_") || name.starts_with("tracer_netns_");
    let differences = RefCell::default();
    let request = until_or(
        "the same series",
        || {
            let request = receiver.accepted(METRICS).pop().unwrap();
            let (mut sent, mut scraped) = (series(&request), scraped(address));
            sent.retain(|(name, _), _| is_compared(name));
            scraped.retain(|(name, _), _| is_compared(name));
            assert!(scraped.len() > 100, "{scraped:?}");
            let is_in = |all: &BTreeMap<_, f64>, one: (&_, &f64)| {
                all.get(one.0).is_some_and(|value: &f64| (value - one.1).abs() < 1e-9)
            };
            let only_sent: Vec<_> = sent.iter().filter(|one| !is_in(&scraped, *one)).collect();
            let only_scraped: Vec<_> = scraped.iter().filter(|one| !is_in(&sent, *one)).collect();
            *differences.borrow_mut() = format!("sent: {only_sent:?}\nscraped: {only_scraped:?}");
            (only_sent.is_empty() && only_scraped.is_empty()).then_some(request)
        },
        || differences.borrow().clone(),
    );
    assert_eq!((sum(&request, BEGUN), sum(&request, ENDED)), (begun, begun - 2));

    let headers = &request["headers"];
    assert_eq!(headers["content-type"], "application/x-protobuf");
    assert_eq!(
        (&headers["authorization"], &headers["x-scope-orgid"]),
        (&"Bearer a-secret".into(), &"7".into())
    );
    let resource = &request["resource"];
    let host = run(&mut Command::new("hostname"));
    for (key, value) in [
        ("service.name", "tracer"),
        ("service.version", env!("CARGO_PKG_VERSION")),
        ("os.type", "linux"),
        ("host.name", host.trim()),
    ] {
        assert_eq!(resource[key], value, "{resource}");
    }
    assert_eq!(request["scope"], "tracer");
    let mut times = Vec::new();
    for request in receiver.accepted(METRICS) {
        let points = request["points"].as_array().unwrap();
        times.push(points[0]["time"].as_u64().unwrap());
        for point in points {
            let start_ns = point["start"].as_u64().unwrap();
            assert_eq!(point["time"], *times.last().unwrap(), "{point}");
            let is_new = ["service", "process", "peer", "state"]
                .iter()
                .any(|by| point["name"] == format!("tracer.tcp.{by}_connections"));
            match point["kind"].as_str().unwrap() {
                "gauge" => assert_eq!(start_ns, 0, "{point}"),
                kind => {
                    assert!(before_ns < start_ns && start_ns <= *times.last().unwrap(), "{point}");
                    // Series with labels may begin later.
                    let has_labels = is_new || !point["attributes"].as_object().unwrap().is_empty();
                    assert!(has_labels || start_ns <= ready_ns, "{point}");
                    assert_eq!(point["temporality"], 2, "{point}");
                    assert!(kind == "histogram" || point["is_monotonic"] == true, "{point}");
                }
            }
        }
    }
    assert!(times.is_sorted() && times[0] < *times.last().unwrap());
    let documented = include_str!("../../docs/metrics.md");
    for point in request["points"].as_array().unwrap() {
        let name = point["name"].as_str().unwrap();
        let is_rule = name.starts_with("tracer.");
        assert!(is_rule || documented.contains(&format!("`{name}`")), "{name} is not in docs/metrics.md");
        for key in point["attributes"].as_object().unwrap().keys().filter(|key| !key.starts_with("tracer.")) {
            assert!(documented.contains(&format!("`{key}`")), "{key} is not in docs/metrics.md");
        }
    }
    close((client, server));
    let ended = tracer.interrupt();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    assert!(!ended.err.contains("OTLP"), "{}", ended.err);
}

#[test]
fn the_end_of_the_run_is_sent() {
    let place = Place::new();
    let receiver = Receiver::start("ok");
    let (tracer, address) = serve(&format!(
        "--netns {} --otlp {}/v1/metrics --otlp-interval 1h --otlp-logs",
        place.inum(),
        receiver.url
    ));
    churn(&place, 700);
    until("all ends", || {
        let is_all = metrics(address)["tracer_tcp_connections_ended_total"] >= 1_400.0;
        is_all.then_some(())
    });
    let ended = tracer.interrupt();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    let requests = receiver.accepted(METRICS);
    let [last] = requests.as_slice() else { panic!("{} requests", requests.len()) };
    assert_eq!(sum(last, ENDED), 1_400);
    // More than one request can have.
    assert_eq!(receiver.records().len(), 1_400);
}

#[test]
fn an_outage_loses_no_count() {
    let place = Place::new();
    let mut receiver = Receiver::start("down");
    let (mut tracer, address) =
        serve(&format!("--netns {} --otlp {} --otlp-interval 200ms --otlp-logs", place.inum(), receiver.url));
    let fails = |err: &str| err.matches("fails, and is tried again").count();
    for outage in 1..=2 {
        receiver.answer("down");
        churn(&place, 50);
        refused(&place);
        place.settle();
        tracer.wait_for_err("a message", |err| fails(err) == 2 * outage);
        // Not only once.
        let name = "tracer_otlp_exports_total{signal=\"metrics\",result=\"failed\"}";
        let failed = |metrics: &BTreeMap<String, f64>| metrics[name];
        let before = failed(&metrics(address));
        until("another failure", || (failed(&metrics(address)) > before).then_some(()));
        receiver.answer("ok");
        let begun = begun(&place);
        receiver.wait_for_metrics("all connections", |request| {
            (sum(request, BEGUN), sum(request, ENDED)) == (begun, begun)
        });
        until("all log records", || (receiver.records().len() as u64 >= begun).then_some(()));
    }
    let records = receiver.records();
    let cookies: BTreeSet<_> =
        records.iter().map(|record| record["attributes"]["tracer.cookie"].as_u64().unwrap()).collect();
    assert_eq!((records.len() as u64, cookies.len() as u64), (begun(&place), begun(&place)));
    let ended = tracer.interrupt();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    // Said once for each outage and signal, however often was tried.
    assert_eq!((fails(&ended.err), ended.err.matches(" again\n").count()), (4, 4), "{}", ended.err);
}

#[test]
fn log_records_that_have_no_room_are_counted() {
    let place = Place::new();
    let mut receiver = Receiver::start("down");
    let (tracer, address) =
        serve(&format!("--netns {} --otlp {} --otlp-interval 200ms --otlp-logs", place.inum(), receiver.url));
    churn(&place, 5_000);
    place.settle();
    let of = |metrics: &BTreeMap<String, f64>, result: &str| {
        metrics[&format!("tracer_otlp_log_records_total{{result=\"{result}\"}}")]
    };
    let counted = until("all ends", || {
        let metrics = metrics(address);
        (metrics["tracer_tcp_connections_ended_total"] >= 10_000.0).then_some(metrics)
    });
    assert!(of(&counted, "dropped") > 0.0, "{counted:?}");
    receiver.answer("ok");
    let sum = until("all records", || {
        let metrics = metrics(address);
        let sum = of(&metrics, "accepted") + of(&metrics, "dropped");
        (sum >= 10_000.0).then_some(metrics)
    });
    let accepted = f64::from(u32::try_from(receiver.records().len()).unwrap());
    assert!((of(&sum, "accepted") - accepted).abs() < 0.5 && accepted >= 8_192.0, "{accepted}: {sum:?}");
    assert!((of(&sum, "dropped") + accepted - 10_000.0).abs() < 0.5, "{sum:?}");
    assert_eq!(tracer.interrupt().code(), 0);
}

/// A cgroup of a container, as Docker names it. It is removed when this is dropped.
struct ContainerCgroup(PathBuf);

impl ContainerCgroup {
    fn new(id: &str) -> Self {
        let path = cgroups::mount().join(format!("docker-{id}.scope"));
        fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for ContainerCgroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

#[test]
fn log_records_tell_of_connections_by_the_conventions() {
    let place = Place::new();
    let receiver = Receiver::start("ok");
    let (tracer, _) =
        serve(&format!("--netns {} --otlp {} --otlp-interval 200ms --otlp-logs", place.inum(), receiver.url));
    let before_ns = now_ns();
    let listener = place.run(|| listen(IpAddr::V6(place.own_v6()), 0));
    let port = listener.local_addr().unwrap().port();
    let client = place.run(|| connect((place.own_v6(), port).into())).unwrap();
    let client_port = client.local_addr().unwrap().port();
    let server = listener.accept().unwrap().0;
    close(client);
    close(server);
    refused(&place);
    let id = format!("{:064x}", u128::from(std::process::id()) << 96 | 0x00c0_ffee);
    let cgroup = ContainerCgroup::new(&id);
    // A command in the namespace sees no cgroups. It is refused, which is how the shell ends.
    let script = "echo $$ > $0/cgroup.procs; exec ip netns exec $1 bash -c 'exec 3<>/dev/tcp/127.0.0.1/7'";
    let mut shell = Command::new("bash");
    let shell = shell.args(["-c", script]).arg(&cgroup.0).arg(place.name()).stderr(Stdio::null());
    let status = spawn(shell).unwrap().wait().unwrap();
    assert!(!status.success());
    let records = until("four records", || {
        let records = receiver.records();
        (records.len() >= 4).then_some(records)
    });
    let after_ns = now_ns();
    assert_eq!(records.len(), 4, "{records:?}");
    let find = |key: &str, value: Value| {
        let mut found = records.iter().filter(|record| record["attributes"][key] == value);
        let record = found.next().unwrap_or_else(|| panic!("no {key} {value}: {records:?}"));
        assert!(found.next().is_none(), "{key} {value}: {records:?}");
        record
    };
    let is = |record: &Value, wanted: &[(&str, Value)]| {
        for (key, value) in wanted {
            assert_eq!(&record["attributes"][*key], value, "{key}: {record}");
        }
    };
    let address = place.own_v6().to_string();
    let of_client = find("network.local.port", client_port.into());
    is(
        of_client,
        &[
            ("network.transport", "tcp".into()),
            ("network.type", "ipv6".into()),
            ("network.local.address", address.clone().into()),
            ("network.peer.address", address.into()),
            ("network.peer.port", port.into()),
            ("tracer.role", "client".into()),
            ("tracer.reason", "fin-local".into()),
            ("tracer.closed_by", "local".into()),
            ("network.connection.state", "time_wait".into()),
            ("tracer.netns", place.inum().into()),
            ("process.pid", std::process::id().into()),
        ],
    );
    assert_eq!((&of_client["severity"], &of_client["severity_number"]), (&"INFO".into(), &9.into()));
    assert!(of_client["attributes"]["tracer.duration_us"].as_f64().unwrap() > 0.0);
    let of_server = find("tracer.role", "server".into());
    is(
        of_server,
        &[
            ("network.peer.port", client_port.into()),
            ("tracer.reason", "fin-remote".into()),
            ("network.connection.state", "closed".into()),
        ],
    );
    let of_refused = find("network.peer.port", 9.into());
    is(
        of_refused,
        &[
            ("tracer.reason", "refused".into()),
            ("network.type", "ipv4".into()),
            ("container.id", Value::Null),
        ],
    );
    assert_eq!((&of_refused["severity"], &of_refused["severity_number"]), (&"WARN".into(), &13.into()));
    assert_eq!(of_refused["body"], "TCP connection ended: refused");
    let of_container = find("network.peer.port", 7.into());
    is(of_container, &[("container.id", id.into()), ("tracer.comm", "bash".into())]);
    for record in &records {
        let time_ns = record["time"].as_u64().unwrap();
        assert!(before_ns < time_ns && time_ns < after_ns, "{record}");
        assert_eq!(record["event"], "tracer.connection.end");
    }
    let documented = include_str!("../../docs/metrics.md");
    for key in records.iter().flat_map(|record| record["attributes"].as_object().unwrap().keys()) {
        assert!(key.starts_with("tracer.") || documented.contains(&format!("`{key}`")), "{key}");
    }
    drop(cgroup);
    assert_eq!(tracer.interrupt().code(), 0);
}

#[test]
fn whatever_a_receiver_answers_tracer_goes_on() {
    let place = Place::new();
    let mut receiver = Receiver::start("ok");
    let (mut tracer, address) =
        serve(&format!("--netns {} --otlp {} --otlp-interval 100ms --otlp-logs", place.inum(), receiver.url));
    let answers = [
        ("400", "refuses metrics: 400 Bad Request: no \\x1b[31m reason"),
        ("garbage", "fails, and is tried again"),
        ("302", "refuses metrics: 302 Found"),
        ("nonsense", "accepts metrics again"),
        ("partial", "has rejected 3 items of a request with metrics: not \\x1b[31m these"),
        ("endless", "accepts metrics again"),
        ("long", "refuses metrics: 400 Bad Request"),
        ("never", "no answer within 10 s"),
    ];
    for (answer, said) in answers {
        let before = tracer.err().len();
        receiver.answer(answer);
        churn(&place, 10);
        let is_answered = |path| receiver.requests(path).iter().any(|request| request["answer"] == answer);
        until(answer, || (is_answered(METRICS) && is_answered(LOGS)).then_some(()));
        // It says so, and still counts and answers at once.
        tracer.wait_for_err(said, |err| err[before..].contains(said));
        let asked = Instant::now();
        let (status, page) = get(address, "/metrics", &["--max-time", "2"]);
        assert_eq!(status, 200, "{answer}: {page}\n{}", tracer.err());
        assert!(asked.elapsed() < Duration::from_secs(2), "{answer}: {:?}", asked.elapsed());
    }
    place.settle();
    receiver.answer("ok");
    let begun = begun(&place);
    receiver.wait_for_metrics("all connections", |request| {
        (sum(request, BEGUN), sum(request, ENDED)) == (begun, begun)
    });
    let counted = metrics(address);
    assert!(counted["tracer_otlp_rejected_data_points_total"] >= 3.0, "{counted:?}");
    assert!(counted["tracer_otlp_log_records_total{result=\"rejected\"}"] >= 20.0, "{counted:?}");
    let ended = tracer.interrupt();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    assert!(!ended.err.contains('\x1b'), "{}", ended.err);
}

#[test]
fn a_receiver_that_wants_to_be_left_alone_is() {
    let place = Place::new();
    let mut receiver = Receiver::start("503 99999999");
    let (mut tracer, _) =
        serve(&format!("--netns {} --otlp {} --otlp-interval 100ms --otlp-logs", place.inum(), receiver.url));
    tracer.wait_for_err("a message", |err| err.contains("sending metrics to"));
    let asked = Instant::now();
    churn(&place, 20);
    place.settle();
    until("its log records", || (!receiver.requests(LOGS).is_empty()).then_some(()));
    // Without the header the next one would have come after a second.
    until("two seconds", || (asked.elapsed() > Duration::from_secs(2)).then_some(()));
    assert_eq!((receiver.requests(METRICS).len(), receiver.requests(LOGS).len()), (1, 1));
    // At the end it is asked once more, for two seconds at most.
    receiver.answer("never");
    let stopped = Instant::now();
    let ended = tracer.interrupt();
    assert!(stopped.elapsed() < Duration::from_secs(4), "{:?}", stopped.elapsed());
    assert_eq!(ended.code(), 0, "{}", ended.err);
    assert!(ended.err.contains("the last metrics could not be sent to"), "{}", ended.err);
    assert!(ended.err.contains("40 log records could not be sent to"), "{}", ended.err);
    assert_eq!((receiver.requests(METRICS).len(), receiver.requests(LOGS).len()), (2, 2));
}

#[test]
fn what_cannot_be_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let headers = folder.path().join("headers");
    fs::write(&headers, "A: b\na-secret\n").unwrap();
    let with_headers = format!("--otlp http://127.0.0.1:1 --otlp-header {}", headers.display());
    for (options, said) in [
        ("--otlp http://me:secret@127.0.0.1:1", "--otlp-header"),
        ("--otlp 127.0.0.1:1", "http://127.0.0.1:4318"),
        ("--otlp-logs", "--otlp <URL>"),
        (&with_headers, "line 2 of"),
    ] {
        let ended = tracer::run(&format!("serve --listen 127.0.0.1:0 {options}"));
        assert!(ended.code() == 2 && ended.err.contains(said), "{options}: {}", ended.err);
        assert!(!ended.err.contains("a-secret"), "{}", ended.err);
    }
}
