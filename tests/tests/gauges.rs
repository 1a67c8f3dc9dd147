//! What the kernel counts in network namespaces, as the live source tells it, compared with what `nstat`, `ss` and
//! `sysctl` print there.

use std::{
    collections::HashMap,
    fs, io,
    net::{IpAddr, Ipv4Addr},
    os::unix::fs::MetadataExt as _,
    sync::mpsc::{Receiver, channel},
    thread,
};

use tests::{
    patience::{LIMIT, until},
    place::Place,
    program::run,
    remote::{Remote, SYN},
    traffic::{Scenario, connect, knock, listen_with_backlog, play},
};
use tokio::{runtime, sync::oneshot};
use tracer::{
    facts::{
        Fact,
        gauges::{EphemeralPorts, Gauges, NetnsGauges},
        names::FilterNames,
        snapshot::TimewaitByNetns,
    },
    filter::Filter,
    source::{
        Demand, Source as _,
        kernel::{
            buffer::BufferSize,
            clock::monotonic_ns,
            live::{Live, LiveOptions},
            load::LoadOptions,
            optional::Hooks,
        },
    },
    tcp::netns::NetnsId,
};

const HERE: Ipv4Addr = Ipv4Addr::LOCALHOST;
/// No namespace has a route there.
const NOWHERE: [&str; 2] = ["192.0.2.1:9", "[2001:db8::1]:9"];
/// More connects than an accept queue takes.
const CONNECTS: usize = 6;
/// A range of 200 ports, of which some are reserved. A list that needs two reads is cut after 32 bytes.
const RANGE: &str = "40000 40199";
const RESERVED: &str = "39990-40003,40010,40012,40014,40016,40018,40020,40100-40149,40199-40300";
const AVAILABLE: u64 = 200 - 4 - 6 - 50 - 1;

/// A live source that polls gauges.
struct Watch {
    gauges: Receiver<Gauges>,
    stop: oneshot::Sender<()>,
}

impl Watch {
    /// Opens one on a thread of its own, because that gives up capabilities.
    fn start() -> Self {
        let ((told, gauges), (stop, stopped)) = (channel(), oneshot::channel());
        thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut source = Live::open(&options()).unwrap();
                let timewait = TimewaitByNetns::default();
                let mut stopped = Some(stopped);
                loop {
                    let asked = async {
                        match &mut stopped {
                            Some(stopped) => _ = stopped.await,
                            None => std::future::pending().await,
                        }
                    };
                    tokio::select! {
                        () = asked => {
                            source.stop();
                            stopped = None;
                        }
                        fact = source.next(Demand::all(&timewait)) => match fact.unwrap() {
                            Fact::Gauges(gauges) => _ = told.send(gauges),
                            Fact::End(_) => break,
                            _ => {}
                        },
                    }
                }
            });
        });
        Self { gauges, stop }
    }

    /// The gauges of a namespace that were read from now on.
    fn next(&self, netns: NetnsId) -> NetnsGauges {
        let now_ns = monotonic_ns();
        loop {
            let told = self.gauges.recv_timeout(LIMIT).unwrap();
            if let Some(gauges) = told.of(netns).filter(|gauges| gauges.read_ns >= now_ns) {
                return gauges.clone();
            }
        }
    }

    /// Ends the capture. Returns the last gauges of a namespace.
    fn finish(self, netns: NetnsId) -> NetnsGauges {
        self.stop.send(()).unwrap();
        self.gauges.iter().last().unwrap().of(netns).unwrap().clone()
    }
}

fn options() -> LiveOptions {
    LiveOptions {
        load: LoadOptions {
            buffer: BufferSize::default(),
            filter: Filter::default(),
            asks_for_sockets: true,
            hooks: Hooks::Minimal,
            stray_resets: false,
            debug: false,
            btf: None,
        },
        names: FilterNames::default(),
        takes_snapshot: false,
        follows_timewait: false,
        refreshes: false,
        gauges: true,
    }
}

fn id(place: &Place) -> NetnsId {
    NetnsId::new(place.inum().try_into().unwrap(), 0)
}

/// What `nstat` prints in a namespace.
fn nstat(place: &Place) -> HashMap<String, u64> {
    let printed = run(place.command("nstat").args(["--ignore", "--noupdate", "--zeros", "--json"]));
    let printed: serde_json::Value = serde_json::from_str(&printed).unwrap();
    serde_json::from_value(printed["kernel"].clone()).unwrap()
}

/// What `ss` counts in TIME_WAIT in a namespace.
fn timewait(place: &Place) -> u64 {
    let printed = run(place.command("ss").arg("-s"));
    let (_, count) = printed.split_once("timewait ").unwrap();
    count.split_once(')').unwrap().0.parse().unwrap()
}

/// Compares the counters with what other programs print. Nothing may happen in the namespace meanwhile.
fn compare(place: &Place, told: &NetnsGauges) {
    let printed = nstat(place);
    let counted = [
        ("TcpExtListenOverflows", told.listen_overflows),
        ("TcpExtListenDrops", told.listen_drops),
        ("TcpExtSyncookiesSent", told.syncookies_sent),
        ("TcpExtTCPReqQFullDrop", told.request_queue_drops),
        ("TcpExtTCPTimeWaitOverflow", told.time_wait_overflows),
    ];
    for (name, count) in counted {
        assert_eq!(count, printed[name], "{name}");
    }
    assert_eq!(told.no_routes, printed["IpOutNoRoutes"]);
    assert_eq!(told.timewait, timewait(place));
}

