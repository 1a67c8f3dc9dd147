//! `top` in a real terminal: what it shows, what keys do, and that it restores the terminal.

use std::{
    net::{IpAddr, TcpStream},
    path::PathBuf,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tests::{
    patience::Stops,
    place::Place,
    program::{Program, close, cpu_ticks, output, run},
    screen::Screen,
    tracer::{binary, command, started},
    traffic::{Scenario, connect, leak, leaky, listen, play},
    watch::wait_for_list,
};

const ADDRESS: &str = "127.77.41.1";

/// Runs `top` in a terminal. After its end the shell prints its exit status and the terminal's modes.
fn top(width: u16, height: u16, options: &str) -> Screen {
    let tracer = binary();
    let script =
        format!("ulimit -c 0; echo before; {} top {options}; echo status=$?; stty -a", tracer.display());
    let screen = Screen::run(width, height, &script);
    wait_for_list(&screen);
    screen
}

/// Waits until `top` has ended, and returns the screen. It has to show the earlier text, the receipt and sane
/// modes.
fn left(screen: &Screen, status: &str) -> String {
    let shown = given_back(screen, status);
    assert!(shown.contains("tracer: seen"), "no receipt: {shown}");
    shown
}

/// The same without the receipt.
fn given_back(screen: &Screen, status: &str) -> String {
    let shown = screen.wait_for("the shell", |shown| shown.contains("speed"));
    assert!(shown.contains("before") && shown.contains(status), "{shown}");
    for mode in ["icanon", "echo", "isig", "opost", "icrnl"] {
        let off = format!("-{mode}");
        assert!(shown.split_whitespace().all(|word| word != off), "{mode} is off: {shown}");
    }
    assert_eq!(screen.modes(), (true, false), "the cursor is hidden, or the alternate screen is active");
    shown
}

/// The process id of tracer in this terminal.
fn pid(screen: &Screen) -> Pid {
    let name = binary().file_name().unwrap().to_string_lossy().into_owned();
    Pid::from_raw(screen.program(&name).cast_signed()).unwrap()
}

#[test]
fn a_leak_stands_out_soon() {
    let place = Place::new();
    let (server, port) = leaky(&place, ADDRESS);
    let screen = top(80, 24, &format!("--netns {} --stuck CLOSE_WAIT=2s", place.name()));
    let before = Instant::now();
    leak(&place, ADDRESS, port, 3);
    screen.wait_for("the strip", |shown| shown.contains("CLOSE_WAIT     3"));
    let shown = screen.wait_for("the leak", |shown| shown.contains("close-wait           3"));
    assert!(before.elapsed() >= Duration::from_secs(2), "after {:?}", before.elapsed());
    // `ip netns exec` becomes the actor, so both have the same process id.
    let line = shown.lines().find(|line| line.starts_with("1 close-wait")).unwrap();
    assert!(line.contains(&format!("actor ({})", server.pid())), "{line}");
    screen.keys(&["q"]);
    left(&screen, "status=0");
}

#[test]
fn keys_do_what_they_say() {
    let place = Place::new();
    let (_server, port) = leaky(&place, ADDRESS);
    leak(&place, ADDRESS, port, 1);
    let screen = top(80, 24, &format!("--netns {}", place.name()));
    screen.wait_for("the connection", |shown| shown.contains("CLOSE_WAIT     1"));
    screen.keys(&["?"]);
    screen.wait_for("help", |shown| shown.contains("time stands still"));
    // Select the end that is stuck.
    screen.keys(&["x", "/"]);
    screen.types("CLOSE_WAIT");
    screen.keys(&["Enter"]);
    screen.wait_for("one end", |shown| shown.contains(" 1 connections"));
    screen.keys(&["Enter"]);
    let shown = screen.wait_for("the story", |shown| shown.contains("owner"));
    for word in ["<-", "actor", "cookie", "CLOSE_WAIT", "and goes on", "its beginning was not seen"] {
        assert!(shown.contains(word), "no {word}: {shown}");
    }
    screen.keys(&["Escape"]);
    screen.wait_for("the list", |shown| shown.contains("AGE"));
    screen.keys(&["Escape"]);
    screen.wait_for("all of it", |shown| shown.contains(" 2 connections"));
    screen.keys(&["/"]);
    screen.types("port=1");
    screen.wait_for("no connection", |shown| shown.contains("no connections that the filter lets pass"));
    screen.types("x");
    screen.wait_for("what is wrong", |shown| shown.contains("is not a port"));
    screen.keys(&["C-u"]);
    screen.types("comm=act*");
    screen.keys(&["Enter"]);
    screen.wait_for("the connection", |shown| shown.contains("filter: comm=act*") && shown.contains("actor"));
    screen.keys(&["Escape"]);
    screen.wait_for("no filter", |shown| !shown.contains("filter:"));
    // Neither is a part of a process's name. The other end is in FIN_WAIT2.
    for (typed, rows) in [("close-wait", 1), ("connected", 2), ("stuck", 0)] {
        screen.keys(&["/"]);
        screen.types(typed);
        screen.keys(&["Enter"]);
        let rows = if rows == 0 { "no connections that".to_owned() } else { format!(" {rows} connections") };
        screen.wait_for(typed, |shown| shown.contains(&format!("filter: {typed}")) && shown.contains(&rows));
        screen.keys(&["Escape"]);
        // A terminal takes Escape with a key right after it for one key with Alt.
        screen.wait_for("no filter", |shown| !shown.contains("filter:"));
    }
    screen.keys(&["s"]);
    screen.wait_for("another order", |shown| shown.contains("sort: age"));
    screen.keys(&["Space"]);
    screen.wait_for("a pause", |shown| shown.contains("PAUSED"));
    place.run(|| play(Scenario::Refused, ADDRESS.parse().unwrap()));
    assert!(!screen.shown().contains("refused"), "time stands still");
    screen.keys(&["Space"]);
    place.run(|| play(Scenario::Refused, ADDRESS.parse().unwrap()));
    screen.wait_for("how a connection ended", |shown| shown.contains("refused"));
    screen.keys(&["C-c"]);
    left(&screen, "status=0");
}

#[test]
fn it_fits_every_size() {
    let place = Place::new();
    let (_server, port) = leaky(&place, ADDRESS);
    leak(&place, ADDRESS, port, 1);
    let screen = top(80, 24, &format!("--netns {}", place.name()));
    // The address is the client's peer, and on a wide screen also the server's local address.
    let places = |shown: &str| shown.matches(&format!("{ADDRESS}:{port} ")).count();
    screen.wait_for("the connection", |shown| places(shown) == 1);
    screen.resize(140, 40);
    screen.wait_for("addresses", |shown| places(shown) >= 2 && shown.lines().count() == 40);
    screen.resize(200, 40);
    let has_names = |shown: &str| shown.contains("CGROUP") && shown.contains(place.name());
    let shown = screen.wait_for("names", has_names);
    let titles = shown.lines().find(|line| line.contains("NETNS")).expect(&shown);
    assert!(
        ["TX", "RX"].iter().all(|title| titles.split_whitespace().any(|word| word == *title)),
        "{titles}"
    );
    screen.resize(30, 8);
    screen.wait_for("a small screen", |shown| shown.contains("AGE") && shown.lines().count() <= 8);
    screen.resize(80, 24);
    // Wait for the bottom line: the large screen may still show what was drawn for the small one.
    screen.wait_for("all of it", |shown| {
        let bottom = shown.lines().nth(23);
        shown.contains("LISTENERS 1") && bottom.is_some_and(|line| line.contains("q quit"))
    });
    screen.keys(&["q"]);
    screen.wait_for("the end", |shown| shown.contains("status=0"));
}

/// Sends a signal to a `top` that has the screen.
fn struck(signal: i32) -> Screen {
    let place = Place::new();
    let screen = top(80, 24, &format!("--netns {}", place.name()));
    assert_eq!(screen.modes(), (false, true), "the cursor is visible, or the alternate screen is not active");
    // SAFETY: no memory is touched.
    assert_eq!(unsafe { libc::kill(pid(&screen).as_raw_pid(), signal) }, 0);
    screen
}

#[test]
fn every_signal_gives_the_terminal_back() {
    let ending = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT];
    // Without a handler these would end the process at once.
    let others = [libc::SIGUSR1, libc::SIGPWR, libc::SIGIO, libc::SIGRTMIN(), libc::SIGRTMAX()];
    for signal in ending.into_iter().chain(others) {
        left(&struck(signal), "status=0");
    }
}

