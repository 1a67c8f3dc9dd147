//! A healthy host.

use std::{
    io::Write as _,
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use tests::{
    nginx::{Nginx, read_answer},
    patience::Stops,
    place::Place,
    program::{Program, run},
    traffic::{Scenario, connect, play, wait_for_end},
    watch::Watch,
};

use super::common::ADDRESS;

/// How long the healthy load lasts, in seconds, if the environment does not say `QUIET_SECONDS`.
const QUIET_SECONDS: u64 = 20;

/// Makes requests to a server of `hello`, each on a connection of its own, or with a client that is kept.
fn browse(place: &Place, at: SocketAddr, is_kept: bool, stops: &AtomicBool) {
    let close = if is_kept { "" } else { "Connection: close\r\n" };
    let request = format!("GET / HTTP/1.1\r\nHost: x\r\n{close}\r\n");
    place.run(|| {
        let mut client = connect(at).unwrap();
        while !stops.load(Ordering::Relaxed) {
            client.write_all(request.as_bytes()).unwrap();
            let answer = read_answer(&mut client);
            // nginx says so before it closes a connection that is kept, after a thousand requests.
            if String::from_utf8_lossy(&answer).contains("Connection: close") {
                wait_for_end(&mut client);
                client = connect(at).unwrap();
            }
        }
    });
}

/// Web and redis servers with busy clients, a reload every other second, and connections that end in all orderly ways.
#[test]
fn a_healthy_busy_host_is_quiet() {
    let seconds = std::env::var("QUIET_SECONDS").ok().map_or(QUIET_SECONDS, |text| text.parse().unwrap());
    let place = Place::new();
    let web: SocketAddr = format!("{ADDRESS}:8080").parse().unwrap();
    let nginx = Nginx::start(&place, &web.to_string(), Some(4));
    // A reload closes idle connections, so those that are kept have a server that is not reloaded.
    let kept: SocketAddr = format!("{ADDRESS}:8081").parse().unwrap();
    let _other = Nginx::start(&place, &kept.to_string(), None);
    let redis = ["--port", "6379", "--bind", ADDRESS, "--save", ""];
    let mut redis = Program::collect(place.command("redis-server").args(redis));
    redis.wait_for_out("redis", |out| out.to_lowercase().contains("ready to accept connections"));
    let watch = Watch::new(&place, "", "--only-stuck");
    let stops = AtomicBool::new(false);
    let begun = Instant::now();
    thread::scope(|scope| {
        let _stops = Stops(&stops);
        scope.spawn(|| browse(&place, web, false, &stops));
        scope.spawn(|| browse(&place, kept, true, &stops));
        scope.spawn(|| {
            let arguments = ["-h", ADDRESS, "-q", "-n", "10000", "-t", "set,get"];
            while !stops.load(Ordering::Relaxed) {
                run(place.command("redis-benchmark").args(arguments));
            }
        });
        scope.spawn(|| {
            let orderly = [Scenario::ClientCloses, Scenario::ServerCloses, Scenario::HalfClosed];
            for scenario in orderly.iter().cycle().take_while(|_| !stops.load(Ordering::Relaxed)) {
                place.run(|| play(*scenario, ADDRESS.parse().unwrap()));
            }
        });
        while begun.elapsed() < Duration::from_secs(seconds) {
            thread::sleep(Duration::from_secs(1));
            watch.finds_nothing();
            nginx.process.signal(Signal::HUP);
        }
    });
    watch.finds_nothing();
}
