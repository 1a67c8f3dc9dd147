//! `serve` with all that it can do at once, for a long time, while everything comes and goes: `cargo xtask soak` runs it for
//! hours, the tests for half a minute. File descriptors must not grow, and in hours neither must memory.

// A panic is how a test says that it failed.
#![allow(clippy::unwrap_used, clippy::cast_precision_loss)]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use tests::{
    cgroups,
    patience::until,
    place::Place,
    program::{Program, output, run},
    served::{metrics, serve},
    tracer,
    traffic::{actor, churn},
};

/// How long, in seconds, unless this variable says something else.
const SECONDS: u64 = 30;
const VARIABLE: &str = "SOAK_SECONDS";

/// Parts of the recording that are kept.
const KEEP: usize = 4;

/// From how many seconds on memory has to be flat. Before, connections in TIME_WAIT (60 s) are still becoming more, and with
/// them what tracer follows.
const FLAT_FROM: u64 = 600;
/// Memory that is enough until then, on any machine.
const MOST_BYTES: u64 = 128 << 20;

/// Memory that tables of a fixed size may still take, in bytes, and descriptors of scrapes that are just answered.
const MORE_BYTES: u64 = 6 << 20;
const MORE_DESCRIPTORS: u64 = 8;

/// Connections that the two may differ by though nothing was lost: a kernel runs no program in a few places, and may count the
/// failure of an attempt twice (docs/counters.md).
const UNCOUNTED: f64 = 8.0;

/// What tracer holds after a round.
struct Held {
    bytes: u64,
    descriptors: u64,
}

impl Held {
    fn by(program: &Program) -> Self {
        let descriptors = fs::read_dir(format!("/proc/{}/fd", program.pid())).unwrap().count() as u64;
        Self { bytes: program.memory(), descriptors }
    }
}

/// How many events were lost.
fn lost(metrics: &BTreeMap<String, f64>) -> f64 {
    of_family(metrics, "tracer_events_lost_total").sum()
}

/// The values of a family of metrics.
fn of_family<'a>(metrics: &'a BTreeMap<String, f64>, name: &'a str) -> impl Iterator<Item = f64> + 'a {
    metrics.iter().filter_map(move |(key, value)| key.starts_with(name).then_some(*value))
}

/// The kernel has counted the same connections, but for those of which an event was lost. Returns by how many they
/// differ.
fn assert_agrees(metrics: &BTreeMap<String, f64>) -> f64 {
    let differences: Vec<_> = of_family(metrics, "tracer_kernel_difference").collect();
    assert_eq!(differences.len(), 4, "{metrics:?}");
    let lost = lost(metrics);
    let may_differ = lost + UNCOUNTED;
    assert!(differences.iter().all(|difference| difference.abs() <= may_differ), "{metrics:?}");
    differences.iter().map(|difference| difference.abs()).sum()
}

/// Options that a reload may change.
fn configure(file: &Path, round: usize) {
    let label = ["service,process", "service,process,container,peer", "peer,netns"][round % 3];
    let stuck = ["CLOSE_WAIT=2s", "FIN_WAIT2=1s"][round % 2];
    fs::write(file, format!("--label {label}\n--stuck {stuck}\n")).unwrap();
}

/// A container that makes a connection, and is gone.
fn container(place: &Place, round: usize) {
    let id = format!("{:032x}{round:032x}", std::process::id());
    let cgroup = cgroups::mount().join(format!("docker-{id}.scope"));
    fs::create_dir(&cgroup).unwrap();
    let script =
        "echo $$ > \"$0/cgroup.procs\" && exec nsenter \"--net=/run/netns/$1\" \"$2\" call 127.0.0.1 9";
    let mut call = Command::new("sh");
    call.args(["-c", script]).arg(&cgroup).arg(place.name()).arg(actor());
    // Nobody listens there.
    _ = output(&mut call);
    until("an empty cgroup", || fs::remove_dir(&cgroup).ok());
}

/// The parts of the recording, in order.
fn parts(folder: &Path) -> Vec<PathBuf> {
    let mut parts: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    parts.sort();
    parts
}

fn middle(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values[values.len() / 2]
}

