//! Output is aligned and in order, prompt on a quiet host, cheap when idle, and needs few wakeups under load.

use std::{
    fs,
    net::IpAddr,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tests::{
    patience::until,
    place::Place,
    program::{Program, close, run},
    tracefs::Instance,
    tracer::{self, receipt},
    traffic::{actor, connect, listen},
};

/// The time of day in a zone.
fn time_in(zone: &str) -> String {
    run(Command::new("date").env("TZ", zone).arg("+%T.%3N")).trim().to_owned()
}

/// What is asked for and not there is waited for, which is said once.
#[test]
fn a_process_that_is_not_there_is_waited_for() {
    let place = Place::new();
    let start = |filter: &str| tracer::start(&format!("-o json --netns {} {filter}", place.name()));
    let told = |filter: &str| {
        let ended = start(filter).interrupt();
        assert_eq!(ended.code(), 0, "{}", ended.err);
        ended.err.lines().filter(|line| line.contains("no such")).map(str::to_owned).collect::<Vec<_>>()
    };
    let own = std::process::id();
    // No kernel gives such a number.
    let absent = "tracer: --pid 4194305,4194306: no such process now; waiting";
    assert_eq!(told("--pid 4194305,4194306"), [absent]);
    for filter in [format!("--pid 4194305,{own}"), "--pid !4194305".to_owned(), "--comm *".to_owned()] {
        assert_eq!(told(&filter), [""; 0], "{filter}");
    }
    let name = format!("t{own}");
    let tracer = start(&format!("--comm {name} --count 2"));
    assert!(tracer.err().contains(&format!("tracer: --comm {name}: no such process now; waiting\n")));
    let listener = place.run(|| listen(IpAddr::from([127, 77, 1, 4]), 0));
    let port = listener.local_addr().unwrap().port().to_string();
    let folder = tempfile::tempdir().unwrap();
    // The kernel names a process after its file.
    std::os::unix::fs::symlink(actor(), folder.path().join(&name)).unwrap();
    let mut command = place.command(folder.path().join(&name).to_str().unwrap());
    Program::collect(command.args(["call", "127.77.1.4", &port])).wait();
    drop(listener);
    assert_eq!(receipt(&tracer.wait(), "shown"), 2);
}

/// The system's database has all zones again in the folders `posix` and `right`.
#[test]
fn times_are_in_the_zone_of_tz() {
    let place = Place::new();
    for (zone, same) in
        [("posix/Asia/Tokyo", "Asia/Tokyo"), (":right/Asia/Tokyo", "Asia/Tokyo"), ("No/Where", "UTC")]
    {
        let mut command = tracer::command(&format!("--columns time --count 1 --netns {}", place.name()));
        let tracer = tracer::started(Program::collect(command.env("TZ", zone)));
        let before = time_in(same);
        drop(place.run(|| listen(IpAddr::from([127, 77, 1, 2]), 0)));
        let ended = tracer.wait();
        let (time, after) = (ended.out.lines().last().unwrap(), time_in(same));
        // At midnight the first is the greater one.
        assert!(
            before > after || (&*before..=&*after).contains(&&time[..before.len()]),
            "{zone}: {before} {time} {after}"
        );
        assert_eq!(ended.err.contains("time zone"), zone == "No/Where", "{}", ended.err);
    }
}

fn pipe(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o666), 0).unwrap();
}

/// A pipe in the place of a time zone would never end, and neither would some of the kernel's own files.
#[test]
fn a_time_zone_that_is_no_file_is_not_waited_for() {
    let (folder, trace) = (tempfile::tempdir().unwrap(), Instance::new("zone"));
    let path = folder.path().join("Some/Where");
    pipe(&path);
    let zones = folder.path().to_str().unwrap();
    let (path, waiting) = (path.to_str().unwrap(), trace.pipe().display().to_string());
    for (zone, zones, path, why) in [
        (path, "", path, "not a regular file"),
        (&format!(":{path}"), "", path, "not a regular file"),
        ("Some/Where", zones, path, "not a regular file"),
        (&waiting, "", &waiting, "Resource temporarily unavailable"),
    ] {
        let mut command = tracer::command("--duration 10ms --netns 1");
        let ended = Program::collect(command.env("TZ", zone).env("TZDIR", zones)).wait();
        assert_eq!(ended.code(), 0, "{}", ended.err);
        let says = format!("times are UTC: the time zone cannot be read from {path}: {why}");
        assert!(ended.err.contains(&says), "{zone}: {}", ended.err);
    }
}

