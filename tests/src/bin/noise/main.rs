//! Simulates the other programs of a busy host while tests run: connections, resets, retransmissions,
//! short-lived namespaces, `ss -K`, and a connection storm on one CPU. They run in the host's own network
//! namespace, at addresses that no test uses, and in other namespaces. Everything ends when standard input is
//! closed.
//!
//! # Layout
//! - [`ordinary`]: connections that end in all the usual ways, and `ss -K`
//! - [`silence`]: peers that do not answer
//! - [`visit`]: namespaces that come and go
//! - [`storm`]: as many connections as possible
//! - [`activity`]: counts what each of them has done
//! - [`sweep`]: removes namespaces that were left behind

mod activity;
mod ordinary;
mod silence;
mod storm;
mod sweep;
mod visit;

use std::{io, sync::atomic::AtomicBool, thread, time::Duration};

use tests::{
    patience::{Stops, until},
    place::Place,
};

use crate::activity::Activity;

/// The prefix of the names of its namespaces.
const NAME: &str = "tracer-noise";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        [] => make(),
        ["sweep", pid] => sweep::clean_up_after(pid),
        _ => panic!("unknown words: {words:?}"),
    }
}

fn make() {
    exit_on_panic();
    sweep::stale();
    let sweeper = sweep::Sweeper::start();
    let place = Place::called(NAME);
    let stops = AtomicBool::new(false);
    let [host, inside, silence, visits, host_kills, kills, storm] = [
        "connections on the host",
        "connections in a namespace",
        "connections that nobody answers",
        "namespaces",
        "`ss -K` on the host",
        "`ss -K` in a namespace",
        "connections in the storm",
    ]
    .map(|name| Activity::new(name, &stops));
    thread::scope(|scope| {
        let _stops = Stops(&stops);
        scope.spawn(|| ordinary::connect_and_close(&host));
        scope.spawn(|| ordinary::kill(&host_kills));
        scope.spawn(|| place.run(|| ordinary::connect_and_close(&inside)));
        scope.spawn(|| place.run(|| ordinary::kill(&kills)));
        scope.spawn(|| silence::write_and_wait(&silence, &place));
        scope.spawn(|| visit::come_and_go(&visits));
        scope.spawn(|| place.run(|| storm::run(&storm)));
        let all = [&host, &inside, &silence, &visits, &host_kills, &kills, &storm];
        until("everything to happen", || all.iter().all(|activity| activity.count() > 0).then_some(()));
        println!("noise: ready");
        // Input never comes. It is closed when the parent ends.
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        let done: Vec<_> =
            all.iter().map(|activity| format!("{} {}", activity.count(), activity.name())).collect();
        println!("noise: {}", done.join(", "));
    });
    drop(place);
    sweeper.end();
}

/// Lets a panic on any thread end the process: tests need all of the noise, not a part of it.
fn exit_on_panic() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        print(panic);
        std::process::exit(1);
    }));
}

/// Sleeps, but not longer than until the end of the noise.
fn pause(activity: &Activity<'_>, milliseconds: u64) {
    let step = Duration::from_millis(milliseconds.min(50));
    let mut left = Duration::from_millis(milliseconds);
    while !activity.is_over() && !left.is_zero() {
        thread::sleep(step);
        left = left.saturating_sub(step);
    }
}
