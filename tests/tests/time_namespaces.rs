//! tracer in a time namespace: the kernel programs have the host's clock, and tracer another one.

use std::{fs, process::Command, time::Instant};

use tests::{
    patience::until,
    place::Place,
    program::{Program, close, run},
    story::{Line, lines, number, text, whole},
    tracer,
    traffic::{connect, listen, wait_for_end},
};

/// Seconds that the host's monotonic clock has counted.
fn monotonic_s() -> i64 {
    let uptime = fs::read_to_string("/proc/uptime").unwrap();
    uptime.split('.').next().unwrap().parse().unwrap()
}

/// Starts tracer in a time namespace whose monotonic clock is ahead by this much.
fn ahead(seconds: i64, arguments: &str) -> Command {
    let mut command = Command::new("unshare");
    // It becomes tracer, which so has its process id.
    command.args(["--time", "--monotonic", &seconds.to_string()]).arg(tracer::binary());
    command.args(arguments.split_whitespace());
    command
}

/// The wall clock, in the format of JSON lines.
fn now() -> String {
    run(Command::new("date").args(["--utc", "+%FT%T.%NZ"])).trim().to_owned()
}

#[test]
fn times_are_right_in_any_time_namespace() {
    // Back by less than the host is old: no clock is below 0.
    for seconds in [100_000, -(monotonic_s() / 2).clamp(1, 500)] {
        let place = Place::new();
        // One that is older than the tracer, too.
        let (listener, mut old) = place.run(|| {
            let listener = listen([127, 77, 60, 1].into(), 0);
            let client = connect(listener.local_addr().unwrap()).unwrap();
            (listener, client)
        });
        let old_server = listener.accept().unwrap().0;
        let arguments = format!("-o json --netns {} --stuck CLOSE_WAIT=500ms", place.name());
        let (begun, started) = (now(), Instant::now());
        let tracer = tracer::started(Program::collect(&mut ahead(seconds, &arguments)));
        let mut client = place.run(|| connect(listener.local_addr().unwrap()).unwrap());
        drop(listener.accept().unwrap());
        wait_for_end(&mut client);
        let is_stuck = |line: &Line| !line["stuck_us"].is_null();
        until("a stuck connection", || lines(whole(&tracer.out())).iter().any(is_stuck).then_some(()));
        close(client);
        drop(old_server);
        wait_for_end(&mut old);
        drop(old);
        until("both ends", || (tracer.out().matches("\"reason\":\"fin-remote\"").count() == 2).then_some(()));
        let ended = tracer.interrupt();
        assert_eq!((ended.code(), tracer::lost(&ended)), (0, 0), "{}", ended.err);
        let (over, lived_us) = (now(), started.elapsed().as_secs_f64() * 1e6);
        for line in lines(&ended.out) {
            assert!((&*begun..=&*over).contains(&text(&line, "time")), "{seconds}: {line}");
            for key in ["state_us", "stuck_us"] {
                let us = number(&line, key);
                assert!(us.is_none_or(|us| (0.0..lived_us).contains(&us)), "{seconds}: {line}");
            }
        }
    }
}

#[test]
fn check_says_so() {
    let ended = Program::collect(&mut ahead(100_000, "check --color never")).wait();
    assert_eq!(ended.code(), 0, "{}", ended.out);
    let line = ended.out.lines().find(|line| line.contains("time namespace")).expect("a line");
    assert!(line.contains("100000 s"), "{line}");
}
