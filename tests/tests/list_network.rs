//! `tracer list -i` and `-r` beside netstat, field by field.

use std::{
    ffi::OsStr,
    io::Write as _,
    net::UdpSocket,
    num::NonZeroU32,
    os::unix::ffi::OsStrExt as _,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use serde_json::Value;
use socket2::SockRef;
use tests::{
    links::{index, ip},
    patience::until,
    place::Place,
    program::{output, run},
    story::{lines, text},
    tracer,
};

/// What a command prints, with bytes that are no text as U+FFFD.
fn print(command: &mut Command) -> String {
    let output = output(command);
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// `tracer list` in a namespace.
fn list(place: &Place, arguments: &str) -> String {
    print(place.command(tracer::binary()).arg("list").args(arguments.split(' ')))
}

fn json(place: &Place, arguments: &str) -> Vec<Value> {
    lines(&list(place, &format!("{arguments} -o json")))
}

fn netstat(place: &Place, arguments: &str) -> String {
    print(place.command("netstat").args(arguments.split(' ')))
}

/// The fields of a table's lines, without `header` lines above them.
fn fields(table: &str, header: usize) -> Vec<Vec<String>> {
    let lines = table.lines().skip(header);
    lines.map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
}

/// Both tables, from a moment in which nothing changes.
fn both(place: &Place, netstat_arguments: &str, ours: &str) -> (Vec<Vec<String>>, Vec<Vec<String>>) {
    until("a moment in which nothing changes", || {
        let before = netstat(place, netstat_arguments);
        let ours = list(place, ours);
        let after = netstat(place, netstat_arguments);
        (before == after).then(|| (fields(&before, 2), fields(&ours, 1)))
    })
}

/// netstat says in words that an interface has no counts of its own, and reads none of one whose name has 15 bytes,
/// which is the most.
fn comparable(mut rows: Vec<Vec<String>>) -> Vec<Vec<String>> {
    for row in &mut rows {
        if row.contains(&"statistics".to_owned()) {
            row.splice(2..7, vec!["-".to_owned(); 8]);
        }
        if row[0].len() == 15 {
            row.splice(2..10, vec!["not read".to_owned(); 8]);
        }
    }
    rows
}

fn sorted(mut rows: Vec<Vec<String>>) -> Vec<Vec<String>> {
    rows.sort();
    rows
}

/// Runs `ip` with one command a line.
fn batch(place: &Place, commands: impl IntoIterator<Item = String>) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    for command in commands {
        writeln!(file, "{command}").unwrap();
    }
    run(Command::new("ip").args(["-n", place.name(), "-batch"]).arg(file.path()));
}

/// A namespace with interfaces of several kinds, and traffic on some; and the one at the other end of its link.
fn with_interfaces() -> (Place, Place) {
    let (left, right) = Place::pair();
    for command in [
        "link add br0 type bridge",
        "link add fifteen-bytes15 type veth peer name in-br0",
        "link set in-br0 master br0",
        "link set br0 up",
        "link set in-br0 up mtu 9000",
        "link set fifteen-bytes15 up arp off",
        "link add down0 type bridge",
        "tuntap add tun0 mode tun",
        "link set tun0 up allmulticast on promisc on",
        "addr add 10.77.0.9/24 dev veth0 label veth0:1",
        "addr add 10.77.0.8/24 dev veth0 label veth0:web",
    ] {
        ip(&format!("-n {} {command}", left.name()));
    }
    left.run(|| {
        let socket = UdpSocket::bind("10.77.0.1:0").unwrap();
        (0..5).for_each(|_| _ = socket.send_to(&[0; 100], "10.77.0.2:9").unwrap());
        // Into the bridge's port, so out of the other end of that pair.
        let multicast = UdpSocket::bind("10.77.0.1:0").unwrap();
        let over = index(&left, "in-br0");
        SockRef::from(&multicast).bind_device_by_index_v4(NonZeroU32::new(over)).unwrap();
        multicast.send_to(&[0; 100], "224.0.0.251:9").unwrap();
    });
    (left, right)
}

#[test]
fn interfaces_are_those_of_netstat() {
    let (place, _peer) = with_interfaces();
    for (theirs, ours) in [("-i", "-i"), ("-ia", "-ia"), ("-in", "-in")] {
        let (netstat, listed) = both(&place, theirs, ours);
        assert_eq!(sorted(comparable(netstat)), sorted(comparable(listed.clone())), "{ours}");
        assert_eq!(listed.iter().any(|row| row[0] == "down0"), ours == "-ia", "{listed:?}");
        let label = listed.iter().find(|row| row[0] == "veth0:web").unwrap();
        assert_eq!(label[2..10], vec!["-"; 8]);
    }
    let netstat = fields(&netstat(&place, "-i"), 1);
    assert_eq!(netstat[0], fields(&list(&place, "-i"), 0)[0], "titles");
    let lines = json(&place, "-ia");
    let veth = lines.iter().find(|line| line["interface"] == "veth0").unwrap();
    assert_eq!(veth["ifindex"], index(&place, "veth0"));
    assert!(veth["tx_bytes"].as_u64().unwrap() > 5 * 142, "{veth}");
    assert_eq!(text(veth, "hardware_addr").len(), 17, "{veth}");
    assert_eq!(veth["netns"], place.inum());
    let longest = lines.iter().find(|line| line["interface"] == "fifteen-bytes15").unwrap();
    assert!(longest["rx_packets"].as_u64().unwrap() > 0, "{longest}");
    let label = lines.iter().find(|line| line["interface"] == "veth0:1").unwrap();
    assert!(label["rx_packets"].is_null() && label["ifindex"] == veth["ifindex"], "{label}");
    let bridge = lines.iter().find(|line| line["interface"] == "down0").unwrap();
    assert_eq!(bridge["state"], "down");
}

/// Names may have nearly any bytes.
#[test]
fn names_cannot_do_harm() {
    let place = Place::new();
    // As they are, in text and CSV, and in JSON.
    let names: [(&[u8], &str, &str); 7] = [
        (b"p33r\"x,y", "p33r\"x,y", "p33r\"x,y"),
        (b"\x1b[2Jx", "\\x1b[2Jx", "\x1b[2Jx"),
        (b"back\\slash", "back\\\\slash", "back\\\\slash"),
        (b"byte\xff", "byte\\xff", "byte\\xff"),
        ("größe".as_bytes(), "größe", "größe"),
        (b"eth?", "eth\\?", "eth?"),
        (b"-n", "-n", "-n"),
    ];
    for (number, (name, ..)) in names.iter().enumerate() {
        let mut command = Command::new("ip");
        command.args(["-n", place.name(), "link", "add", "name"]).arg(OsStr::from_bytes(name));
        run(command.args(["type", "veth", "peer", "name", &format!("peer{number}")]));
    }
    let (table, lines) = (list(&place, "-ia"), json(&place, "-ia"));
    let shown = fields(&table, 1);
    assert!(shown.iter().all(|row| row.len() == 11), "{table}");
    assert!(!table.contains('\x1b'), "{table:?}");
    for (_, escaped, exact) in names {
        assert!(shown.iter().any(|row| row[0] == escaped), "no {escaped}: {table}");
        assert!(lines.iter().any(|line| line["interface"] == exact), "no {exact}: {lines:?}");
    }
    assert_eq!(shown.len(), 2 * names.len() + 1);
    let csv = list(&place, "-ia -o csv --columns interface,mtu");
    let read: Vec<csv::StringRecord> =
        csv::Reader::from_reader(csv.as_bytes()).records().map(Result::unwrap).collect();
    assert!(read.iter().all(|record| record.len() == 2), "{csv}");
    assert!(read.iter().any(|record| &record[0] == "p33r\"x,y"), "{csv}");
}

/// Routes of all kinds in both families.
fn with_routes() -> (Place, Place) {
    let (place, peer) = with_interfaces();
    ip(&format!("-n {} addr add 10.78.0.1/24 dev fifteen-bytes15", place.name()));
    let four = [
        "route add default via 10.77.0.2 mtu lock 1400 advmss 1200 window 4000 rtt 100ms metric 5",
        "route add default via 10.77.0.3 metric 7",
        "route add 192.0.2.0/24 nexthop via 10.77.0.3 dev veth0 weight 2 nexthop via 10.78.0.9 dev fifteen-bytes15",
        "route add blackhole 198.51.100.0/24",
        "route add unreachable 198.51.101.1",
        "route add prohibit 198.51.102.0/23 metric 9",
        "route add throw 198.51.104.0/24",
        "route add 203.0.113.0/24 via inet6 fe80::9 dev veth0",
        "route add local 10.99.0.0/24 dev lo table main",
        "route add broadcast 10.98.0.255 dev veth0 table main",
        "route add 10.97.0.0/24 dev veth0 table 100",
        "route add 10.96.0.0/12 dev tun0 mtu 1280 proto static src 10.77.0.1",
        "route add 10.95.0.1 dev in-br0 tos 0x10",
        "nexthop add id 5 via 10.77.0.5 dev veth0",
        "route add 10.94.0.0/16 nhid 5",
    ];
    let six = [
        "-6 route add default via fe80::9 dev veth0 metric 3",
        "-6 route add 2001:db8::/32 nexthop via fd77:1::2 nexthop via fd77:1::3 weight 5",
        "-6 route add blackhole 2001:db8:1::/48",
        "-6 route add unreachable 2001:db8:2::/48 metric 1",
        "-6 route add prohibit fd97:1::/64",
        "-6 route add throw fd97::/64",
        "-6 route add fd99::/64 dev veth0 table 100",
        "-6 route add fd99::/64 dev veth0",
        "-6 route add fd98::/64 dev veth0 expires 500",
        "-6 route add 2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff via fd77:1::2 metric 7 mtu 1300",
        "nexthop add id 15 via fd77:1::5 dev veth0",
        "-6 route add fd96::/64 nhid 15",
    ];
    for command in four.iter().chain(&six) {
        ip(&format!("-n {} {command}", place.name()));
    }
    (place, peer)
}

/// The lines without second and further next hops, which netstat does not show of IPv4; the number is the last field.
fn first_hops(rows: Vec<Vec<String>>) -> Vec<Vec<String>> {
    let mut first: Vec<_> = rows.into_iter().filter(|row| row.last().is_some_and(|hop| hop != "2")).collect();
    for row in &mut first {
        row.pop();
    }
    first
}

const COLUMNS: &str = "destination,gateway,genmask,flags,mss,window,irtt_ms,interface,hop";
const MORE_COLUMNS: &str = "destination,gateway,genmask,flags,metric,references,uses,interface,hop";

/// Routes of IPv6 without the number of references, which also counts packets of the kernel's own on their way.
const LASTING: &str = "-r6 --columns prefix,gateway,flags,metric,interface,type,table,nexthop,hop,weight";

#[test]
fn routes_of_ipv4_are_those_of_netstat() {
    let (place, _peer) = with_routes();
    for (theirs, columns) in [("-rn", COLUMNS), ("-ren", MORE_COLUMNS)] {
        let (netstat, listed) = both(&place, theirs, &format!("-rn --columns {columns}"));
        let mut listed = first_hops(listed);
        // A gateway of the other family, which netstat does not know.
        let other = listed.iter_mut().find(|row| row[1] == "fe80::9").unwrap();
        other[1] = "0.0.0.0".to_owned();
        assert_eq!(netstat, listed, "{theirs}");
        let titles = fields(&self::netstat(&place, theirs), 1);
        assert_eq!(titles[0], fields(&list(&place, theirs), 0)[0], "titles");
    }
}

#[test]
fn routes_have_more_than_netstat_shows() {
    let (place, _peer) = with_routes();
    let lines = json(&place, "-r");
    let to = |prefix: &str| lines.iter().filter(|line| line["prefix"] == prefix).collect::<Vec<_>>();
    let hops: Vec<_> = to("192.0.2.0/24")
        .iter()
        .map(|line| (text(line, "gateway").to_owned(), line["hop"].clone(), line["weight"].clone()))
        .collect();
    assert_eq!(hops, [("10.77.0.3".into(), 1.into(), 2.into()), ("10.78.0.9".into(), 2.into(), 1.into())]);
    let default = to("0.0.0.0/0")[0];
    assert_eq!(
        (&default["mtu"], &default["mtu_locked"], &default["mss"]),
        (&1400.into(), &true.into(), &1240.into())
    );
    let other = to("10.96.0.0/12")[0];
    assert_eq!(
        (&other["mtu"], &other["mtu_locked"], &other["mss"]),
        (&1280.into(), &false.into(), &Value::Null)
    );
    assert_eq!(
        (&other["source"], &other["protocol"], &other["gateway"]),
        (&"10.77.0.1".into(), &4.into(), &Value::Null)
    );
    let types = [
        ("198.51.100.0/24", "blackhole"),
        ("198.51.101.1/32", "unreachable"),
        ("198.51.102.0/23", "prohibit"),
    ];
    for (prefix, kind) in types {
        let line = to(prefix)[0];
        assert_eq!(
            (&line["type"], &line["interface"], &line["gateway"]),
            (&kind.into(), &Value::Null, &Value::Null)
        );
    }
    assert!(to("10.98.0.255/32").is_empty() && to("10.97.0.0/24").is_empty(), "{lines:?}");
    let six = json(&place, "-r6");
    let tables: Vec<_> =
        six.iter().filter(|line| line["prefix"] == "fd99::/64").map(|line| line["table"].clone()).collect();
    assert!(tables.len() == 2 && tables.contains(&100.into()) && tables.contains(&254.into()), "{tables:?}");
    let black = six.iter().find(|line| line["prefix"] == "2001:db8:1::/48").unwrap();
    assert_eq!((&black["type"], &black["flags"]), (&"blackhole".into(), &"!n".into()));
    let end = six.iter().find(|line| line["table"].is_null()).unwrap();
    assert_eq!((&end["prefix"], &end["metric"], &end["type"]), (&"::/0".into(), &Value::Null, &Value::Null));
}

/// With nothing but the number of a nexthop object, a route leads where that object says.
#[test]
fn nexthop_objects_are_followed() {
    let (place, _peer) = with_routes();
    for command in [
        "nexthop add id 6 via 10.77.0.6 dev veth0",
        "nexthop add id 7 group 5,3/6,2",
        "route add 10.93.0.0/16 nhid 7",
        "nexthop add id 8 blackhole",
        "route add 10.92.0.0/16 nhid 8",
        "nexthop add id 9 dev veth0",
        "route add 10.91.0.0/16 nhid 9",
    ] {
        ip(&format!("-n {} {command}", place.name()));
    }
    let set = |mode: &str| {
        run(place.command("sysctl").args(["-qw", &format!("net.ipv4.nexthop_compat_mode={mode}")]));
    };
    let listed = || {
        let mut routes = [json(&place, "-r"), json(&place, LASTING)];
        // The others change by themselves: an address of IPv6 is not used before it is known to be the only one.
        for family in &mut routes {
            family.retain(|route| !route["nexthop"].is_null());
        }
        routes
    };
    set("1");
    let before = listed();
    set("0");
    let told_by_kernel = print(place.command("ip").args(["-j", "route", "show", "10.94.0.0/16"]));
    assert!(!told_by_kernel.contains("10.77.0.5"), "the kernel tells only the number: {told_by_kernel}");
    let after = listed();
    assert_eq!(before, after);
    let to =
        |prefix: &str| after.iter().flatten().filter(|line| line["prefix"] == prefix).collect::<Vec<_>>();
    let hops: Vec<_> =
        to("10.93.0.0/16").iter().map(|line| (text(line, "gateway"), line["weight"].clone())).collect();
    assert_eq!(hops, [("10.77.0.5", 3.into()), ("10.77.0.6", 2.into())]);
    assert_eq!(
        (text(to("10.94.0.0/16")[0], "gateway"), &to("10.94.0.0/16")[0]["nexthop"]),
        ("10.77.0.5", &5.into())
    );
    assert_eq!(
        (text(to("10.91.0.0/16")[0], "interface"), &to("10.91.0.0/16")[0]["gateway"]),
        ("veth0", &Value::Null)
    );
    assert_eq!(text(to("fd96::/64")[0], "gateway"), "fd77:1::5");
    let (netstat, listed) = both(&place, "-rn", &format!("-rn --columns {COLUMNS}"));
    let mut listed = first_hops(listed);
    listed.iter_mut().find(|row| row[1] == "fe80::9").unwrap()[1] = "0.0.0.0".to_owned();
    assert_eq!(netstat, listed);
}

#[test]
fn routes_of_ipv6_are_those_of_netstat() {
    let (place, _peer) = with_routes();
    let (netstat, listed) = both(&place, "-6 -rn", "-rn6");
    assert_eq!(netstat, listed);
    // netstat's titles have blanks.
    let title = |table: &str, line| table.lines().nth(line).unwrap().split_whitespace().collect::<String>();
    assert_eq!(title(&self::netstat(&place, "-6 -rn"), 1), title(&list(&place, "-rn6"), 0));
}

#[test]
fn many_are_all_there_once() {
    let place = Place::new();
    batch(&place, (0..250).map(|n| format!("link add left{n} type veth peer name right{n}")));
    let (netstat, listed) = both(&place, "-ia", "-ia");
    assert_eq!(listed.len(), 501);
    assert_eq!(sorted(netstat), sorted(listed));
    ip(&format!("-n {} link set left0 up", place.name()));
    let networks = |prefix: &'static str, end: &'static str| {
        (0..4000).map(move |n| format!("{prefix}{n}{end} dev left0"))
    };
    batch(&place, (0..4000).map(|n| format!("route add 10.{}.{}.0/24 dev left0", n / 256, n % 256)));
    batch(&place, networks("route add fd00:", "::/64"));
    let (netstat, listed) = both(&place, "-rn", "-rn");
    assert_eq!(listed.len(), 4000);
    assert_eq!(netstat, listed);
    let (netstat, listed) = both(&place, "-6 -rn", "-rn6");
    assert!(listed.len() > 4000, "{}", listed.len());
    assert_eq!(netstat, listed);
}

/// Both ends of a veth pair are made and removed at once, so a list has both or none. Their indices are far apart: the
/// kernel tells them in different messages, and says when something has changed between them.
#[test]
fn a_list_that_changes_meanwhile_is_asked_for_again() {
    let place = Place::new();
    let number = |n: u32| (100 + 2 * n, 101 + 2 * n);
    batch(
        &place,
        (0..100).map(|n| {
            let (left, right) = number(n);
            format!("link add left{n} index {left} type veth peer name right{n} index {right}")
        }),
    );
    let (done, name) = (AtomicBool::new(false), place.name());
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                ip(&format!("-n {name} link add first index 9000 type veth peer name last index 4"));
                ip(&format!("-n {name} link del first"));
            }
        });
        let mut again = 0;
        let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            until("lists that have changed meanwhile", || {
                let mut command = place.command(tracer::binary());
                let ended =
                    output(command.args(["list", "-ia", "-v", "-o", "json", "--columns", "interface"]));
                let (out, err) =
                    (String::from_utf8(ended.stdout).unwrap(), String::from_utf8(ended.stderr).unwrap());
                assert!(ended.status.success(), "{err}");
                let count = |word: &str| out.lines().filter(|line| line.contains(word)).count();
                assert_eq!((count("left"), count("right")), (100, 100), "{out}");
                assert_eq!(count("first"), count("last"), "{err}{out}");
                again += usize::from(err.contains("asked again"));
                (again >= 5).then_some(())
            });
        }));
        done.store(true, Ordering::Relaxed);
        checked.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

