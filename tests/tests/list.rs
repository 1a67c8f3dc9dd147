//! `tracer list` beside `ss` and netstat: the same sockets, field by field.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    io::Write as _,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpStream, UdpSocket},
    os::fd::OwnedFd,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use socket2::{Domain, SockAddr, Socket, Type};
use tests::{
    patience::until,
    place::Place,
    program::{Ended, Program, close, run, spawn},
    story::{Line, lines, number, text},
    tracer,
    traffic::{connect, listen, wait_for_end},
};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);
/// A name that would clear a terminal and forge a line.
const HOSTILE: &str = "a\x1b[2J\n0: 00000009 0 0 1 3 1 forged";

/// Runs `tracer list` inside the namespace.
fn list(place: &Place, arguments: &str) -> Ended {
    let mut command = place.command(tracer::binary());
    command.arg("list").args(arguments.split_whitespace());
    let ended = Program::collect(&mut command).wait();
    assert_eq!(ended.code(), 0, "{arguments}: {}", ended.err);
    ended
}

fn json(place: &Place, arguments: &str) -> Vec<Line> {
    lines(&list(place, &format!("{arguments} -o json")).out)
}

fn socket(domain: Domain, kind: Type, bound: &SockAddr) -> Socket {
    let socket = Socket::new(domain, kind, None).unwrap();
    socket.bind(bound).unwrap();
    socket
}

/// A socket that has begun to connect.
fn connecting(to: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket.connect(&to.into()).expect_err("not at once");
    socket
}

/// Sockets that are kept open.
#[derive(Default)]
struct Kept(Vec<OwnedFd>);

impl Kept {
    fn keep(&mut self, socket: impl Into<OwnedFd>) {
        self.0.push(socket.into());
    }

    /// A connection to this listener, and both of its ends.
    fn pair(listener: &std::net::TcpListener, to: IpAddr) -> (TcpStream, TcpStream) {
        let client = connect((to, listener.local_addr().unwrap().port()).into()).unwrap();
        (client, listener.accept().unwrap().0)
    }

