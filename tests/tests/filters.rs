//! Filters, alone and combined, select exactly the lines that the test selects from an unfiltered output.

use std::{
    collections::HashMap,
    fs,
    net::{IpAddr, SocketAddr},
};

use socket2::{Domain, Socket, Type};
use tests::{
    event::Event,
    patience::until,
    place::Place,
    program::{self, Program},
    tracer,
    traffic::{self, connect, listen},
};

/// An event as the test's own filters see it. It has the connection's local port even before the kernel has
/// chosen it.
struct Fact<'a> {
    event: &'a Event,
    local: IpAddr,
    remote: Option<IpAddr>,
    local_port: u16,
    remote_port: u16,
}

type Predicate = Box<dyn Fn(&Fact<'_>) -> bool>;

fn facts(events: &[Event], raw: bool) -> Vec<Fact<'_>> {
    let mut ports: HashMap<u64, u16> = HashMap::new();
    for event in events.iter().rev() {
        ports.extend(event.local_port.map(|port| (event.cookie, port)));
    }
    let address = |text: &String| text.parse().unwrap();
    events
        .iter()
        .map(|event| Fact {
            event,
            local: event.local_addr.as_ref().map(address).unwrap(),
            // A listener has no peer, even if the tracepoint reports 0.0.0.0.
            remote: event.remote_addr.as_ref().filter(|_| event.remote_port.is_some()).map(address),
            local_port: match event.local_port {
                None if !raw => ports.get(&event.cookie).copied().unwrap_or_default(),
                port => port.unwrap_or_default(),
            },
            remote_port: event.remote_port.unwrap_or_default(),
        })
        .collect()
}

/// A line without its time, which differs between tracers.
fn key(event: &Event) -> Event {
    Event { time: String::new(), ..event.clone() }
}

fn sorted(events: impl Iterator<Item = Event>) -> Vec<Event> {
    let mut events: Vec<_> = events.collect();
    events.sort();
    events
}

fn within(net: &str, address: Option<IpAddr>) -> bool {
    let (base, len) = net.split_once('/').unwrap();
    let len: u32 = len.parse().unwrap();
    let bits = |address: IpAddr| match address.to_canonical() {
        IpAddr::V4(v4) => (true, u128::from(v4.to_bits()) << 96),
        IpAddr::V6(v6) => (false, v6.to_bits()),
    };
    let (base, address) = (bits(base.parse().unwrap()), address.map(bits));
    address.is_some_and(|address| {
        address.0 == base.0 && (address.1 ^ base.1).checked_shr(128 - len).unwrap_or(0) == 0
    })
}

/// The ports that servers listen at. Filters select some of them.
const PORTS: [u16; 4] = [7001, 7002, 7003, 7100];