/// These say that the process is broken, so it dies of them, but not before the terminal is in order.
#[test]
fn a_fault_gives_the_terminal_back() {
    for signal in
        [libc::SIGABRT, libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGSYS, libc::SIGTRAP]
    {
        given_back(&struck(signal), &format!("status={}", 128 + signal));
    }
}

#[test]
fn who_is_stopped_gives_the_terminal_back_and_takes_it_again() {
    let place = Place::new();
    let options = format!("--netns {}", place.name());
    let screen = top(80, 24, &options);
    let pid = pid(&screen);
    screen.keys(&["C-z"]);
    screen.wait_for("the shell's screen", |shown| shown.contains("before"));
    assert_eq!(screen.modes(), (true, false));
    kill_process(pid, Signal::CONT).unwrap();
    screen.wait_for("the list", |shown| shown.contains("AGE"));
    assert_eq!(screen.modes(), (false, true));
    screen.keys(&["q"]);
    left(&screen, "status=0");
}

#[test]
fn a_crash_gives_the_terminal_back() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    // The same selection of packages as for the unit tests, so that nothing is built twice.
    let example = ["build", "--quiet", "--locked", "--workspace", "--exclude", "tests", "--example", "crash"];
    run(Command::new(env!("CARGO")).current_dir(&root).args(example));
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let crash = target.canonicalize().unwrap().join("debug/examples/crash");
    for (argument, says, status) in
        [("", "this is a test", "status=101"), ("deep", "has overflowed its stack", "status=134")]
    {
        let program = format!("RUST_BACKTRACE=0 {} {argument}", crash.display());
        let script = format!("ulimit -c 0; echo before; {program}; echo status=$?; stty -a");
        let screen = Screen::run(80, 24, &script);
        let shown = screen.wait_for("the shell", |shown| shown.contains("speed"));
        for word in ["before", says, status] {
            assert!(shown.contains(word), "no {word}: {shown}");
        }
        assert!(shown.split_whitespace().all(|word| word != "-icanon" && word != "-echo"), "{shown}");
        assert_eq!(screen.modes(), (true, false));
    }
}