    /// Connections of IPv4, IPv6 and mapped, and their listeners.
    fn connections(&mut self, count: usize) {
        let (four, six) = (listen(V4, 0), listen(V6, 0));
        let both = listen(Ipv6Addr::UNSPECIFIED.into(), 0);
        for (listener, to) in [(&four, V4), (&six, V6), (&both, V4)] {
            for _ in 0..count {
                let (mut client, server) = Self::pair(listener, to);
                client.write_all(b"unread").unwrap();
                self.keep(client);
                self.keep(server);
            }
        }
        self.keep(four);
        self.keep(six);
        self.keep(both);
        let only_six = Socket::new(Domain::IPV6, Type::STREAM, None).unwrap();
        only_six.set_only_v6(true).unwrap();
        only_six.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)).into()).unwrap();
        only_six.listen(7).unwrap();
        self.keep(only_six);
    }

    /// A connection in each other state. `nft` drops what would end it; `port` tells its packets apart.
    fn states(&mut self, place: &Place) {
        drops(place, "tcp dport 9");
        self.keep(connecting((Ipv4Addr::LOCALHOST, 9).into()));

        let half_open = listen(V4, 10);
        drops(place, "tcp sport 10");
        self.keep(connecting((Ipv4Addr::LOCALHOST, 10).into()));
        self.keep(half_open);

        let ends: Vec<_> = (11..=16).map(|port| listen(V4, port)).collect();
        let pairs: Vec<_> = ends.iter().map(|listener| Self::pair(listener, V4)).collect();
        let [fin_wait1, last_ack, closing, close_wait, time_wait, keepalive] =
            <[_; 6]>::try_from(pairs).unwrap();

        drops(place, "tcp dport 11");
        fin_wait1.0.shutdown(Shutdown::Write).unwrap();

        last_ack.0.shutdown(Shutdown::Write).unwrap();
        wait_for_end(&mut last_ack.1.try_clone().unwrap());
        drops(place, "tcp sport 12");
        last_ack.1.shutdown(Shutdown::Write).unwrap();

        drops(place, "tcp dport 13");
        closing.0.shutdown(Shutdown::Write).unwrap();
        closing.1.shutdown(Shutdown::Write).unwrap();
        wait_for_end(&mut closing.0.try_clone().unwrap());

        close_wait.0.shutdown(Shutdown::Write).unwrap();
        wait_for_end(&mut close_wait.1.try_clone().unwrap());

        let (client, mut server) = time_wait;
        close(client);
        wait_for_end(&mut server);
        close(server);

        socket2::SockRef::from(&keepalive.0).set_keepalive(true).unwrap();
        for (client, server) in [fin_wait1, last_ack, closing, close_wait, keepalive] {
            self.keep(client);
            self.keep(server);
        }
        for listener in ends {
            self.keep(listener);
        }
    }

    fn datagrams(&mut self) {
        for address in [V4, V6] {
            let bound = UdpSocket::bind((address, 0)).unwrap();
            let connected = UdpSocket::bind((address, 0)).unwrap();
            connected.connect(bound.local_addr().unwrap()).unwrap();
            connected.send(b"unread").unwrap();
            self.keep(bound);
            self.keep(connected);
        }
        self.keep(UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).unwrap());
    }

    fn of_this_host(&mut self, folder: &Path) {
        let path = |name: &str| SockAddr::unix(folder.join(name)).unwrap();
        let stream = socket(Domain::UNIX, Type::STREAM, &path("stream"));
        stream.listen(3).unwrap();
        let client = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        client.connect(&path("stream")).unwrap();
        self.keep(stream.accept().unwrap().0);
        self.keep(client);
        self.keep(stream);
        let packets = socket(Domain::UNIX, Type::SEQPACKET, &SockAddr::unix("\0of packets").unwrap());
        packets.listen(4).unwrap();
        self.keep(packets);
        self.keep(socket(Domain::UNIX, Type::DGRAM, &path("datagrams")));
        self.keep(Socket::new(Domain::UNIX, Type::DGRAM, None).unwrap());
        self.keep(socket(Domain::UNIX, Type::DGRAM, &path(HOSTILE)));
        let (one, other) = Socket::pair(Domain::UNIX, Type::STREAM, None).unwrap();
        self.keep(one);
        self.keep(other);
    }
}

/// Drops these packets from now on.
fn drops(place: &Place, packets: &str) {
    run(place.command("nft").arg("table ip cut { chain input { type filter hook input priority 0; }; }"));
    run(place
        .command("nft")
        .args(["add", "rule", "ip", "cut", "input"])
        .args(packets.split(' '))
        .arg("drop"));
}

/// Sockets of all kinds and in all states.
fn mixed(place: &Place, folder: &Path, count: usize) -> Kept {
    let mut kept = Kept::default();
    place.run(|| {
        kept.connections(count);
        kept.states(place);
        kept.datagrams();
        kept.of_this_host(folder);
    });
    kept
}

/// What is compared of a socket: what it does not have is not there.
type Fields = BTreeMap<&'static str, String>;

/// By cookie, or, of unix sockets, by inode number.
type BySocket = BTreeMap<String, Fields>;

