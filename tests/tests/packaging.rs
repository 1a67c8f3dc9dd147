//! Rules, alerts and the dashboard that come with the product: each of their queries finds what it is for, in a
//! Prometheus that scrapes hosts in trouble.

// A panic is how a test says that it failed.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    collections::BTreeSet,
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use rustix::process::Signal;
use serde_json::Value;
use tests::{
    patience::until_or,
    place::Place,
    program::{Program, close},
    prometheus::{Prometheus, check_rules},
    remote::{ACK, HERE, Remote, SYN, SYN_ACK},
    served::serve,
    traffic::{Scenario, churn, connect, knock, listen, listen_with_backlog, play},
};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn packaged(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging").join(path).canonicalize().unwrap()
}

/// A network namespace that stands for a host.
struct Host {
    place: Place,
    tracer: Program,
    address: SocketAddr,
    /// What keeps it in trouble.
    kept: Vec<Box<dyn std::any::Any>>,
}

impl Host {
    fn new(arguments: &str) -> Self {
        let place = Place::new();
        let (tracer, address) = serve(&format!("--netns {} {arguments}", place.inum()));
        Self { place, tracer, address, kept: Vec::new() }
    }

    /// More happens than the buffer holds while nobody reads it.
    fn loses_events(&self) {
        self.tracer.signal(Signal::STOP);
        churn(&self.place, 2_000);
        self.tracer.signal(Signal::CONT);
    }

    /// A process does not close what its peer has closed; a peer does not close what this side has.
    fn leaks(&mut self) {
        let (client, server, listener) = self.place.run(|| {
            let listener = listen(V4, 0);
            let client = connect(listener.local_addr().unwrap()).unwrap();
            let (server, _) = listener.accept().unwrap();
            client.shutdown(std::net::Shutdown::Write).unwrap();
            (client, server, listener)
        });
        self.kept.push(Box::new((client, server, listener)));
    }

    /// Clients knock at a full accept queue.
    fn is_slow_to_accept(&mut self) {
        let (full, address) = listen_with_backlog(&self.place, Ipv4Addr::LOCALHOST, 1);
        let waiting = knock(&self.place, address, 6);
        self.kept.push(Box::new((waiting, full)));
    }

    /// The first SYNs of some connects are lost.
    fn loses_packets(&mut self) {
        const CONNECTS: usize = 6;
        let mut far = Remote::new(&self.place, 7000);
        let late = knock(&self.place, far.address(), CONNECTS);
        for number in 0..2 * CONNECTS {
            far.expect(SYN);
            if number >= CONNECTS {
                far.send(SYN_ACK);
                far.expect(ACK);
            }
        }
        self.kept.push(Box::new((late, far)));
    }

    fn fails(&self) {
        for port in 1..=20 {
            self.place.run(|| connect((V4, port).into())).unwrap_err();
        }
        for _ in 0..20 {
            self.place.run(|| play(Scenario::Reset, V4));
        }
    }

    /// Nearly all ephemeral ports and all room for TIME_WAIT are used.
    fn waits(&self) {
        self.place.set("net.ipv4.ip_local_port_range=40000 40019");
        self.place.set("net.ipv4.tcp_max_tw_buckets=20");
        for _ in 0..18 {
            self.place.run(|| play(Scenario::ClientCloses, V4));
        }
    }

    /// SYNs come that nobody will acknowledge.
    fn is_flooded(&mut self) {
        self.place.set("net.ipv4.tcp_syncookies=2");
        let mut remote = Remote::new(&self.place, 7000);
        let (listener, address) = listen_with_backlog(&self.place, HERE, 2);
        remote.peer = address.port();
        for port in 7000..12_000 {
            remote.port = port;
            remote.send(SYN);
        }
        self.kept.push(Box::new((listener, remote)));
    }
}

/// Waits until a query has found something, and says what.
fn found(prometheus: &Prometheus, query: &str) -> Vec<(Value, f64)> {
    until_or(
        query,
        || Some(prometheus.query(query)).filter(|found| !found.is_empty()),
        || "nothing is found".to_owned(),
    )
}

