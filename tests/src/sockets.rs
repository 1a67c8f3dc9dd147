//! Sockets of all kinds and in all states, to list.

use std::{
    ffi::OsStr,
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _},
    path::Path,
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, SockAddr, SockRef, Socket, Type};

use crate::{
    place::Place,
    program::{close, run},
    traffic::{connect, listen, wait_for_end},
};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);
const MAPPED: IpAddr = IpAddr::V6(Ipv4Addr::LOCALHOST.to_ipv6_mapped());

/// A name that would clear a terminal and forge a line.
pub const HOSTILE: &str = "a\x1b[2J\n0: 00000009 0 0 1 3 1 forged";

/// Names that no program should trust: a line break, a bell, bytes that are not UTF-8, a reversed direction.
const MORE_HOSTILE: [&[u8]; 4] =
    [b"two\nlines", b"bell\x07 and \\blank", b"\xff\xfe\xc3", "\u{202e}fdp".as_bytes()];

/// How many half-open connections a listener of the tests holds.
const HALF_OPEN: usize = 8;

/// Sockets that are kept open.
#[derive(Default)]
pub struct Kept(Vec<OwnedFd>);

/// Lets this process have as many descriptors as it may.
pub fn raise_descriptor_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
}

/// A connection to this listener, and both of its ends.
pub fn pair(listener: &TcpListener, to: IpAddr) -> (TcpStream, TcpStream) {
    let client = connect((to, listener.local_addr().unwrap().port()).into()).unwrap();
    (client, listener.accept().unwrap().0)
}

/// Sockets of all kinds and in all states. There are `count` connections of IPv4, IPv6 and mapped each.
pub fn mixed(place: &Place, folder: &Path, count: usize) -> Kept {
    let mut kept = Kept::default();
    place.run(|| {
        kept.connections(count);
        kept.states(place, V4, 9);
        kept.datagrams();
        kept.of_this_host(folder);
    });
    kept
}

/// The same without the states that only a firewall can hold.
pub fn mixed_without_firewall(place: &Place, folder: &Path, count: usize) -> Kept {
    let mut kept = Kept::default();
    place.run(|| {
        kept.connections(count);
        kept.exchanged(count);
        kept.datagrams();
        kept.of_this_host(folder);
        in_time_wait(V4, count);
    });
    kept
}

/// As [`mixed`], with many of each kind, and each state in IPv4, IPv6 and mapped.
pub fn many_mixed(place: &Place, folder: &Path, count: usize) -> Kept {
    raise_descriptor_limit();
    let mut kept = mixed(place, folder, count);
    place.run(|| {
        kept.states(place, V6, 29);
        kept.states(place, MAPPED, 49);
        kept.exchanged(count / 8);
        for _ in 0..count / 8 {
            kept.datagrams();
        }
        for number in 0..count / 8 {
            let folder = folder.join(number.to_string());
            std::fs::create_dir(&folder).unwrap();
            kept.pairs_of_this_host(&folder, number);
        }
        kept.hostile_names(folder);
        for address in [V4, V6, MAPPED] {
            in_time_wait(address, count / 3);
        }
    });
    kept
}

/// Connections that end in TIME_WAIT.
fn in_time_wait(address: IpAddr, count: usize) {
    let listener = listen(address, 0);
    for _ in 0..count {
        to_time_wait(pair(&listener, address));
    }
}

fn to_time_wait((client, mut server): (TcpStream, TcpStream)) {
    close(client);
    wait_for_end(&mut server);
    close(server);
}

fn socket(domain: Domain, kind: Type, bound: &SockAddr) -> Socket {
    let socket = Socket::new(domain, kind, None).unwrap();
    socket.bind(bound).unwrap();
    socket
}

fn exchange(from: &mut TcpStream, to: &mut TcpStream, count: usize) {
    from.write_all(&vec![1; count]).unwrap();
    to.read_exact(&mut vec![0; count]).unwrap();
}

/// A socket that has begun to connect.
fn connecting(to: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket.connect(&to.into()).expect_err("not at once");
    socket
}

/// Drops these packets from now on.
fn drops(place: &Place, packets: &str) {
    run(place.command("nft").arg("table inet cut { chain input { type filter hook input priority 0; }; }"));
    run(place
        .command("nft")
        .args(["add", "rule", "inet", "cut", "input"])
        .args(packets.split(' '))
        .arg("drop"));
}

impl Kept {
    fn keep(&mut self, socket: impl Into<OwnedFd>) {
        self.0.push(socket.into());
    }

    fn keep_both(&mut self, (one, other): (impl Into<OwnedFd>, impl Into<OwnedFd>)) {
        self.keep(one);
        self.keep(other);
    }