/// Command-line filters, each with the predicate that selects the same events. Filters that other traffic on
/// the host would pass are limited to the test's namespaces, so that a busy host does not fill the buffers.
fn cases(inum: u64, places: &str) -> Vec<(String, Predicate)> {
    fn case(
        arguments: impl Into<String>,
        predicate: impl Fn(&Fact<'_>) -> bool + 'static,
    ) -> (String, Predicate) {
        (arguments.into(), Box::new(predicate))
    }
    let within_places = |arguments: &str, predicate: fn(&Fact<'_>) -> bool| {
        case(format!("{arguments} --netns {places}"), predicate)
    };
    vec![
        case("--port 7001", |f| f.local_port == 7001 || f.remote_port == 7001),
        case("-L 7001,7002-7003", |f| (7001..=7003).contains(&f.local_port)),
        within_places("-D 7002-65535", |f| f.remote_port >= 7002),
        case("-L 1024-65535 -D 7001", |f| f.local_port >= 1024 && f.remote_port == 7001),
        within_places("-L 30000-65535", |f| f.local_port >= 30000),
        case("--port 7001 --port 7100 -D 1-7050", |f| {
            ([7001, 7100].contains(&f.local_port) || [7001, 7100].contains(&f.remote_port))
                && (1..=7050).contains(&f.remote_port)
        }),
        case("--addr 127.77.1.0/24", |f| {
            within("127.77.1.0/24", Some(f.local)) || within("127.77.1.0/24", f.remote)
        }),
        case("--local-addr 127.77.0.0/16 --remote-addr 127.0.0.1", |f| {
            within("127.77.0.0/16", Some(f.local)) && within("127.0.0.1/32", f.remote)
        }),
        case("--addr fd77::/16", |f| within("fd77::/16", Some(f.local)) || within("fd77::/16", f.remote)),
        within_places("--remote-addr 0.0.0.0/0", |f| within("0.0.0.0/0", f.remote)),
        case("--local-addr 127.77.1.0/24,127.77.1.1 --addr 127.0.0.0/8,127.77.1.0/25", |f| {
            within("127.77.1.0/24", Some(f.local))
        }),
        within_places("-4", |f| f.event.family == "ipv4"),
        within_places("-6", |f| f.event.family == "ipv6"),
        case(format!("--netns {inum}"), move |f| f.event.netns == Some(inum)),
        case(format!("--netns {inum},1 --netns 2 -4 --port 7000-7050 --addr 127.77.0.0/16"), move |f| {
            f.event.netns == Some(inum)
                && f.event.family == "ipv4"
                && ((7000..=7050).contains(&f.local_port) || (7000..=7050).contains(&f.remote_port))
                && (within("127.77.0.0/16", Some(f.local)) || within("127.77.0.0/16", f.remote))
        }),
        within_places("--port !7001", |f| f.local_port != 7001 && f.remote_port != 7001),
        within_places("-L !7001,!7002-7003", |f| !(7001..=7003).contains(&f.local_port)),
        within_places("-D !7001", |f| f.remote_port != 7001),
        within_places("-L !32768-60999", |f| !(32_768..=60_999).contains(&f.local_port)),
        within_places("-L !7205-7212", |f| !(7205..=7212).contains(&f.local_port)),
        case("--port 7001-7050,!7002,!7205-7212", |f| {
            let not = |port: u16| port == 7002 || (7205..=7212).contains(&port);
            [f.local_port, f.remote_port].iter().any(|p| (7001..=7050).contains(p))
                && !not(f.local_port)
                && !not(f.remote_port)
        }),
        within_places("--addr !127.77.1.0/24", |f| {
            !within("127.77.1.0/24", Some(f.local)) && !within("127.77.1.0/24", f.remote)
        }),
        within_places("--remote-addr !0.0.0.0/0", |f| !within("0.0.0.0/0", f.remote)),
        case("--addr 127.77.0.0/16,!127.77.1.200 --local-addr !127.77.2.0/24", |f| {
            let any = |net: &str| within(net, Some(f.local)) || within(net, f.remote);
            any("127.77.0.0/16") && !any("127.77.1.200/32") && !within("127.77.2.0/24", Some(f.local))
        }),
        case(format!("--netns {places},!{inum}"), move |f| f.event.netns != Some(inum)),
        case(format!("--netns !{inum} --port 7001"), move |f| {
            f.event.netns != Some(inum) && (f.local_port == 7001 || f.remote_port == 7001)
        }),
        case("--port 1", |_| false),
        within_places("-L 32768-60999", |f| (32_768..=60_999).contains(&f.local_port)),
        case("-L 7205-7212", |f| (7205..=7212).contains(&f.local_port)),
        case("--port 7210-7300", |f| [f.local_port, f.remote_port].iter().any(|p| (7210..=7300).contains(p))),
    ]
}

/// Makes connections to all ports and addresses.
fn traffic(place: &Place) {
    place.run(|| {
        for port in PORTS {
            for address in ["127.77.1.1", "127.77.1.200", "127.77.2.1", "fd77::1", "::ffff:127.77.1.2"] {
                let listener = listen(address.parse().unwrap(), port);
                let mut client = connect(listener.local_addr().unwrap()).unwrap();
                drop(listener.accept().unwrap());
                traffic::wait_for_end(&mut client);
            }
        }
        connect("127.77.1.1:7099".parse().unwrap()).expect_err("nobody listens there");
    });
}

fn compare(mode: &str) {
    let (here, elsewhere) = (Place::new(), Place::new());
    // The kernel side uses the range of clients' ports to drop events before a port is chosen. This is an
    // unusual range.
    elsewhere.run(|| fs::write("/proc/sys/net/ipv4/ip_local_port_range", "7200 7219").unwrap());
    let places = format!("{},{}", here.inum(), elsewhere.inum());
    let base = format!(
        "{mode} -o json --buffer 1MiB --columns time,cookie,netns,family,local_addr,local_port,remote_addr,remote_port,old_state,new_state"
    );
    let all = tracer::start(&format!("{base} --netns {places}"));
    let cases = cases(here.inum(), &places);
    let tracers: Vec<Program> =
        cases.iter().map(|(arguments, _)| tracer::start(&format!("{base} {arguments}"))).collect();
    for place in [&here, &elsewhere] {
        traffic(place);
        place.settle();
    }
    let refused = r#""remote_port":7099,"old_state":"SYN_SENT","new_state":"CLOSE""#;
    until("the last lines", || (all.out().matches(refused).count() == 2).then_some(()));

    let everything = tracer::finish(all);
    assert!(everything.len() > 300, "too little happened: {}", everything.len());
    let inums = [here.inum(), elsewhere.inum()];
    for ((arguments, predicate), tracer) in cases.iter().zip(tracers) {
        let shown = tracer::finish(tracer);
        let shown =
            sorted(shown.iter().filter(|event| event.netns.is_some_and(|n| inums.contains(&n))).map(key));
        let facts = facts(&everything, mode == "--raw");
        let expected = sorted(facts.iter().filter(|fact| predicate(fact)).map(|fact| key(fact.event)));
        let differences = shown.len().abs_diff(expected.len());
        let first = shown.iter().zip(&expected).find(|(shown, expected)| shown != expected);
        assert!(shown == expected, "{mode} {arguments}: {differences} too many or few; first: {first:#?}");
        println!("{mode} {arguments}: {} lines", expected.len());
    }
}

#[test]
fn filters_select_what_they_say() {
    compare("--no-timewait");
}

#[test]
fn filters_select_what_they_say_of_raw_events() {
    compare("--raw");
}

/// The kernel side passes events whose local port is not known yet. User space filters these connections
/// later, even if the range of clients' ports has changed meanwhile.
#[test]
fn a_range_that_changes_meanwhile_leaves_nothing_open() {
    let (near, far) = Place::pair();
    let gives = |range| near.run(|| fs::write("/proc/sys/net/ipv4/ip_local_port_range", range).unwrap());
    // Nobody answers, so connections stay in SYN_SENT.
    program::run(far.command("ip").args(["link", "set", "veth0", "down"]));
    gives("30000 30009");
    let tracer = tracer::start(&format!("-o json --netns {} -L 30005-31000", near.name()));
    let attempts: Vec<_> = near.run(|| {
        let begun = (0..10).map(|_| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            let to: SocketAddr = "10.77.0.2:9".parse().unwrap();
            socket.connect(&to.into()).expect_err("not at once");
            socket
        });
        begun.collect()
    });
    gives("20000 20009");
    let wanted = attempts.iter().filter(|socket| {
        let port = socket.local_addr().unwrap().as_socket().unwrap().port();
        (30_005..31_000).contains(&port)
    });
    let wanted = wanted.count();
    assert!((1..10).contains(&wanted), "{wanted} of ten got a port that is asked for");
    drop(attempts);
    until("their ends", || (tracer.out().matches("\"new_state\":\"CLOSE\"").count() == wanted).then_some(()));
    let ended = tracer.interrupt();
    assert!(ended.err.contains("still open 0"), "{}", ended.err);
    assert_eq!(tracer::receipt(&ended, "shown"), 2 * wanted as u64, "{}", ended.err);
}

#[test]
fn a_namespace_can_be_named_in_all_ways() {
    let place = Place::new();
    let mut sleeper = Program::collect(place.command("sleep").arg("1000"));
    until("the process to be there", || {
        let link = std::fs::read_link(format!("/proc/{}/ns/net", sleeper.pid())).unwrap();
        link.to_string_lossy().contains(&place.inum().to_string()).then_some(())
    });
    sleeper.wait_for_out("nothing", |_| true);
    for name in [
        place.inum().to_string(),
        place.name().to_owned(),
        format!("/run/netns/{}", place.name()),
        format!("pid:{}", sleeper.pid()),
    ] {
        let tracer = tracer::start(&format!("-o json --netns {name} --count 2"));
        place.run(|| connect("127.77.1.1:7099".parse().unwrap()).expect_err("nobody listens there"));
        let ended = tracer.wait();
        assert_eq!(tracer::receipt(&ended, "shown"), 2, "{name}: {}", ended.err);
    }
}