/// The values of a key anywhere in a document.
fn values<'a>(document: &'a Value, key: &str, found: &mut Vec<&'a str>) {
    match document {
        Value::Object(fields) => {
            found.extend(fields.get(key).and_then(Value::as_str));
            fields.values().for_each(|field| values(field, key, found));
        }
        Value::Array(items) => items.iter().for_each(|item| values(item, key, found)),
        _ => {}
    }
}

/// What follows this word in the lines of a file of rules.
fn named(rules: &Path, word: &str) -> Vec<String> {
    let text = fs::read_to_string(rules).unwrap();
    let lines = text.lines().filter_map(|line| line.trim().strip_prefix(word));
    lines.map(|name| name.trim().to_owned()).collect()
}

#[test]
fn rules_alerts_and_dashboard_find_trouble() {
    let rules = ["prometheus/recording.yml", "prometheus/alerts.yml"].map(packaged);
    check_rules(&rules);
    let lossy = Host::new("--buffer 4KiB");
    let mut troubled = Host::new("--stuck CLOSE_WAIT=100ms,FIN_WAIT2=100ms");
    let waiting = Host::new("");
    let mut flooded = Host::new("");
    let hosts = [&lossy, &troubled, &waiting, &flooded].map(|host| host.address);
    let prometheus = Prometheus::with_rules(&hosts, &rules);
    // A counter that has grown before it was scraped first has not grown for Prometheus.
    prometheus.wait_for("count(tracer_netns_time_wait)", 4.0);
    troubled.leaks();
    flooded.is_flooded();
    waiting.waits();
    troubled.fails();
    // The first of a service makes its counter; only what comes later is growth for Prometheus.
    found(&prometheus, "tracer_tcp_service_connections_total{service=\"remote:1\",event=\"failed\"}");
    troubled.fails();
    troubled.is_slow_to_accept();
    troubled.loses_packets();
    lossy.loses_events();

    let recorded = named(&rules[0], "- record:");
    assert!(recorded.len() >= 7, "{recorded:?}");
    for name in recorded {
        found(&prometheus, &name);
    }
    let alerts = named(&rules[1], "- alert:");
    assert!(alerts.len() >= 14, "{alerts:?}");
    let expected = [
        ("TracerLosesEvents", &lossy),
        ("TracerBufferNearlyFull", &lossy),
        ("TracerDisagreesWithKernel", &lossy),
        ("TcpConnectionsStuck", &troubled),
        ("TcpConnectionsUnfinished", &troubled),
        ("TcpAcceptQueueOverflows", &troubled),
        ("TcpAcceptQueueFills", &troubled),
        ("TcpConnectionsFail", &troubled),
        ("TcpConnectionsReset", &troubled),
        ("TcpHandshakesSlow", &troubled),
        ("TcpTimeWaitNearPorts", &waiting),
        ("TcpTimeWaitNearLimit", &waiting),
        ("TcpSynFlood", &flooded),
        ("TcpFinding", &troubled),
    ];
    let checked: BTreeSet<_> = expected.iter().map(|(alert, _)| *alert).chain(["TracerDown"]).collect();
    assert_eq!(checked, alerts.iter().map(String::as_str).collect());
    for (alert, host) in expected {
        found(&prometheus, &format!("ALERTS{{alertname=\"{alert}\",instance=\"{}\"}}", host.address));
    }

    let dashboard: Value =
        serde_json::from_str(&fs::read_to_string(packaged("grafana/tracer.json")).unwrap()).unwrap();
    let mut queries = Vec::new();
    values(&dashboard, "expr", &mut queries);
    assert!(queries.len() >= 25, "{queries:?}");
    for query in queries {
        found(&prometheus, &query.replace("$instance", ".+").replace("$__rate_interval", "1m"));
    }

    // A host without trouble has no alert.
    for (host, alerts) in [(&waiting, 3), (&flooded, 2)] {
        let query = format!("count(ALERTS{{instance=\"{}\"}})", host.address);
        let fired = prometheus.query(&query)[0].1;
        assert!(fired <= f64::from(alerts), "{query}: {fired}");
    }
    let address = waiting.address;
    assert_eq!(waiting.tracer.interrupt().code(), 0);
    found(&prometheus, &format!("ALERTS{{alertname=\"TracerDown\",instance=\"{address}\"}}"));
    for host in [lossy, troubled, flooded] {
        close(host.kept);
        assert_eq!(host.tracer.interrupt().code(), 0);
    }
}