#[test]
fn without_a_terminal_it_says_what_else_there_is() {
    let output = output(Command::new(binary()).arg("top"));
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(err.contains("top needs a terminal") && err.contains("tracer summary"), "{err}");
}

/// Tests that measure CPU time. `cargo xtask test` runs no other test at the same time.
mod alone {
    use super::*;

    #[test]
    fn ten_thousand_connections_cost_little() {
        let place = Place::new();
        let (_listeners, held) = place.run(|| {
            let mut listeners = Vec::new();
            let mut held: Vec<TcpStream> = Vec::new();
            for host in 1..=4 {
                let listener = listen(IpAddr::from([127, 77, 42, host]), 0);
                for _ in 0..1250 {
                    held.push(connect(listener.local_addr().unwrap()).unwrap());
                    held.push(listener.accept().unwrap().0);
                }
                listeners.push(listener);
            }
            (listeners, held)
        });
        let options = format!("--netns {}", place.name());
        let screen = top(120, 40, &options);
        screen.wait_for("all of them", |shown| shown.contains("10,000 connections"));
        // They are one row. Enter opens it.
        screen.wait_for("their group", |shown| shown.contains("PROCESS (1)") && shown.contains("10K"));
        screen.keys(&["Enter"]);
        screen.wait_for("the connections", |shown| shown.contains("AGE"));
        screen.keys(&["End"]);
        screen.wait_for("the last ones", |shown| shown.contains("ESTABLISHED"));
        let pid = pid(&screen).as_raw_pid().cast_unsigned();
        let (begun, before) = (Instant::now(), cpu_ticks(pid));
        // Wait for time to pass: ages and the clock change with every drawing.
        let later = |shown: &str| shown.contains("ESTABLISHED") && begun.elapsed() > Duration::from_secs(5);
        screen.wait_for("five seconds of drawing", later);
        let ticks = u32::try_from(cpu_ticks(pid) - before).unwrap();
        let percent = f64::from(ticks) / begun.elapsed().as_secs_f64();
        println!("10,000 connections, ten drawings a second: {percent:.1} % of a core");
        // On a quick host it is 3 to 5 %, on one whose memory is slow twice that.
        assert!(percent < 12.0, "{percent:.1} % of a core");
        drop(held);
        screen.keys(&["q"]);
        left(&screen, "status=0");
    }