fn only_known(fields: [(&'static str, Option<String>); 10]) -> Fields {
    fields.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
}

/// What `tracer list` says.
fn told(lines: &[Line]) -> BySocket {
    let word = |line: &Line, key: &str| line[key].as_str().map(str::to_owned);
    let integer = |line: &Line, key: &str| line[key].as_u64().map(|number| number.to_string());
    let end = |line: &Line, end: &str| {
        let address = word(line, &format!("{end}_addr"))?.parse::<IpAddr>().unwrap();
        Some(format!("{address} {}", integer(line, &format!("{end}_port")).unwrap_or_default()))
    };
    let holders = |line: &Line| {
        let pids = line["holder_list"].as_array()?.iter().map(|holder| holder["pid"].to_string());
        Some(pids.collect::<Vec<_>>().join(" "))
    };
    let fields = |line: &Line| {
        let is_unix = line["protocol"] == "unix";
        only_known([
            ("protocol", word(line, if is_unix { "type" } else { "protocol" })),
            ("state", word(line, "state")),
            ("recv", integer(line, "recv_queue")),
            ("send", integer(line, "send_queue")),
            ("local", if is_unix { word(line, "path") } else { end(line, "local") }),
            ("remote", if is_unix { integer(line, "peer_inode") } else { end(line, "remote") }),
            ("uid", integer(line, "uid").filter(|_| !is_unix)),
            ("inode", integer(line, "inode")),
            ("holders", holders(line)),
            ("timer", word(line, "timer").map(|timer| format!("{timer} {}", line["unanswered"]))),
        ])
    };
    let key = |line: &Line| match &line["protocol"] {
        protocol if protocol == "unix" => format!("inode {}", line["inode"]),
        _ => format!("{:x}", line["cookie"].as_u64().unwrap()),
    };
    lines.iter().map(|line| (key(line), fields(line))).collect()
}

/// What `ss -tuxanpeOHoi` says. Names with blanks are not told apart from what follows, so those are left out.
fn told_by_ss(out: &str) -> BySocket {
    out.lines().filter_map(of_ss).collect()
}

fn of_ss(line: &str) -> Option<(String, Fields)> {
    // A name with a line break ends a line early.
    let words = Some(line.split_whitespace().collect::<Vec<_>>()).filter(|words| words.len() > 5)?;
    let after = |prefix: &str| words.iter().find_map(|word| word.strip_prefix(prefix)).map(str::to_owned);
    let protocol = match words[0] {
        "tcp" | "udp" => words[0].to_owned(),
        "u_str" => "STREAM".to_owned(),
        "u_dgr" => "DGRAM".to_owned(),
        "u_seq" => "SEQPACKET".to_owned(),
        _ => return None,
    };
    let is_unix = words[0].starts_with("u_");
    let state = match (words[1], is_unix) {
        ("ESTAB", true) => Some("CONNECTED".to_owned()),
        ("LISTEN", true) => Some("LISTENING".to_owned()),
        ("ESTAB", false) => Some("ESTABLISHED".to_owned()),
        ("UNCONN", _) => None,
        (state, _) => Some(state.replace("WAIT-", "WAIT").replace('-', "_")),
    };
    let pids = line.split("pid=").skip(1).map(|rest| rest.split(',').next().unwrap().to_owned());
    let pids: BTreeSet<u32> = pids.map(|pid| pid.parse().unwrap()).collect();
    let pids = pids.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
    let known = |text: String| (!text.is_empty()).then_some(text);
    let timer = after("timer:(").map(|timer| {
        let timer = timer.trim_end_matches(')');
        let (kind, unanswered) = (timer.split(',').next().unwrap(), timer.rsplit(',').next().unwrap());
        format!("{} {unanswered}", if kind == "persist" { "probe" } else { kind })
    });
    let inode = if is_unix { Some(words[5].to_owned()) } else { after("ino:").filter(|inode| inode != "0") };
    let uid = inode.as_ref().filter(|_| !is_unix).map(|_| after("uid:").unwrap_or_else(|| "0".to_owned()));
    let fields = only_known([
        ("protocol", Some(protocol)),
        ("state", state),
        ("recv", Some(words[2].to_owned())),
        ("send", Some(words[3].to_owned())),
        (
            "local",
            if is_unix {
                Some(words[4].to_owned()).filter(|path| path != "*")
            } else {
                Some(ss_end(words[4]))
            },
        ),
        (
            "remote",
            if is_unix { Some(words[7].to_owned()).filter(|peer| peer != "0") } else { ss_peer(words[5]) },
        ),
        ("uid", uid),
        ("inode", inode),
        ("holders", known(pids)),
        ("timer", timer),
    ]);
    let key = if is_unix { format!("inode {}", words[5]) } else { after("sk:").unwrap() };
    Some((key, fields))
}

/// `[::ffff:127.0.0.1]:80`, `*:81`: of both families, which is IPv6's.
fn ss_end(end: &str) -> String {
    let (address, port) = end.rsplit_once(':').unwrap();
    let address = if address == "*" { "::" } else { address.trim_matches(['[', ']']) };
    let address = address.parse::<IpAddr>().unwrap().to_canonical();
    format!("{address} {}", if port == "*" { "" } else { port })
}

fn ss_peer(end: &str) -> Option<String> {
    (!end.ends_with(":*")).then(|| ss_end(end))
}

/// Asserts that both say the same of each socket that is there before and after.
fn assert_same(told: &BySocket, other: &BySocket) {
    let (keys, others): (BTreeSet<_>, BTreeSet<_>) = (told.keys().collect(), other.keys().collect());
    assert_eq!(keys.difference(&others).collect::<Vec<_>>(), Vec::<&&String>::new(), "only tracer has these");
    assert_eq!(others.difference(&keys).collect::<Vec<_>>(), Vec::<&&String>::new(), "tracer lacks these");
    let differing: Vec<_> = told.iter().filter(|(key, fields)| other[*key] != **fields).collect();
    let shown: Vec<_> = differing.iter().take(3).map(|(key, fields)| (fields, &other[*key])).collect();
    assert!(differing.is_empty(), "{} of {} differ: {shown:#?}", differing.len(), told.len());
}

/// A timer may expire between two lists.
fn until_same(place: &Place, other: impl Fn() -> BySocket, list: impl Fn() -> BySocket) {
    let mut last = None;
    for _ in 0..20 {
        let (before, list, after) = (other(), list(), other());
        if before == after {
            return assert_same(&list, &after);
        }
        last = Some((before, after));
    }
    panic!("{} never stands still: {last:?}", place.name());
}

#[test]
fn fields_are_those_of_ss() {
    let (place, folder) = (Place::new(), tempfile::tempdir().unwrap());
    let _kept = mixed(&place, folder.path(), 700);
    let ss = || told_by_ss(&run(place.command("ss").args(["-tuxanpeOHoi"])));
    let is_hostile = |line: &Line| line["path"].as_str().is_some_and(|path| path.contains("forged"));
    let own = || {
        let mut listed = json(&place, "-tuxanpeoi");
        assert_eq!(listed.iter().filter(|line| is_hostile(line)).count(), 1);
        // ss writes the name as it is: on two lines, with blanks.
        listed.retain(|line| !is_hostile(line) && line["path"] != "@of packets");
        told(&listed)
    };
    let ss = || {
        let mut told = ss();
        told.retain(|_, fields| {
            !fields.get("local").is_some_and(|local| local.contains('\x1b') || local == "@of")
        });
        told
    };
    let listed = own();
    assert!(listed.len() > 4_200, "{}", listed.len());
    let states: BTreeSet<_> = listed.values().filter_map(|fields| fields.get("state")).cloned().collect();
    for state in [
        "ESTABLISHED",
        "SYN_SENT",
        "SYN_RECV",
        "FIN_WAIT1",
        "FIN_WAIT2",
        "TIME_WAIT",
        "CLOSE_WAIT",
        "LAST_ACK",
        "LISTEN",
        "CLOSING",
        "CONNECTED",
        "LISTENING",
    ] {
        assert!(states.contains(state), "{state}: {states:?}");
    }
    until_same(&place, ss, own);
}

/// netstat's columns, in its order: of a table in text, which has neither a cut nor a merged value.
#[test]
fn fields_are_those_of_netstat() {
    let (place, folder) = (Place::new(), tempfile::tempdir().unwrap());
    let _kept = mixed(&place, folder.path(), 20);
    let netstat = || {
        let out = run(place.command("netstat").args(["-tuanpW"]));
        let mut lines: Vec<_> = out.lines().skip(2).map(of_netstat).collect();
        lines.sort();
        lines
    };
    let own = || {
        let out = list(&place, "-tuanp").out;
        let mut lines: Vec<_> = out.lines().skip(1).map(of_list).collect();
        lines.sort();
        lines
    };
    until("two lists without an event between them", || {
        let (before, own, after) = (netstat(), own(), netstat());
        (before == after).then(|| assert_eq!(own, after))
    });
}

/// Protocol, queues, ends, state and first holder. netstat says 0 of a listener's limit.
fn of_netstat(line: &str) -> Vec<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let state = if words.len() == 7 { words[5] } else { "-" };
    let send = if state == "LISTEN" { "*" } else { words[2] };
    let end = |end: &str| {
        let (address, port) = end.rsplit_once(':').unwrap();
        format!("{} {port}", address.parse::<IpAddr>().unwrap().to_canonical())
    };
    let peer = if words[4].ends_with(":*") { "-".to_owned() } else { end(words[4]) };
    let pid = words[words.len() - 1].split('/').next().unwrap();
    [words[0].trim_end_matches('6'), words[1], send, &end(words[3]), &peer, state, pid]
        .map(str::to_owned)
        .to_vec()
}

fn of_list(line: &str) -> Vec<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [protocol, recv, send, local, remote, state, _, holders] = words[..] else { panic!("{line}") };
    let send = if state == "LISTEN" { "*" } else { send };
    let end = |end: &str| match end.parse::<SocketAddr>() {
        Ok(end) => format!("{} {}", end.ip(), end.port()),
        Err(_) => end.to_owned(),
    };
    let pid = holders.split('/').next().unwrap();
    [protocol, recv, send, &end(local), &end(remote), state, pid].map(str::to_owned).to_vec()
}