#[test]
fn nothing_grows_while_everything_comes_and_goes() {
    let seconds = std::env::var(VARIABLE).map_or(SECONDS, |seconds| seconds.parse().unwrap());
    let (place, folder) = (Place::new(), tempfile::tempdir().unwrap());
    let path = |name: &str| folder.path().join(name);
    let (options, parts_folder, socket) = (path("options"), path("parts"), path("socket"));
    fs::create_dir(&parts_folder).unwrap();
    configure(&options, 0);
    // A small buffer is full soon.
    let (tracer, address) = serve(&format!(
        "--alerts --buffer 1M --config {} --socket {} --record {} --rotate 1M,5s --keep {KEEP}",
        options.display(),
        socket.display(),
        parts_folder.join("host.rec").display()
    ));
    let (input, keeps) = std::io::pipe().unwrap();
    let mut noise = Command::new(env!("CARGO_BIN_EXE_noise"));
    let mut noise = Program::with_input(&mut noise, Stdio::from(input));
    noise.wait_for_out("all of the noise", |out| out.contains("noise: ready"));

    let (begun, mut rounds, mut seen) = (Instant::now(), 0_usize, Vec::new());
    let (mut events, mut reloads) = (0.0, 0.0);
    while begun.elapsed() < Duration::from_secs(seconds) || rounds < 12 {
        rounds += 1;
        let next = Instant::now() + Duration::from_secs(1);
        churn(&place, 50);
        container(&place, rounds);
        let now = until("events of this round", || {
            let now = metrics(address);
            (now["tracer_events_total"] > events).then_some(now)
        });
        events = now["tracer_events_total"];
        assert_agrees(&now);
        if rounds.is_multiple_of(3) {
            configure(&options, rounds);
            tracer.signal(Signal::HUP);
            reloads += 1.0;
        }
        if rounds.is_multiple_of(5) {
            // Nothing is read meanwhile, so events are lost.
            tracer.signal(Signal::STOP);
            thread::sleep(Duration::from_millis(300));
            tracer.signal(Signal::CONT);
        }
        if rounds.is_multiple_of(7) {
            run(&mut tracer::command(&format!("list -t --socket {}", socket.display())));
        }
        assert!(parts(&parts_folder).len() <= KEEP + 2, "{:?}", parts(&parts_folder));
        seen.push(Held::by(&tracer));
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    drop(keeps);
    assert_eq!(noise.wait().code(), 0);

    let reloaded = || {
        let now = metrics(address);
        (now["tracer_config_reloads_total{result=\"done\"}"] >= reloads).then_some(now)
    };
    let now = until("the last reload", reloaded);
    let (difference, lost) = (assert_agrees(&now), lost(&now));
    let (second, last) = (&seen[seen.len() / 4..seen.len() / 2], &seen[seen.len() * 3 / 4..]);
    let bytes = |held: &[Held]| middle(held.iter().map(|held| held.bytes).collect());
    let descriptors = |held: &[Held]| held.iter().map(|held| held.descriptors).max().unwrap();
    println!(
        "{rounds} rounds, {events} events, {lost} lost (connections that the kernel has counted and tracer has not, or only tracer: \
         {difference}), {reloads} reloads: {} then {} KiB, {} then {} descriptors",
        bytes(second) >> 10,
        bytes(last) >> 10,
        descriptors(second),
        descriptors(last)
    );
    if seconds < FLAT_FROM {
        assert!(bytes(last) <= MOST_BYTES);
    } else {
        assert!(bytes(last) <= bytes(second) + bytes(second) / 20 + MORE_BYTES);
    }
    assert!(descriptors(last) <= descriptors(second) + MORE_DESCRIPTORS);

    let ended = tracer.interrupt();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    assert!(ended.err.lines().all(|line| line.starts_with("tracer: ")), "{}", ended.err);
    // What was lost is known: the kernel's counters then do not have to agree.
    assert!(lost > 0.0 || !ended.err.contains("DISAGREES"), "{}", ended.err);
    for part in parts(&parts_folder) {
        run(&mut tracer::command(&format!("recording verify {}", part.display())));
    }
}
