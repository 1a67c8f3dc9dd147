//! What `tracer list` writes, byte for byte: `UPDATE_CAPTURES=1 cargo test` takes what it writes now.

// A panic is how a test says that it failed.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{collections::HashMap, ffi::OsString, fmt::Write as _, net::IpAddr, path::PathBuf, sync::Arc};

use clap::Parser as _;
use tracer::{
    cli::{Cli, Command, list::with_formats},
    config::{self, ListConfig, SocketsConfig},
    facts::{
        context::Context,
        end_names::EndNames,
        interfaces::DeviceKey,
        listing::{ConnectionInfo, ListedSocket, Listing, Protocol, SocketTimer, UnixFacts},
        names::{CgroupTree, ContainerNames, Names, UnknownName},
        process_cgroups::ProcessCgroup,
    },
    tcp::{
        device::DeviceName,
        endpoint::Tuple,
        netns::{Netns, NetnsId},
    },
    time::clock::{Anchor, Clock},
};
use tracer_common::{
    event::{AF_INET, AF_INET6, COMM_LEN, Holder},
    state,
};

const SECOND: u64 = 1_000_000_000;

fn config(flags: &str) -> SocketsConfig {
    let words =
        with_formats(format!("tracer list --color never {flags}").split_whitespace().map(OsString::from));
    let Some(Command::List(args)) = Cli::parse_from(words).command else { panic!("{flags}") };
    match config::list(*args).unwrap() {
        ListConfig::Sockets(config) => *config,
        ListConfig::Network(_) => panic!("{flags}: no sockets"),
    }
}

fn holder(pid: u32, name: &str) -> Holder {
    let mut comm = [0; COMM_LEN];
    comm[..name.len()].copy_from_slice(name.as_bytes());
    Holder { cookie: 0, comm, pid, mptcp_token: 0 }
}

fn address(text: &str) -> (u8, [u8; 16]) {
    match text.parse().unwrap() {
        IpAddr::V4(four) => (AF_INET, four.to_ipv6_mapped().octets()),
        IpAddr::V6(six) => (AF_INET6, six.octets()),
    }
}

fn socket(protocol: Protocol, state: u8, local: (&str, u16), remote: (&str, u16)) -> ListedSocket {
    let ((family, local_addr), (_, remote_addr)) = (address(local.0), address(remote.0));
    let tuple = Tuple {
        local_addr,
        remote_addr,
        local_port: local.1,
        remote_port: remote.1,
        netns: 4_026_531_833,
        ..Tuple::default()
    };
    ListedSocket {
        state,
        cookie: u64::from(local.1) << 16 | u64::from(remote.1),
        inode: 4711,
        uid: Some(1000),
        holders: Some([holder(1, "nginx")].into()),
        ..ListedSocket::new(protocol, family, tuple)
    }
}

/// A socket that no process can hold.
fn orphan(socket: ListedSocket) -> ListedSocket {
    ListedSocket { inode: 0, uid: None, holders: Some([].into()), ..socket }
}

fn unix(kind: u8, state: u8, inode: u32, path: Option<&str>) -> ListedSocket {
    let facts = UnixFacts { kind, refcount: Some(2), path: path.map(str::to_owned), peer_inode: None };
    ListedSocket {
        unix: Some(facts.into()),
        inode,
        cookie: inode.into(),
        ..socket(Protocol::Unix, state, ("0.0.0.0", 0), ("0.0.0.0", 0))
    }
}

/// Names on a host with a container.
struct Named;

impl Names for Named {
    fn cgroup_path(&mut self, _: u64) -> Option<String> {
        Some(format!("/system.slice/docker-{}.scope", "0123456789abcdef".repeat(4)))
    }
    fn container_names(&mut self, _: u64) -> Option<ContainerNames> {
        None
    }
    fn netns_name(&mut self, _: u32) -> Option<String> {
        None
    }
    fn process_cgroup(&mut self, _: u32) -> Option<ProcessCgroup> {
        None
    }
    fn command_line(&mut self, _: u32) -> Option<String> {
        None
    }
    fn cgroups(&mut self) -> Option<CgroupTree> {
        None
    }
    fn processes(&mut self) -> Option<HashMap<u32, Vec<u8>>> {
        None
    }
    fn netns(&mut self, _: &Netns) -> Result<NetnsId, UnknownName> {
        Ok(NetnsId::default())
    }
    fn check_pids(&self) -> Result<(), UnknownName> {
        Ok(())
    }
}