#[test]
fn unix_sockets_are_those_of_netstat() {
    let (place, folder) = (Place::new(), tempfile::tempdir().unwrap());
    let _kept = mixed(&place, folder.path(), 1);
    let netstat = run(place.command("netstat").args(["-xanW"]));
    let table = list(&place, "-xan").out;
    let of_netstat = |line: &str| {
        let (flags, rest) = line.strip_prefix("unix")?.split_once(']')?;
        let words: Vec<_> = rest.split_whitespace().collect();
        let state = Some(words[1]).filter(|word| word.parse::<u64>().is_err());
        let inode = words[1 + usize::from(state.is_some())];
        let accepts = if flags.contains("ACC") { "ACC" } else { "-" };
        Some([flags.split_whitespace().next()?, accepts, words[0], state.unwrap_or("-"), inode].join(" "))
    };
    let mut expected: BTreeSet<String> = netstat.lines().filter_map(of_netstat).collect();
    assert!(expected.remove("9 - STREAM CONNECTED 1"), "the name forges a line of netstat's: {netstat}");
    let own = |line: &str| line.split_whitespace().skip(1).take(5).collect::<Vec<_>>().join(" ");
    let listed: BTreeSet<String> = table.lines().skip(1).map(own).collect();
    assert_eq!(listed, expected, "{table}\n{netstat}");
    assert!(table.contains("a\\x1b[2J\\n0: 00000009") && !table.contains('\x1b'), "{table}");
    assert!(table.contains("@of packets"), "{table}");
}

