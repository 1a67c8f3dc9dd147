//! Connections that come from another listener than the one at their address: the innocent process that listens
//! there is never named.

use std::{
    net::{SocketAddr, TcpListener},
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
    process::Command,
};

use socket2::{Domain, Socket, Type};
use tests::{
    patience::until,
    place::Place,
    program::{Program, close, run},
    story::{Line, lines, text, whole},
    tracer,
    traffic::{actor, connect, wait_for_end},
};

const PROXY_PORT: u16 = 15_001;

/// A listener for connections to any address and port.
fn transparent_listener() -> TcpListener {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_ip_transparent_v4(true).unwrap();
    socket.bind(&SocketAddr::from(([0, 0, 0, 0], PROXY_PORT)).into()).unwrap();
    socket.listen(16).unwrap();
    socket.into()
}

/// What is sent to this port is taken by the proxy.
fn redirect(place: &Place, port: u16) {
    let rules = format!(
        "table ip steer {{
           chain before {{
             type filter hook prerouting priority mangle; policy accept;
             tcp dport {port} tproxy to :{PROXY_PORT} meta mark set 1 accept
           }}
         }}"
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), rules).unwrap();
    run(place.command("nft").arg("-f").arg(file.path()));
    for words in ["rule add fwmark 1 lookup 100", "route add local 0.0.0.0/0 dev lo table 100"] {
        run(Command::new("ip").args(["-n", place.name()]).args(words.split(' ')));
    }
}

/// A process that listens, and never gets a connection.
fn innocent(place: &Place, address: &str) -> (Program, u16) {
    let mut server = Program::collect(place.command(actor()).args(["answer", "innocent", address]));
    server.wait_for_out("the server's port", |out| out.ends_with('\n'));
    let port = server.out().trim().parse().unwrap();
    (server, port)
}

/// Lets a BPF program choose the listeners of a namespace. This one leaves the choice to the kernel, which nobody
/// can see from outside.
#[allow(clippy::cast_possible_truncation)] // halves of pointers
fn attach_lookup_program(place: &Place) -> OwnedFd {
    const BPF_PROG_LOAD: i32 = 5;
    const BPF_LINK_CREATE: i32 = 28;
    const BPF_PROG_TYPE_SK_LOOKUP: u32 = 30;
    const BPF_SK_LOOKUP: u32 = 36;
    // `r0 = SK_PASS; exit`
    let program: [u64; 2] = [0x0000_0001_0000_00b7, 0x95];
    let license = c"GPL";
    let mut load = [0_u32; 18];
    (load[0], load[1]) = (BPF_PROG_TYPE_SK_LOOKUP, 2);
    for (at, pointer) in [(2, program.as_ptr() as u64), (4, license.as_ptr() as u64)] {
        (load[at], load[at + 1]) = (pointer as u32, (pointer >> 32) as u32);
    }
    load[17] = BPF_SK_LOOKUP;
    let program = bpf(BPF_PROG_LOAD, &load);
    let netns = std::fs::File::open(format!("/run/netns/{}", place.name())).unwrap();
    let number = |fd: i32| u32::try_from(fd).unwrap();
    let link = [number(program.as_raw_fd()), number(netns.as_raw_fd()), BPF_SK_LOOKUP, 0];
    bpf(BPF_LINK_CREATE, &link)
}

fn bpf(command: i32, attributes: &[u32]) -> OwnedFd {
    // SAFETY: the kernel reads the attributes (`union bpf_attr`) and what they point to.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, command, attributes.as_ptr(), size_of_val(attributes)) };
    assert!(fd >= 0, "bpf({command}): {}", std::io::Error::last_os_error());
    // SAFETY: a new descriptor that nothing else owns.
    unsafe { OwnedFd::from_raw_fd(i32::try_from(fd).unwrap()) }
}

#[test]
fn where_a_program_may_choose_the_listener_none_is_named() {
    let place = Place::new();
    let _link = attach_lookup_program(&place);
    let tracer = tracer::start(&format!("-o json --netns {}", place.name()));
    let (_server, port) = innocent(&place, "127.77.74.1");
    assert_eq!(
        run(place.command(actor()).args(["ask", "client", "127.77.74.1", &port.to_string(), "1"])),
        "done\n"
    );
    until("its end", || tracer.out().contains("\"reason\":\"fin-remote\"").then_some(()));
    let ended = tracer.interrupt();
    let told = lines(&ended.out);
    let births: Vec<_> = told.iter().filter(|line| text(line, "old_state") == "LISTEN").collect();
    assert_eq!(births.len(), 1, "{}", ended.out);
    assert!(births[0]["pid"].is_null(), "{}", births[0]);
    let end = told.iter().find(|line| line["reason"] == "fin-remote").unwrap();
    assert_eq!(text(end, "comm"), "innocent", "it did get this one, and was seen at work: {end}");
}

#[test]
fn a_transparent_proxys_connections_are_not_the_innocent_listeners() {
    // One that listens at that address before the tracer comes, and one after.
    for comes_first in [true, false] {
        let (left, right) = Place::pair();
        let start = || tracer::start(&format!("-o json --netns {}", right.name()));
        let early = (!comes_first).then(start);
        let (innocent, port) = innocent(&right, "10.77.0.2");
        let tracer = early.unwrap_or_else(start);
        redirect(&right, port);
        let proxy = right.run(transparent_listener);
        let client = left.run(|| connect(SocketAddr::from(([10, 77, 0, 2], port))).unwrap());
        let mut taken = proxy.accept().unwrap().0;
        assert_eq!(taken.local_addr().unwrap().port(), port, "it was redirected");
        close(client);
        wait_for_end(&mut taken);
        close(taken);
        until("its end", || tracer.out().contains("\"reason\":\"fin-remote\"").then_some(()));
        let ended = tracer.interrupt();
        assert_eq!((ended.code(), tracer::lost(&ended)), (0, 0), "{}", ended.err);
        let is_server = |line: &&Line| line["remote_addr"] == "10.77.0.1";
        let told: Vec<_> = lines(whole(&ended.out)).into_iter().filter(|line| is_server(&line)).collect();
        assert!(told.len() >= 5, "{}", ended.out);
        for line in &told {
            assert_ne!(line["pid"], innocent.pid(), "{line}");
        }
        assert_eq!(told.last().unwrap()["pid"], std::process::id(), "{told:#?}");
        assert_eq!(text(&told[0], "role"), "server");
    }
}