#[test]
fn an_accept_queue_that_overflows_is_counted_in_its_namespace() {
    let (place, other) = (Place::new(), Place::new());
    let watch = Watch::start();
    let (_listener, address) = listen_with_backlog(&place, HERE, 1);
    let knocking = knock(&place, address, CONNECTS);
    until("overflows", || (nstat(&place)["TcpExtListenOverflows"] >= 3).then_some(()));
    // They would try again.
    drop(knocking);
    let told = watch.next(id(&place));
    compare(&place, &told);
    assert!(told.listen_overflows >= 3, "{told:?}");
    assert_eq!(watch.next(id(&other)).listen_drops, 0);
}

#[test]
fn half_open_connections_without_room_are_counted() {
    let (full, cookies) = (Place::new(), Place::new());
    let watch = Watch::start();
    for (place, setting) in [(&full, 0), (&cookies, 2)] {
        place.set(&format!("net.ipv4.tcp_syncookies={setting}"));
        let mut remote = Remote::new(place, 7000);
        let (_listener, address) = listen_with_backlog(place, tests::remote::HERE, 2);
        remote.peer = address.port();
        for port in 7000..7008 {
            remote.port = port;
            remote.send(SYN);
        }
        let name = if setting == 0 { "TcpExtTCPReqQFullDrop" } else { "TcpExtSyncookiesSent" };
        until(name, || (nstat(place)[name] >= 4).then_some(()));
        let told = watch.next(id(place));
        compare(place, &told);
        assert!(told.request_queue_drops.max(told.syncookies_sent) >= 4, "{told:?}");
    }
}

#[test]
fn a_connect_without_a_route_is_counted() {
    let place = Place::new();
    let watch = Watch::start();
    for address in NOWHERE {
        let error = place.run(|| connect(address.parse().unwrap()).unwrap_err());
        assert_eq!(error.kind(), io::ErrorKind::NetworkUnreachable);
    }
    let told = watch.next(id(&place));
    compare(&place, &told);
    assert!(told.no_routes >= 1, "{told:?}");
}

#[test]
fn timewait_sockets_and_their_limit_are_those_of_the_namespace() {
    let (place, other) = (Place::new(), Place::new());
    place.set("net.ipv4.tcp_max_tw_buckets=2");
    let watch = Watch::start();
    for _ in 0..5 {
        place.run(|| play(Scenario::ClientCloses, IpAddr::V4(HERE)));
    }
    place.settle();
    // What happens just before the end is told, too.
    let told = watch.finish(id(&place));
    compare(&place, &told);
    assert_eq!((told.timewait, told.max_timewait, told.time_wait_overflows), (2, Some(2), 3));
    let told = Watch::start().next(id(&other));
    let max = run(other.command("sysctl").args(["-n", "net.ipv4.tcp_max_tw_buckets"]));
    assert_eq!((told.timewait, told.max_timewait), (0, max.trim().parse().ok()));
}

#[test]
fn ephemeral_ports_are_those_that_connects_get() {
    let place = Place::new();
    let (_listener, address) = listen_with_backlog(&place, HERE, 1000);
    for (name, value) in [("ip_local_port_range", RANGE), ("ip_local_reserved_ports", RESERVED)] {
        place.set(&format!("net.ipv4.{name}={value}"));
    }
    let ports = Watch::start().next(id(&place)).ports.unwrap();
    assert_eq!(ports.available(), AVAILABLE);
    let connected = place.run(|| {
        let connects = std::iter::repeat_with(|| connect(address));
        connects.map_while(Result::ok).collect::<Vec<_>>()
    });
    assert_eq!(connected.len() as u64, AVAILABLE);
    let is_told = |port| ports.contains(port);
    assert!(connected.iter().all(|socket| is_told(socket.local_addr().unwrap().port())));
    let counted = (0..=u16::MAX).filter(|port| is_told(*port)).count();
    assert_eq!(counted as u64, AVAILABLE);
}

#[test]
fn orphans_are_those_of_the_host() {
    let place = Place::new();
    let watch = Watch::start();
    let own = fs::metadata("/proc/self/ns/net").unwrap().ino();
    let told = watch.next(NetnsId::new(own.try_into().unwrap(), 0));
    let max = run(std::process::Command::new("sysctl").args(["-n", "net.ipv4.tcp_max_orphans"]));
    assert_eq!((told.max_orphans, told.orphans.is_some()), (max.trim().parse().ok(), true));
    let told = watch.next(id(&place));
    assert_eq!((told.max_orphans, told.orphans), (None, None));
    let other = run(place.command("sysctl").arg("net.ipv4.ip_local_port_range"));
    let (_, range) = other.split_once('=').unwrap();
    let [first, last] = [0, 1].map(|index| range.split_whitespace().nth(index).unwrap().parse().unwrap());
    assert_eq!(told.ports, Some(EphemeralPorts::new(first..=last, Vec::new())));
}