#[test]
fn flags_choose_as_netstat_does() {
    let (place, folder) = (Place::new(), tempfile::tempdir().unwrap());
    let _kept = mixed(&place, folder.path(), 2);
    let count = |arguments: &str| list(&place, &format!("{arguments} -H")).out.lines().count();
    let netstat = |arguments: &str| {
        let out = run(place.command("netstat").args(arguments.split(' ')));
        out.lines().filter(|line| line.starts_with("tcp") || line.starts_with("udp")).count()
    };
    for flags in ["-tn", "-tln", "-tan", "-un", "-uln", "-uan", "-tuln", "-tuan"] {
        assert_eq!(count(flags), netstat(flags), "{flags}");
    }
    assert_eq!(count(""), netstat("-tn"), "the default");
    assert_eq!(count("-t4an") + count("-t6an"), count("-tan"));
    let with = |arguments: &str| json(&place, arguments);
    assert!(with("--state fin-wait-1").iter().all(|line| text(line, "state") == "FIN_WAIT1"));
    assert_eq!(with("--state LISTEN").len(), netstat("-tln"));
    let big: HashSet<_> = with("--state big").iter().map(|line| text(line, "state").to_owned()).collect();
    assert!(!big.contains("TIME_WAIT") && !big.contains("SYN_RECV") && big.contains("LISTEN"), "{big:?}");
    let synchronized = with("--state synchronized");
    assert!(!synchronized.is_empty());
    assert!(synchronized.iter().all(|line| !["LISTEN", "SYN_SENT"].contains(&text(line, "state"))));
    let port = with("-a --port 14");
    assert!(port.len() == 3 && port.iter().all(|line| line["local_port"] == 14 || line["remote_port"] == 14));
    let comm = run(Command::new("cat").arg(format!("/proc/{}/comm", std::process::id())));
    let held = with("-a").iter().filter(|line| line["pid"].is_u64()).count();
    assert_eq!(with(&format!("-a --pid {}", std::process::id())).len(), held);
    assert_eq!(with(&format!("-a --comm {}", comm.trim())).len(), held);
}

