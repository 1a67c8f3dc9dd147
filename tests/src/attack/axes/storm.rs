//! Network namespaces and cgroups that come and go, with connections in them, while tracers start, run and end.

use std::{
    collections::VecDeque,
    fs::File,
    process::Command,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};

use fastrand::Rng;
use rustix::thread::{UnshareFlags, unshare_unsafe};

use crate::{
    attack::{
        case::{Case, Verdict},
        cgroup::Cgroup,
        run::{Run, When},
    },
    patience::Stops,
    traffic::{actor, connect},
};

/// Threads that make namespaces, and the most namespaces that each holds.
const MAKERS: u64 = 4;
const HELD: usize = 150;

/// How much more memory a long run may take than a short one, in KiB.
const GROWTH_KIB: u64 = 24 << 10;

const VIEWS: [&str; 4] = ["log -o json", "life", "summary", "summary --in-kernel"];

/// Every view, with many short runs and with a long one.
pub fn cases(seed: u64) -> Vec<Case> {
    let mut cases = Vec::new();
    for view in VIEWS {
        cases.push(Case::new(format!("short runs: {view}"), move || in_storm(seed, || short_runs(view))));
        cases.push(Case::new(format!("ended while starting: {view}"), move || {
            in_storm(seed, || early_ends(view))
        }));
        cases.push(Case::new(format!("memory is flat: {view}"), move || in_storm(seed, || is_flat(view))));
    }
    cases
}

fn short_runs(view: &str) -> Verdict {
    (0..6).try_for_each(|_| Run::of(view).words(["--duration", "1s"]).verdict())
}

fn early_ends(view: &str) -> Verdict {
    (0..12).try_for_each(|number| {
        let at = When::Started(Duration::from_millis(30 + 40 * number));
        Run::of(view).act(at, libc::SIGTERM).may_end_with(&[0, 1]).verdict()
    })
}

fn is_flat(view: &str) -> Verdict {
    let peak = |duration| Ok::<_, String>(Run::of(view).words(["--duration", duration]).ended()?.peak_kib);
    let (short, long) = (peak("4s")?, peak("25s")?);
    if long > short + GROWTH_KIB {
        Err(format!("{short} KiB after 4 s, {long} KiB after 25 s"))
    } else {
        Ok(())
    }
}

fn in_storm(seed: u64, attack: impl FnOnce() -> Verdict) -> Verdict {
    let (stops, made) = (AtomicBool::new(false), AtomicU64::new(0));
    let verdict = thread::scope(|scope| {
        let _stops = Stops(&stops);
        for maker in 0..MAKERS {
            let (stops, made) = (&stops, &made);
            scope.spawn(move || make_namespaces(Rng::with_seed(seed + maker), stops, made));
        }
        scope.spawn(|| make_cgroups(&stops, &made));
        // A storm before the first tracer starts.
        thread::sleep(Duration::from_secs(2));
        attack()
    });
    println!("  the storm made {} namespaces and cgroups", made.into_inner());
    verdict
}

/// Each namespace is made by a thread that ends; an open file holds it.
fn make_namespaces(mut rng: Rng, stops: &AtomicBool, made: &AtomicU64) {
    let mut held = VecDeque::new();
    while !stops.load(Ordering::Relaxed) {
        held.push_back(thread::spawn(namespace).join().unwrap());
        while held.len() > rng.usize(1..=HELD) {
            held.pop_front();
        }
        made.fetch_add(1, Ordering::Relaxed);
    }
}

/// Makes a namespace, and connections that are refused in it. Some are never ended.
fn namespace() -> File {
    // SAFETY: only this thread gets another namespace, and it ends soon.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.unwrap();
    set_loopback_up();
    for port in 1..5 {
        let _ = connect(([127, 0, 0, 1], port).into());
    }
    File::open("/proc/thread-self/ns/net").unwrap()
}

fn set_loopback_up() {
    let socket =
        std::net::UdpSocket::bind("127.0.0.1:0").or_else(|_| std::net::UdpSocket::bind("0.0.0.0:0")).unwrap();
    // SAFETY: all bytes zero are a value of this type.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, byte) in request.ifr_name.iter_mut().zip(b"lo") {
        // It is signed on some machines.
        *to = libc::c_char::try_from(*byte).unwrap();
    }
    request.ifr_ifru.ifru_flags = i16::try_from(libc::IFF_UP).unwrap();
    let descriptor = std::os::fd::AsRawFd::as_raw_fd(&socket);
    // SAFETY: the pointer is valid.
    assert_eq!(unsafe { libc::ioctl(descriptor, libc::SIOCSIFFLAGS, &raw const request) }, 0);
}

fn make_cgroups(stops: &AtomicBool, made: &AtomicU64) {
    while !stops.load(Ordering::Relaxed) {
        let cgroup = Cgroup::named("tracer-storm".as_ref());
        let mut command = Command::new(actor());
        command.args(["call", "127.0.0.1", "9"]);
        cgroup.hold(&mut command);
        // Nobody listens there, and the call is refused.
        let _ = command.stderr(std::process::Stdio::null()).status();
        made.fetch_add(1, Ordering::Relaxed);
    }
}