/// Sockets of all kinds, with the longest and the most hostile values.
fn listing(flags: &str) -> (Listing, Context) {
    use Protocol::{Tcp, Udp};
    let long = "fe80:1111:2222:3333:4444:5555:6666:7777";
    let mut scoped = socket(Tcp, state::ESTABLISHED, (long, 65535), (long, 443));
    scoped.tuple.ifindex = 3;
    scoped.holders = Some([holder(4_194_304, "\x1b[2J\n"), holder(7, "a b"), holder(8, "世界")].into());
    scoped.info =
        Some(ConnectionInfo { srtt_us: 250, retransmits: 3, bytes_acked: 1 << 40, bytes_received: 7 });
    scoped.in_state_ns = Some(90_000 * SECOND);
    scoped.timer = Some(SocketTimer { kind: 2, unanswered: 9, rest_ms: 7_199_000 });
    let listener = ListedSocket { send_queue: 128, ..socket(Tcp, state::LISTEN, ("::", 80), ("::", 0)) };
    let many = (0..1030).map(|number| holder(100 + number, "worker")).collect();
    let shared = ListedSocket {
        holders: Some(many),
        cgroup: 7,
        ..socket(Tcp, state::CLOSE_WAIT, ("10.0.0.1", 80), ("10.0.0.2", 5000))
    };
    let mut timewait = orphan(socket(Tcp, state::TIME_WAIT, ("127.0.0.1", 80), ("127.0.0.1", 5001)));
    timewait.timer = Some(SocketTimer { kind: 3, unanswered: 0, rest_ms: 48_000 });
    timewait.in_state_ns = Some(12 * SECOND);
    let hidden = ListedSocket { holders: None, ..socket(Udp, state::CLOSE, ("0.0.0.0", 53), ("0.0.0.0", 0)) };
    let sockets = vec![
        listener,
        scoped,
        shared,
        timewait,
        hidden,
        socket(Udp, state::ESTABLISHED, ("127.0.0.1", 9999), ("127.0.0.1", 53)),
        unix(1, state::LISTEN, 10, Some("/run/a b\\n\\x1b")),
        unix(5, state::ESTABLISHED, 11, Some("@abstract")),
        unix(2, state::CLOSE, 4_294_967_295, None),
    ];
    let at = Anchor { monotonic_ns: SECOND, wall_ns: 1_767_225_600 * 1_000_000_000 };
    let mut context = Context::new(Clock::new(at));
    let device = DeviceKey::of(&sockets[1].tuple);
    context.interfaces.insert(device, DeviceName::new("wg-to-somewhere").unwrap());
    context.names.learn_user(1000, |_| Some("alice".to_owned()));
    let mut named = Named;
    for socket in &sockets {
        context.names.learn_ids(socket.cgroup, socket.tuple.netns_id(), &mut named);
    }
    if flags.contains("--names") {
        let services = [((Tcp, 80), "http"), ((Tcp, 443), "https"), ((Udp, 53), "domain")];
        let services = services.into_iter().map(|(place, name)| (place, name.into()));
        let hosts =
            [("10.0.0.2", "client.example"), (long, "a-host-with-a-long-name.in.a-long-domain.example")];
        let hosts = hosts.into_iter().map(|(addr, name)| (addr.parse().unwrap(), name.into()));
        context.end_names = EndNames { services: Arc::new(services.collect()), hosts: hosts.collect() };
    }
    let missing = Vec::new();
    (Listing { at, sockets, missing }, context)
}

fn written(flags: &str) -> String {
    let (mut listing, context) = listing(flags);
    let mut out = Vec::new();
    config(flags).view.show(&mut listing, &context, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn lists_are_written_so() {
    let mut text = String::new();
    for flags in [
        "-ta",
        "-ta --names",
        "-tuxanp",
        "-tuxanpeoi",
        "-tuxape",
        "-ta --columns local_port,holders,holder_list",
        "-ta --columns local_port,cgroup_path,container",
        "-ta --columns local_port,user,container -o json",
        "-ta --by port --names",
        "-tux -H",
        "-ta --sort age_us",
        "-tux --by process",
        "-tux --by state",
        "-ta -o csv",
        "-tux -o json",
    ] {
        let out = written(flags);
        // Not all of the thousand.
        let out = out.lines().map(|line| line.split(r#"{"pid":103,"#).next().unwrap_or_default());
        writeln!(text, "$ tracer list {flags}").unwrap();
        out.for_each(|line| writeln!(text, "{line}").unwrap());
        writeln!(text).unwrap();
    }
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/captures/lists.txt");
    if std::env::var_os("UPDATE_CAPTURES").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    assert!(std::fs::read_to_string(path).unwrap_or_default() == text, "UPDATE_CAPTURES=1 takes it: {text}");
}

/// Every line has as many values as there are columns, so a script may split at blanks; only the last column has any.
#[test]
fn columns_never_merge() {
    for flags in ["-ta", "-tuan", "-tuaneoi", "-tuaeoi", "-tuaeoi --names"] {
        let out = written(flags);
        let columns = out.lines().next().unwrap().split_whitespace().count();
        for line in out.lines() {
            assert_eq!(line.split_whitespace().count(), columns, "{flags}: {line}");
        }
    }
}

/// Text names the first ones, JSON as many as fit into a line that a program still reads at once; `holders` counts all.
#[test]
fn holders_are_counted_beyond_those_that_are_named() {
    let text = written("-ta --columns local_port,holder_list");
    let named = text.lines().find(|line| line.contains("worker")).unwrap();
    assert!(named.matches("/worker").count() == 32 && named.ends_with(" +998"), "{named}");
    let json = written("-ta -o json --state CLOSE_WAIT");
    let line = json.lines().find(|line| line.contains("worker")).unwrap();
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    let list = line["holder_list"].as_array().unwrap();
    assert_eq!((line["holders"].as_u64(), list.len()), (Some(1030), 1024));
    assert_eq!((&list[1023]["pid"], &list[1023]["comm"]), (&1123.into(), &"worker".into()));
    assert!(line.as_object().unwrap().len() > 30, "what follows is there, too");
}

#[test]
fn what_has_changed_is_marked() {
    let (listing, context) = listing("");
    let mut config = config("-ta --watch 1s -o csv --columns change,local_port,state");
    let mut show = |sockets: Vec<ListedSocket>| {
        let mut out = Vec::new();
        config.view.show(&mut Listing { sockets, ..listing.clone() }, &context, &mut out);
        String::from_utf8(out).unwrap()
    };
    let all = listing.sockets.clone();
    assert!(show(all[..2].to_vec()).starts_with("change,local_port,state\n,80,LISTEN\n"));
    let mut later = all[1..3].to_vec();
    later[0].state = state::CLOSE_WAIT;
    assert_eq!(show(later.clone()), "changed,65535,CLOSE_WAIT\nnew,80,CLOSE_WAIT\ngone,80,LISTEN\n");
    assert_eq!(show(later), ",65535,CLOSE_WAIT\n,80,CLOSE_WAIT\n");
}