/// A process that has a socket, too, until this is dropped.
struct SharingProcess(Child);

impl SharingProcess {
    fn of(socket: &TcpStream) -> Self {
        let socket = Stdio::from(OwnedFd::from(socket.try_clone().unwrap()));
        let mut command = Command::new("sleep");
        Self(spawn(command.arg("600").stdin(socket).stdout(Stdio::null()).stderr(Stdio::null())).unwrap())
    }
}

impl Drop for SharingProcess {
    fn drop(&mut self) {
        let _ = self.0.kill().and_then(|()| self.0.wait());
    }
}

#[test]
fn all_holders_are_told() {
    let place = Place::new();
    let listener = place.run(|| listen(V4, 0));
    let (client, _server) = place.run(|| Kept::pair(&listener, V4));
    let sharing = [SharingProcess::of(&client), SharingProcess::of(&client)];
    let port = client.local_addr().unwrap().port();
    let lines = json(&place, &format!("--local-port {port}"));
    let [line] = &lines[..] else { panic!("{lines:?}") };
    let told: BTreeSet<u64> = line["holder_list"]
        .as_array()
        .unwrap()
        .iter()
        .map(|holder| holder["pid"].as_u64().unwrap())
        .collect();
    let expected =
        sharing.iter().map(|process| process.0.id()).chain([std::process::id()]).map(u64::from).collect();
    assert_eq!((told, number(line, "holders")), (expected, Some(3.0)));
    let by = list(&place, &format!("--local-port {port} --by process")).out;
    assert!(by.contains("sleep") && by.contains("ESTABLISHED 1"), "{by}");
}

