//! `tracer list` beside `ss` and netstat: the same sockets, field by field.

use std::{
    collections::{BTreeSet, HashSet},
    net::{IpAddr, Ipv4Addr, Shutdown, TcpStream, UdpSocket},
    os::fd::OwnedFd,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tests::{
    listed::{inet_of_list, inet_of_netstat, json, list},
    patience::until,
    place::Place,
    program::{self, Ended, Program, close, run, spawn},
    sockets::{mixed, pair},
    story::{lines, number, text},
    tracer,
    traffic::{listen, wait_for_end},
};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// netstat's columns, in its order: of a table in text, which has neither a cut nor a merged value.
#[test]
fn fields_are_those_of_netstat() {
    let (place, folder) = (Place::new(), tempfile::tempdir().unwrap());
    let _kept = mixed(&place, folder.path(), 20);
    let netstat = || {
        let out = run(place.command("netstat").args(["-tuanpW"]));
        let mut lines: Vec<_> = out.lines().skip(2).map(inet_of_netstat).collect();
        lines.sort();
        lines
    };
    let own = || {
        let out = list(&place, "-tuanp").out;
        let mut lines: Vec<_> = out.lines().skip(1).map(inet_of_list).collect();
        lines.sort();
        lines
    };
    until("two lists without an event between them", || {
        let (before, own, after) = (netstat(), own(), netstat());
        (before == after).then(|| assert_eq!(own, after))
    });
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
    let (client, _server) = place.run(|| pair(&listener, V4));
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

/// What getent says: the system's own databases.
fn getent(database: &str, key: &str) -> String {
    let output = program::output(Command::new("getent").args([database, key]));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn names_are_those_of_the_system() {
    let place = Place::new();
    let _listener = place.run(|| listen(V4, 443));
    let service = getent("services", "443/tcp");
    let service = service.split_whitespace().next().expect("a name for 443/tcp");
    let host = getent("hosts", "127.0.0.1");
    let host = host.split_whitespace().nth(1).expect("a name for 127.0.0.1");
    let user = getent("passwd", "0");
    let user = user.split(':').next().unwrap();
    let line = |arguments: &str| list(&place, arguments).out.lines().nth(1).unwrap().to_owned();
    assert!(line("-tl").contains(" 127.0.0.1:443 "));
    assert!(line("-tl --names").contains(&format!(" 127.0.0.1:{service} ")));
    let ended = list(&place, "-tl --names=hosts");
    assert!(ended.out.contains(&format!(" {host}:{service} ")) && ended.err.is_empty(), "{}", ended.out);
    let words = |arguments: &str| line(arguments).split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words("-tl --columns user,uid"), [user, "0"]);
    assert!(words("-tle").contains(&user.to_owned()) && !words("-tlen").contains(&user.to_owned()));
    assert_eq!(json(&place, "-tl --columns user,uid,local")[0]["user"], user);
}

/// A resolver that never answers holds nothing up for long: what it was asked for stays a number, and is counted.
#[test]
fn a_silent_resolver_is_not_waited_for() {
    let place = Place::new();
    run(place.command("ip").args(["addr", "add", "192.0.2.1/32", "dev", "lo"]));
    let _listeners = place.run(|| [listen([192, 0, 2, 1].into(), 80), listen(V4, 80)]);
    let _silent = place.run(|| UdpSocket::bind((V4, 53)).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let resolver = folder.path().join("resolv.conf");
    std::fs::write(&resolver, "nameserver 127.0.0.1\n").unwrap();
    let script = r#"mount --bind "$0" /etc/resolv.conf && exec "$1" list -tl --names=hosts"#;
    let mut command = place.command("unshare");
    command.args(["--mount", "sh", "-c", script]).args([resolver.as_path(), tracer::binary().as_ref()]);
    let begun = Instant::now();
    let ended = Program::collect(&mut command).wait();
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert_eq!(
        (ended.code(), ended.out.contains(" 192.0.2.1:http ")),
        (0, true),
        "{}{}",
        ended.out,
        ended.err
    );
    assert!(ended.err.contains("1 address stays a number: the resolver has not answered"), "{}", ended.err);
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
    let _ends = place.run(|| pair(&listener, V4));
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
    let _established = place.run(|| pair(&listener, V4));
    let (half, mut closed) = place.run(|| pair(&listener, V4));
    thread::sleep(Duration::from_millis(500));
    let (client, mut server) = place.run(|| pair(&listener, V4));
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

/// A FIN that is sent again and again proves an age without any privileges; one that waits for a first answer does not.
#[test]
fn a_fin_without_an_answer_has_an_age() {
    let place = Place::new();
    let folder = tempfile::tempdir().unwrap();
    let before = Instant::now();
    let _kept = mixed(&place, folder.path(), 0);
    let begun = Instant::now();
    let aged = until("both have an age", || {
        let lines = json(&place, "-ta");
        let aged = lines.into_iter().filter(|line| ["FIN_WAIT1", "LAST_ACK"].contains(&text(line, "state")));
        let aged: Vec<_> = aged.filter(|line| number(line, "age_at_least_us") > Some(0.0)).collect();
        (aged.len() >= 2).then_some(aged)
    });
    let most = before.elapsed();
    for line in &aged {
        let age = Duration::from_secs_f64(number(line, "age_at_least_us").unwrap() / 1e6);
        assert!(age <= most && line["age_us"].is_null(), "{most:?}: {line}");
        // The timer is doubled each time, so the bound is at least a fifth of what has passed.
        assert!(
            age * 5 + Duration::from_millis(500) >= begun.elapsed().min(most) || age > Duration::from_secs(1),
            "{line}"
        );
    }
    let states: BTreeSet<_> = aged.iter().map(|line| text(line, "state")).collect();
    assert_eq!(states, BTreeSet::from(["FIN_WAIT1", "LAST_ACK"]));
    let unknown = json(&place, "-ta --state CLOSING,SYN_RECV");
    assert!(
        !unknown.is_empty() && unknown.iter().all(|line| line["age_at_least_us"].is_null()),
        "{unknown:?}"
    );
}

/// An ACK that overtakes the FIN is older than CLOSE_WAIT, so without a kernel program nothing proves its age.
#[test]
fn without_privileges_only_what_is_proven_is_told() {
    let place = Place::new();
    let listener = place.run(|| listen(V4, 0));
    let (client, mut server) = place.run(|| pair(&listener, V4));
    let _established = place.run(|| pair(&listener, V4));
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
    let (client, server) = place.run(|| pair(&listener, V4));
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