    /// The number before a word on the first line of the screen.
    fn told(shown: &str, word: &str) -> u64 {
        let title = shown.lines().next().unwrap_or_default();
        let words: Vec<&str> = title.split_whitespace().collect();
        let at = words.iter().position(|other| *other == word);
        at.and_then(|at| words[at - 1].replace(',', "").parse().ok()).unwrap_or_default()
    }

    /// Connects, accepts and closes as fast as possible, at many addresses, until `stops` is set.
    fn hammer(host: u8, stops: &AtomicBool) {
        let listeners: Vec<_> = (1..=64).map(|last| listen(IpAddr::from([127, 77, host, last]), 0)).collect();
        for listener in listeners.iter().cycle() {
            if stops.load(Ordering::Relaxed) {
                return;
            }
            let client = connect(listener.local_addr().unwrap()).unwrap();
            drop(listener.accept().unwrap());
            close(client);
        }
    }

    #[test]
    fn it_answers_under_load_and_costs_little_with_a_hundred_thousand_connections() {
        let place = Place::new();
        let options = format!("--netns {}", place.name());
        let screen = top(120, 40, &options);
        let stops = AtomicBool::new(false);
        thread::scope(|scope| {
            for host in [50, 51] {
                let (place, stops) = (&place, &stops);
                scope.spawn(move || place.run(|| hammer(host, stops)));
            }
            let _stops = Stops(&stops);
            let shown = screen.wait_for("many connections", |shown| told(shown, "connections") >= 80_000);
            let mut waits: Vec<Duration> = Vec::new();
            for _ in 0..5 {
                for (key, sign) in [("?", "time stands still"), ("x", "OLDEST")] {
                    let pressed = Instant::now();
                    screen.keys(&[key]);
                    screen.wait_for(sign, |shown| shown.contains(sign));
                    waits.push(pressed.elapsed());
                }
            }
            screen.wait_for("100,000 connections", |shown| told(shown, "connections") >= 100_000);
            waits.sort_unstable();
            let (median, longest) = (waits[waits.len() / 2], waits[waits.len() - 1]);
            println!(
                "{} transitions/s: a key is answered after {median:?}, {longest:?} at most",
                told(&shown, "transitions/s")
            );
            assert!(median < Duration::from_secs(1), "{waits:?}");
        });
        screen.wait_for("quiet", |shown| told(shown, "transitions/s") < 100);
        let connections = told(&screen.shown(), "connections");
        let pid = pid(&screen).as_raw_pid().cast_unsigned();
        let (begun, before) = (Instant::now(), cpu_ticks(pid));
        // Long enough for an average that includes snapshots, which are rare and expensive.
        screen.wait_for("ten seconds of drawing", |_| begun.elapsed() > Duration::from_secs(10));
        let ticks = u32::try_from(cpu_ticks(pid) - before).unwrap();
        let percent = f64::from(ticks) / begun.elapsed().as_secs_f64();
        println!("{connections} connections, ten drawings a second: {percent:.1} % of a core");
        // On a quick host it is 3 to 5 %, on one whose memory is slow twice that.
        assert!(percent < 12.0, "{percent:.1} % of a core");
        screen.keys(&["q"]);
        left(&screen, "status=0");
    }
}

/// A recording is played as it happened, can be paused and stepped through, and stays on the screen at its end.
#[test]
fn a_recording_is_played_paused_and_stepped_through() {
    let place = Place::new();
    let (_server, port) = leaky(&place, ADDRESS);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("host.rec");
    let recorder = Program::collect(command(&format!("record --netns {}", place.inum())).arg(&path));
    let recorder = started(recorder);
    leak(&place, ADDRESS, port, 1);
    // What happens later in the recording than anybody waits for here.
    thread::sleep(Duration::from_secs(3));
    leak(&place, ADDRESS, port, 2);
    assert_eq!(recorder.interrupt().code(), 0);
    // So slowly that nothing more comes before the keys do.
    let screen = top(80, 24, &format!("--from {} --speed 0.05", path.display()));
    screen.wait_for("the first connection", |shown| shown.contains("CLOSE_WAIT     1"));
    screen.keys(&["Space"]);
    screen.wait_for("the pause", |shown| shown.contains("PAUSED"));
    for _ in 0..10 {
        screen.keys(&["."]);
    }
    screen.wait_for("the others", |shown| shown.contains("CLOSE_WAIT     3"));
    screen.keys(&["Space"]);
    screen.wait_for("the end", |shown| shown.contains("lost 0 END"));
    screen.keys(&["q"]);
    left(&screen, "status=0");
}