#[test]
fn other_namespaces_are_listed() {
    let ((place, _peer), other) = (with_routes(), Place::pair());
    let here = list(&place, LASTING);
    assert_eq!(print(&mut tracer::command(&format!("list {LASTING} --netns {}", place.name()))), here);
    let all = print(&mut tracer::command("list -i --all-netns -H"));
    for place in [&place, &other.0, &other.1] {
        let own = format!("{} {} ", place.inum(), place.name());
        let rows: Vec<_> =
            all.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert!(rows.iter().any(|row| row.starts_with(&format!("{own}veth0 "))), "no {own}: {all}");
    }
}

/// No privileges are needed here; other namespaces cannot be entered, which is said.
#[test]
fn users_without_privileges_see_their_own_namespace() {
    let (place, _peer) = with_routes();
    let (_folder, binary) = tracer::public_binary();
    let unprivileged = |arguments: &str| {
        let mut command = place.command("setpriv");
        command.args("--reuid 65534 --regid 65534 --clear-groups --inh-caps=-all".split(' ')).arg(&binary);
        output(command.arg("list").args(arguments.split(' ')))
    };
    for arguments in ["-r", LASTING, "-re"] {
        let ended = unprivileged(arguments);
        assert!(ended.status.success(), "{ended:?}");
        assert_eq!(String::from_utf8(ended.stdout).unwrap(), list(&place, arguments));
    }
    let ended = unprivileged("-i");
    assert!(String::from_utf8_lossy(&ended.stdout).contains("fifteen-bytes15"), "{ended:?}");
    let ended = unprivileged("-i --all-netns");
    let (out, err) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(ended.status.success() && out.contains("fifteen-bytes15"), "{out}{err}");
    assert!(err.contains("cannot be entered: run as root"), "{err}");
}

#[test]
fn options_of_sockets_are_refused() {
    for option in ["--port 1", "--sort rx_bytes", "--names", "--state LISTEN"] {
        let ended = tracer::run(&format!("list -i {option}"));
        let name = option.split(' ').next().unwrap();
        assert!(
            ended.code() == 2 && ended.err.contains(&format!("{name} is about sockets")),
            "{}",
            ended.err
        );
    }
    let ended = tracer::run("list -r --watch 1s");
    assert!(ended.code() == 2 && ended.err.contains("`watch -d tracer list -r`"), "{}", ended.err);
    let ended = tracer::run("list -r --columns rx_bytes");
    assert!(ended.code() == 2 && ended.err.contains("rx_bytes"), "{}", ended.err);
    let help = tracer::run("list -r --columns help").out;
    assert!(help.contains("irtt_ms") && !help.contains("rx_bytes"), "{help}");
}