/// Only what is opened for the time zone can stand in its way.
#[test]
fn a_pipe_in_another_place_is_no_obstacle_for_a_time_zone() {
    let (place, folder) = (Place::new(), tempfile::tempdir().unwrap());
    let (zones, here) = (folder.path().join("zones"), folder.path().join("here"));
    for path in ["zones/pipe", "here/Asia/Tokyo"] {
        pipe(&folder.path().join(path));
    }
    fs::create_dir(zones.join("Asia")).unwrap();
    fs::copy("/usr/share/zoneinfo/Asia/Tokyo", zones.join("Asia/Tokyo")).unwrap();
    let mut command = tracer::command(&format!("--columns time --count 1 --netns {}", place.name()));
    command.env("TZ", "Asia/Tokyo").env("TZDIR", zones).current_dir(here);
    let tracer = tracer::started(Program::collect(&mut command));
    let before = time_in("Asia/Tokyo");
    drop(place.run(|| listen(IpAddr::from([127, 77, 1, 2]), 0)));
    let ended = tracer.wait();
    assert!(!ended.err.contains("time zone"), "{}", ended.err);
    let (time, after) = (ended.out.lines().last().unwrap(), time_in("Asia/Tokyo"));
    assert!(
        before > after || (&*before..=&*after).contains(&&time[..before.len()]),
        "{before} {time} {after}"
    );
}

#[test]
fn text_is_aligned_and_fits() {
    let place = Place::new();
    for mode in ["", "--raw"] {
        let tracer = tracer::start(&format!("{mode} --netns {}", place.name()));
        place.run(|| {
            for address in ["127.77.255.254", "fd77::1", "127.77.1.1"] {
                let listener = listen(address.parse().unwrap(), 0);
                drop((connect(listener.local_addr().unwrap()).unwrap(), listener.accept().unwrap()));
            }
        });
        let out = tracer.interrupt().out;
        let (mut states_at, mut is_ipv6) = (0, false);
        for line in out.lines() {
            if let Some(at) = line.find(" OLD ") {
                states_at = at + 1;
                continue;
            }
            is_ipv6 |= line.contains('[');
            let width = line.chars().count();
            assert!(is_ipv6 || width <= 120, "{width} columns: {line}");
            let before: Option<char> = line.chars().nth(states_at - 1);
            let state: String = line.chars().skip(states_at).take_while(|c| *c != ' ').collect();
            assert!(before == Some(' ') && state.len() >= 5, "not under OLD: {line}\n{out}");
            assert!(
                state.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
            );
        }
        assert!(is_ipv6 && !out.contains('\x1b'), "{out}");
    }
}

#[test]
fn colours_are_for_terminals_and_for_who_asks() {
    let place = Place::new();
    for (arguments, coloured) in [("--color always", true), ("--color never", false), ("", false)] {
        let tracer = tracer::start(&format!("{arguments} --count 2 --netns {}", place.name()));
        place.run(|| connect("127.77.1.1:9".parse().unwrap()).expect_err("nobody listens there"));
        assert_eq!(tracer.wait().out.contains("\x1b["), coloured, "{arguments}");
    }
}

#[test]
fn times_are_the_events_own() {
    let place = Place::new();
    let tracer = tracer::start(&format!("-o json --count 2 --netns {}", place.name()));
    let now = || run(Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%S.%NZ"])).trim().to_owned();
    let before = now();
    place.run(|| connect("127.77.1.1:9".parse().unwrap()).expect_err("nobody listens there"));
    let after = now();
    thread::sleep(Duration::from_millis(60));
    for event in tests::event::parse(&tracer.wait().out) {
        assert!(before < event.time && event.time < after, "{before} {} {after}", event.time);
        assert_eq!(event.time.len(), "2026-01-01T00:00:00.000000000Z".len());
    }
}

#[test]
fn text_shows_times_as_asked() {
    let place = Place::new();
    for (format, sample) in [
        ("utc", "00:00:00.000000"),
        ("local", "00:00:00.000000"),
        ("unix", "0000000000.000000"),
        ("relative", "0.000000"),
    ] {
        let tracer =
            tracer::start(&format!("--time {format} --columns time --count 2 --netns {}", place.name()));
        place.run(|| connect("127.77.1.1:9".parse().unwrap()).expect_err("nobody listens there"));
        let out = tracer.wait().out;
        let shape: String = out
            .lines()
            .next_back()
            .unwrap()
            .trim()
            .chars()
            .map(|c| if c.is_ascii_digit() { '0' } else { c })
            .collect();
        assert_eq!(shape, sample, "{format}");
    }
}

#[test]
fn the_kernel_sides_own_words_come_with_vv() {
    let place = Place::new();
    let tracer = tracer::start(&format!("-vv --count 2 --netns {}", place.name()));
    place.run(|| connect("127.77.1.1:9".parse().unwrap()).expect_err("nobody listens there"));
    let ended = tracer.wait();
    assert!(ended.err.contains("7 -> 2 port 0 to 9"), "{}", ended.err);
    assert!(ended.err.contains("2 -> 7 port"), "{}", ended.err);
}

/// Another loader, and the verifier, accept the objects as they are shipped. `bpftool prog loadall` has to
/// pin programs, so it runs in a mount namespace with its own bpffs.
#[test]
fn libbpf_loads_the_shipped_objects() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tracer/bpf");
    let script = "mount -t bpf bpf /sys/fs/bpf && bpftool prog loadall \"$0\" /sys/fs/bpf/tracer-test";
    // It loads an object as a whole, and some hosts refuse programs at functions. So these are removed.
    let refused = ["fentry/*", "fexit/*", ".relfentry/*", ".relfexit/*", ".BTF.ext", ".rel.BTF.ext"];
    let copies = tempfile::tempdir().unwrap();
    for object in ["transitions.bpf.o", "summary.bpf.o", "sockets.bpf.o"] {
        let (from, to) = (format!("{folder}/{object}"), copies.path().join(object));
        let mut copy = Command::new("llvm-objcopy-22");
        copy.arg("--wildcard").args(refused.iter().flat_map(|section| ["--remove-section", *section]));
        run(copy.arg(from).arg(&to));
        run(Command::new("unshare").args(["--mount", "sh", "-c", script]).arg(to));
    }
}