fn as_nobody(place: &Place, binary: &Path) -> Ended {
    let mut command = place.command("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(binary);
    let ended = Program::collect(command.args(["list", "-tap", "-o", "json"])).wait();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    ended
}

/// Who may not see owners is told that, and sees the rest.
#[test]
fn nobody_sees_the_sockets_without_their_owners() {
    let place = Place::new();
    let listener = place.run(|| listen(V4, 0));
    let _ends = place.run(|| Kept::pair(&listener, V4));
    let (_folder, binary) = tracer::public_binary();
    let ended = as_nobody(&place, &binary);
    let listed = lines(&ended.out);
    assert_eq!(listed.len(), 3);
    assert!(listed.iter().all(|line| line["holders"].is_null() && !line["inode"].is_null()), "{listed:?}");
    assert_eq!(ended.err, "tracer: owners of 3 sockets are not visible: run as root\n");
}

/// Never longer than it is, and hardly shorter. Stamps that only a kernel program sees tell it of CLOSE_WAIT and FIN_WAIT2.
#[test]
fn ages_are_true() {
    let place = Place::new();
    let listener = place.run(|| listen(V4, 0));
    let before = Instant::now();
    let _established = place.run(|| Kept::pair(&listener, V4));
    let (half, mut closed) = place.run(|| Kept::pair(&listener, V4));
    thread::sleep(Duration::from_millis(500));
    let (client, mut server) = place.run(|| Kept::pair(&listener, V4));
    let later = Instant::now();
    close(client);
    wait_for_end(&mut server);
    close(server);
    half.shutdown(Shutdown::Write).unwrap();
    wait_for_end(&mut closed);
    place.settle_to(5);
    let begun = Instant::now();
    thread::sleep(Duration::from_millis(1500));
    let least = begun.elapsed();
    let lines = json(&place, "-ta");
    let mut states = BTreeSet::new();
    for line in lines.iter().filter(|line| text(line, "state") != "LISTEN") {
        let age = Duration::from_secs_f64(number(line, "age_at_least_us").unwrap() / 1e6);
        let most = if text(line, "state") == "ESTABLISHED" { before } else { later }.elapsed();
        assert!(age <= most && age + Duration::from_millis(300) >= least, "{least:?} {most:?}: {line}");
        states.insert(text(line, "state"));
    }
    assert_eq!(states, BTreeSet::from(["CLOSE_WAIT", "ESTABLISHED", "FIN_WAIT2", "TIME_WAIT"]), "{lines:?}");
    assert!(lines.iter().all(|line| line["age_us"].is_null()), "a bound is not the age");
}

/// An ACK that overtakes the FIN is older than CLOSE_WAIT, so without a kernel program nothing proves its age.
#[test]
fn without_privileges_only_what_is_proven_is_told() {
    let place = Place::new();
    let listener = place.run(|| listen(V4, 0));
    let (client, mut server) = place.run(|| Kept::pair(&listener, V4));
    let _established = place.run(|| Kept::pair(&listener, V4));
    client.shutdown(Shutdown::Write).unwrap();
    wait_for_end(&mut server);
    thread::sleep(Duration::from_millis(100));
    let (_folder, binary) = tracer::public_binary();
    let listed = lines(&as_nobody(&place, &binary).out);
    let has_age = |state: &str| {
        let of_state: Vec<_> = listed.iter().filter(|line| text(line, "state") == state).collect();
        assert!(!of_state.is_empty(), "{state}: {listed:?}");
        of_state.iter().all(|line| line["age_at_least_us"].is_f64())
    };
    assert!(has_age("ESTABLISHED") && !has_age("CLOSE_WAIT") && !has_age("FIN_WAIT2"));
}

#[test]
fn no_socket_is_told_twice_while_sockets_come_and_go() {
    let place = Place::new();
    thread::scope(|scope| {
        let churn = scope.spawn(|| tests::traffic::churn(&place, 20_000));
        let mut lists = 0;
        while !churn.is_finished() || lists == 0 {
            let listed = json(&place, "-tan");
            let cookies: Vec<_> = listed.iter().map(|line| line["cookie"].as_u64().unwrap()).collect();
            assert_eq!(cookies.iter().collect::<HashSet<_>>().len(), cookies.len());
            lists += 1;
        }
        churn.join().unwrap();
    });
}

#[test]
fn other_namespaces_are_listed_and_named() {
    let places = [Place::new(), Place::new()];
    let _listeners = places.each_ref().map(|place| place.run(|| listen(V4, 0)));
    let inums = places.each_ref().map(Place::inum);
    let listed = lines(&tracer::run("list -tl --all-netns -o json --columns netns,netns_name").out);
    for (place, inum) in places.iter().zip(inums) {
        let own: Vec<_> = listed.iter().filter(|line| line["netns"] == inum).collect();
        assert!(own.len() == 1 && own[0]["netns_name"] == place.name(), "{listed:?}");
    }
    let one = lines(&tracer::run(&format!("list -tl --netns {} -o json", places[0].name())).out);
    assert!(one.len() == 1 && one[0]["netns"] == inums[0], "{one:?}");
}

#[test]
fn what_has_changed_is_marked() {
    let place = Place::new();
    let listener = place.run(|| listen(V4, 0));
    let mut command = place.command(tracer::binary());
    command.args([
        "list",
        "-ta",
        "--watch",
        "100ms",
        "-o",
        "csv",
        "--columns",
        "change,state,local_port,remote_port",
    ]);
    let mut watch = Program::collect(&mut command);
    watch.wait_for_out("the first list", |out| out.contains("LISTEN"));
    let (client, server) = place.run(|| Kept::pair(&listener, V4));
    watch.wait_for_out("the new ones", |out| out.matches("new,ESTABLISHED").count() == 2);
    client.shutdown(Shutdown::Write).unwrap();
    watch.wait_for_out("the changed ones", |out| {
        out.contains("changed,CLOSE_WAIT") && out.contains("changed,FIN_WAIT2")
    });
    close(server);
    watch.wait_for_out("the one that is gone", |out| out.contains("gone,CLOSE_WAIT"));
    let ended = watch.interrupt();
    assert_eq!((ended.code(), ended.out.matches("change,state").count()), (0, 1), "{}", ended.err);
}
