//! `serve` under load: scrapes are quick, and what is counted by peer takes bounded memory. Long: together two minutes
//! with all processors busy.

// A panic is how a test says that it failed.
#![allow(clippy::unwrap_used)]

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use rustix::net::sockopt::set_socket_linger;
use socket2::{Domain, Socket, Type};
use tests::{
    patience::until,
    place::Place,
    program::close,
    served::{get, metrics, serve},
    traffic::{churn, connect, listen},
};

/// How long a scrape may take, for 99 of 100.
const SCRAPE: Duration = Duration::from_millis(20);

/// Scrapes in a round.
const SCRAPES: usize = 300;

/// Scrapes on one connection, as Prometheus does, and returns how long each took, in order.
fn scrapes(address: SocketAddr) -> Vec<Duration> {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let mut took: Vec<_> = (0..SCRAPES)
        .map(|_| {
            let begun = Instant::now();
            stream.write_all(request.as_bytes()).unwrap();
            let mut page = Vec::new();
            let mut buffer = vec![0; 1 << 16];
            let whole = loop {
                let read = stream.read(&mut buffer).unwrap();
                assert!(read > 0, "{}", String::from_utf8_lossy(&page));
                page.extend_from_slice(&buffer[..read]);
                let text = String::from_utf8_lossy(&page);
                let Some((header, body)) = text.split_once("\r\n\r\n") else { continue };
                let length = header.lines().find_map(|line| line.strip_prefix("content-length: "));
                if body.len() >= length.unwrap().parse().unwrap() {
                    break begun.elapsed();
                }
            };
            thread::sleep(Duration::from_millis(10));
            whole
        })
        .collect();
    took.sort_unstable();
    took
}

#[test]
#[ignore = "takes minutes: cargo xtask test --long"]
fn scrapes_are_quick_under_a_storm() {
    let place = Place::new();
    let options = format!("--netns {} --label service,process,peer,netns", place.inum());
    let (tracer, address) = serve(&options);
    let is_over = AtomicBool::new(false);
    let best = thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    churn(&place, 1_000);
                }
            });
        }
        let mut rounds: Vec<_> = (0..3).map(|_| scrapes(address)).collect();
        is_over.store(true, Ordering::Relaxed);
        rounds.sort_by_key(|took| took[SCRAPES * 99 / 100]);
        rounds.swap_remove(0)
    });
    let [half, most] = [50, 99].map(|percent| best[SCRAPES * percent / 100]);
    let metrics = metrics(address);
    println!("scrapes: {half:?}, 99 % below {most:?}; events: {}", metrics["tracer_events_total"]);
    assert!(most <= SCRAPE, "{most:?}");
    let lost = metrics.iter().filter(|(name, _)| name.starts_with("tracer_events_lost_total"));
    assert!(lost.clone().all(|(_, lost)| *lost < 1.0), "{lost:?}");
    assert_eq!(tracer.interrupt().code(), 0);
}

/// Connections from addresses of which each is used once: `127.x.y.z`.
fn from_peers(place: &Place, peers: std::ops::Range<u32>) {
    place.run(|| {
        let listener = listen(Ipv4Addr::LOCALHOST.into(), 0);
        let to = listener.local_addr().unwrap();
        for peer in peers {
            let from = Ipv4Addr::from_bits((127 << 24) + (1 << 16) + peer);
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            // An RST leaves nothing in TIME_WAIT.
            set_socket_linger(&socket, Some(Duration::ZERO)).unwrap();
            socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
            socket.connect(&to.into()).unwrap();
            let (accepted, _) = listener.accept().unwrap();
            close(socket);
            close(accepted);
        }
        close(listener);
    });
}

#[test]
#[ignore = "takes minutes: cargo xtask test --long"]
fn a_million_peers_take_no_more_memory_than_many() {
    const MANY: u32 = 100_000;
    const MILLION: u32 = 1_000_000;
    /// Tables that have just grown.
    const MORE: u64 = 8 << 20;
    let place = Place::new();
    let (tracer, address) = serve(&format!("--netns {} --label peer", place.inum()));
    let served = || {
        let (status, page) = get(address, "/metrics", &[]);
        assert_eq!(status, 200);
        page
    };
    from_peers(&place, 0..MANY);
    let (before, page) = (tracer.memory(), served().len());
    thread::scope(|scope| {
        let half = u32::midpoint(MANY, MILLION);
        let place = &place;
        for peers in [MANY..half, half..MILLION] {
            scope.spawn(move || from_peers(place, peers));
        }
    });
    // Each connection has two sockets here. Whichever peers have values of their own, the sum is that of all.
    let expected = 2.0 * f64::from(MILLION);
    let mut sum = 0.0;
    let counted = || {
        let metrics = metrics(address);
        let of_peers = metrics.iter().filter(|(name, _)| {
            name.starts_with("tracer_tcp_peer_connections_total{") && name.contains("event=\"begun\"")
        });
        sum = of_peers.map(|(_, count)| count).sum();
        (sum >= expected).then_some(())
    };
    until("all connections to be counted", counted);
    assert!((sum - expected).abs() < 1e-9, "{sum}");
    let after = tracer.memory();
    println!("after {MANY} peers {} MiB, after {MILLION} {} MiB", before >> 20, after >> 20);
    assert!(after <= before + MORE, "{before} {after}");
    assert!(served().len() < page + page / 4);
    assert!(connect(address).is_ok());
    assert_eq!(tracer.interrupt().code(), 0);
}