/// Tests that measure CPU time. `cargo xtask test` runs no other test at the same time.
mod alone {
    use super::*;

    /// Voluntary context switches of the main thread, which reads events: how often it slept and was woken.
    /// The thread that writes is woken only if there is something to write.
    fn wakeups(tracer: &Program) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", tracer.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.unwrap().trim().parse().unwrap()
    }

    #[test]
    fn an_idle_tracer_sleeps() {
        // A namespace without traffic. Events of the rest of the host are filtered, and do not wake tracer.
        let place = Place::new();
        let tracer = tracer::start(&format!("--netns {}", place.name()));
        place.run(|| connect("127.77.1.1:9".parse().unwrap()).expect_err("nobody listens there"));
        until("the last event", || tracer.out().contains("CLOSE").then_some(()));
        thread::sleep(Duration::from_millis(100));
        let (wakeups_before, ticks_before) = (wakeups(&tracer), tracer.cpu_ticks());
        // There is no condition to wait for.
        thread::sleep(Duration::from_secs(10));
        let woken = wakeups(&tracer) - wakeups_before;
        let ticks = tracer.cpu_ticks() - ticks_before;
        println!("idle for 10 s: {woken} wakeups, {ticks} ticks of CPU");
        assert!(woken <= 10, "{woken} wakeups in 10 idle seconds");
        assert!(ticks <= 1, "{ticks} ticks of CPU in 10 idle seconds: more than 0.1 %");
    }

    #[test]
    fn a_quiet_hosts_events_are_shown_at_once() {
        let place = Place::new();
        let tracer = tracer::start(&format!("-o json --netns {}", place.name()));
        let mut delays = Vec::new();
        for count in 1..=20 {
            let begun = Instant::now();
            place.run(|| connect("127.77.1.1:9".parse().unwrap()).expect_err("nobody listens there"));
            until("both lines", || (tracer.out().lines().count() == 2 * count).then_some(()));
            delays.push(begun.elapsed());
            // Irregular pauses, so that events fall on different moments of the reader's interval.
            thread::sleep(Duration::from_millis(7 * count as u64 % 60));
        }
        delays.sort();
        println!("from before connect to the line: median {:?}, worst {:?}", delays[10], delays[19]);
        // It takes milliseconds on a quiet host. On a busy one the reader and this test may have to wait for
        // a CPU. Without a wakeup by the kernel the lines would never come.
        assert!(delays[10] < Duration::from_millis(250), "{delays:?}");
    }

    fn load(connections: usize) {
        thread::scope(|scope| {
            for worker in 0..4_u8 {
                scope.spawn(move || {
                    let listener = listen(IpAddr::from([127, 77, 8, worker]), 0);
                    let to = listener.local_addr().unwrap();
                    for _ in 0..connections / 4 {
                        let client = connect(to).unwrap();
                        drop(listener.accept().unwrap());
                        close(client);
                    }
                });
            }
        });
    }

    #[test]
    fn under_load_lines_come_in_order_with_far_fewer_wakeups_than_events() {
        let place = Place::new();
        let tracer = tracer::start(&format!("-o json --columns time --no-timewait --netns {}", place.name()));
        let before = wakeups(&tracer);
        place.run(|| {
            // Threads inherit the namespace of the one that starts them.
            load(20_000);
        });
        let woken = wakeups(&tracer) - before;
        let ended = tracer.interrupt();
        // A few events may be missed and counted as lost: those that interrupt the first program on the hook
        // before the second one can know that the first is busy.
        assert!(receipt(&ended, "lost") <= 10 && !ended.err.contains("buffer full"), "{}", ended.err);
        let shown = receipt(&ended, "shown");
        println!("{shown} events, {woken} wakeups");
        assert!(shown > 190_000);
        assert!(woken < shown / 100, "{woken} wakeups for {shown} events");
        assert!(ended.out.lines().is_sorted(), "not in time order");
    }
}
