//! What is lost is counted, exactly.

use std::{
    io::Read as _,
    net::{IpAddr, SocketAddr},
    os::fd::OwnedFd,
    process::Stdio,
    thread,
    time::Duration,
};

use rustix::process::Signal;
use tests::{
    bpftrace::Counter,
    program::Program,
    tracer::{self, receipt},
    traffic::{connect, listen},
};

/// So many transitions that none of the buffers below can hold them: ten a connection.
const CONNECTIONS: usize = 3_000;

fn load() {
    thread::scope(|scope| {
        for worker in 0..4_u8 {
            scope.spawn(move || {
                let listener = listen(IpAddr::from([127, 77, 3, worker]), 0);
                let to: SocketAddr = listener.local_addr().unwrap();
                for _ in 0..CONNECTIONS / 4 {
                    let client = connect(to).unwrap();
                    drop(listener.accept().unwrap());
                    drop(client);
                }
            });
        }
    });
}

/// bpftrace misses an event now and then that the kernel keeps from a program which it interrupts;
/// tracer has a second program for these. More than tracer's there never are.
fn agrees(tracers: u64, oracles: u64, err: &str) {
    assert!((oracles..=oracles + 10).contains(&tracers), "{tracers}, and {oracles} to bpftrace: {err}");
}

#[test]
fn shown_and_lost_are_all_that_happened() {
    for buffer in ["4096", "64K", "1MiB"] {
        let oracle = Counter::start();
        let tracer = tracer::start(&format!("--raw -o json --addr 127.77.0.0/16 --buffer {buffer}"));
        tracer.signal(Signal::STOP);
        load();
        tracer.signal(Signal::CONT);
        let ended = tracer.interrupt();
        let happened = oracle.finish();
        assert_eq!(ended.code(), 0, "{}", ended.err);
        let (shown, lost) = (receipt(&ended, "shown"), receipt(&ended, "lost"));
        assert_eq!(shown, ended.out.lines().count() as u64);
        agrees(shown + lost, happened, &ended.err);
        assert!(lost > 0, "a stopped reader with {buffer} must lose something");
        assert!(ended.err.contains("try a larger --buffer"), "{}", ended.err);
        println!("buffer {buffer}: {shown} shown + {lost} lost = {happened}");
    }
}

#[test]
fn the_default_buffer_holds_what_a_busy_host_does_in_a_second() {
    let oracle = Counter::start();
    let tracer = tracer::start("--raw -o json --addr 127.77.0.0/16");
    tracer.signal(Signal::STOP);
    load();
    tracer.signal(Signal::CONT);
    let ended = tracer.interrupt();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    agrees(receipt(&ended, "shown") + receipt(&ended, "lost"), oracle.finish(), &ended.err);
    assert!(!ended.err.contains("buffer full"), "{}", ended.err);
}

#[test]
fn strict_makes_a_loss_a_failure() {
    let tracer = tracer::start("--addr 127.77.0.0/16 --buffer 4KiB --strict");
    tracer.signal(Signal::STOP);
    load();
    tracer.signal(Signal::CONT);
    assert_eq!(tracer.interrupt().code(), 3);
}

#[test]
fn a_loss_is_told_though_nothing_else_happens() {
    let mut tracer = tracer::start("--addr 127.77.0.0/16 --buffer 4KiB");
    tracer.signal(Signal::STOP);
    load();
    tracer.signal(Signal::CONT);
    tracer.wait_for_err("the loss", |err| err.contains("tracer: lost") && err.contains("in all"));
}

/// A reader that is slow, but reads, gets everything, however long it takes.
#[test]
fn a_slow_reader_gets_everything() {
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = tracer::command("--raw -o json --addr 127.77.0.0/16");
    let tracer = tracer::started(Program::start(command.stdout(Stdio::from(OwnedFd::from(writer)))));
    drop(command);
    load();
    tracer.signal(Signal::INT);
    let slow = thread::spawn(move || {
        let mut reader = reader;
        let (mut chunk, mut lines) = (vec![0; 65_536], 0);
        loop {
            match reader.read(&mut chunk).unwrap() {
                0 => return lines,
                count => lines += chunk[..count].split(|byte| *byte == b'\n').count() - 1,
            }
            // A hundred of these take as long as a reader that reads nothing is given.
            thread::sleep(Duration::from_millis(50));
        }
    });
    let lines = slow.join().unwrap() as u64;
    let ended = tracer.wait();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    assert_eq!(receipt(&ended, "shown"), lines);
    assert_eq!(receipt(&ended, "seen"), lines + receipt(&ended, "filtered"));
}