    /// Connections of IPv4, IPv6 and mapped, and their listeners.
    fn connections(&mut self, count: usize) {
        let (four, six) = (listen(V4, 0), listen(V6, 0));
        let both = listen(Ipv6Addr::UNSPECIFIED.into(), 0);
        for (listener, to) in [(&four, V4), (&six, V6), (&both, V4)] {
            for _ in 0..count {
                let (mut client, server) = pair(listener, to);
                client.write_all(b"unread").unwrap();
                self.keep_both((client, server));
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

    /// Connections with data in both directions, which has been read.
    fn exchanged(&mut self, count: usize) {
        for address in [V4, V6, MAPPED] {
            let listener = listen(address, 0);
            for number in 0..count {
                let (mut client, mut server) = pair(&listener, address);
                exchange(&mut client, &mut server, 1 + number);
                exchange(&mut server, &mut client, 2 + 2 * number);
                self.keep_both((client, server));
            }
            self.keep(listener);
        }
    }

    /// A connection in each other state, at the ports from `base` on. `nft` drops what would end it; the port
    /// tells its packets apart.
    fn states(&mut self, place: &Place, address: IpAddr, base: u16) {
        let port = |number: u16| base - 9 + number;
        drops(place, &format!("tcp dport {}", port(9)));
        self.keep(connecting((address, port(9)).into()));

        let half_open = listen(address, port(10));
        drops(place, &format!("tcp sport {}", port(10)));
        let clients: Vec<_> = (0..HALF_OPEN).map(|_| connecting((address, port(10)).into())).collect();
        self.0.extend(clients.into_iter().map(OwnedFd::from));
        self.keep(half_open);

        let ends: Vec<_> = (11..=16).map(|number| listen(address, port(number))).collect();
        let pairs: Vec<_> = ends.iter().map(|listener| pair(listener, address)).collect();
        let [fin_wait1, last_ack, closing, close_wait, time_wait, keepalive] =
            <[_; 6]>::try_from(pairs).unwrap();

        drops(place, &format!("tcp dport {}", port(11)));
        fin_wait1.0.shutdown(Shutdown::Write).unwrap();

        last_ack.0.shutdown(Shutdown::Write).unwrap();
        wait_for_end(&mut last_ack.1.try_clone().unwrap());
        drops(place, &format!("tcp sport {}", port(12)));
        last_ack.1.shutdown(Shutdown::Write).unwrap();

        drops(place, &format!("tcp dport {}", port(13)));
        closing.0.shutdown(Shutdown::Write).unwrap();
        closing.1.shutdown(Shutdown::Write).unwrap();
        wait_for_end(&mut closing.0.try_clone().unwrap());

        close_wait.0.shutdown(Shutdown::Write).unwrap();
        wait_for_end(&mut close_wait.1.try_clone().unwrap());

        to_time_wait(time_wait);

        SockRef::from(&keepalive.0).set_keepalive(true).unwrap();
        for ends in [fin_wait1, last_ack, closing, close_wait, keepalive] {
            self.keep_both(ends);
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
            self.keep_both((bound, connected));
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
        self.keep_both((client, stream));
        let packets = socket(Domain::UNIX, Type::SEQPACKET, &SockAddr::unix("\0of packets").unwrap());
        packets.listen(4).unwrap();
        self.keep(packets);
        self.keep(socket(Domain::UNIX, Type::DGRAM, &path("datagrams")));
        self.keep(Socket::new(Domain::UNIX, Type::DGRAM, None).unwrap());
        self.keep(socket(Domain::UNIX, Type::DGRAM, &path(HOSTILE)));
        self.keep_both(Socket::pair(Domain::UNIX, Type::STREAM, None).unwrap());
    }

    /// Pairs, connections and bound sockets of all types.
    fn pairs_of_this_host(&mut self, folder: &Path, number: usize) {
        for (name, kind) in [("stream", Type::STREAM), ("packets", Type::SEQPACKET)] {
            let address = SockAddr::unix(folder.join(name)).unwrap();
            let listener = socket(Domain::UNIX, kind, &address);
            listener.listen(5).unwrap();
            let client = Socket::new(Domain::UNIX, kind, None).unwrap();
            client.connect(&address).unwrap();
            client.send(b"unread").unwrap();
            self.keep(listener.accept().unwrap().0);
            self.keep_both((client, listener));
            self.keep_both(Socket::pair(Domain::UNIX, kind, None).unwrap());
        }
        let abstract_name = SockAddr::unix(format!("\0abstract-{number}")).unwrap();
        let bound = socket(Domain::UNIX, Type::DGRAM, &abstract_name);
        let connected = Socket::new(Domain::UNIX, Type::DGRAM, None).unwrap();
        connected.connect(&abstract_name).unwrap();
        self.keep_both((bound, connected));
        self.keep_both(Socket::pair(Domain::UNIX, Type::DGRAM, None).unwrap());
    }

    /// As paths and as abstract names, which may also have a zero inside.
    fn hostile_names(&mut self, folder: &Path) {
        for name in MORE_HOSTILE {
            let path = SockAddr::unix(folder.join(OsStr::from_bytes(name))).unwrap();
            self.keep(socket(Domain::UNIX, Type::DGRAM, &path));
            let abstract_name = [b"\0zero\0", name].concat();
            let address = SockAddr::unix(OsStr::from_bytes(&abstract_name)).unwrap();
            self.keep(socket(Domain::UNIX, Type::STREAM, &address));
        }
    }
}
