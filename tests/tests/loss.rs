//! Lost events are counted exactly.

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
    place::Place,
    program::{Ended, Program, close},
    tracer,
    traffic::{connect, listen},
};

/// Each connection has ten transitions. The small buffers below cannot hold all of them.
const CONNECTIONS: usize = 3_000;

fn load(place: &Place) {
    let work = |worker| {
        let listener = listen(IpAddr::from([127, 77, 3, worker]), 0);
        let to: SocketAddr = listener.local_addr().unwrap();
        for _ in 0..CONNECTIONS / 4 {
            let client = connect(to).unwrap();
            drop(listener.accept().unwrap());
            close(client);
        }
    };
    thread::scope(|scope| {
        for worker in 0..4_u8 {
            scope.spawn(move || place.run(|| work(worker)));
        }
    });
    place.settle();
}

/// Makes the traffic while tracer is stopped and does not empty the buffer.
fn load_unread(place: &Place, tracer: &Program) {
    tracer.signal(Signal::STOP);
    load(place);
    tracer.signal(Signal::CONT);
}

/// Events that were lost because the buffer was full.
fn no_room(ended: &Ended) -> u64 {
    tracer::remark(ended, "found the buffer full")
}

/// Checks that all events were shown or lost, by bpftrace's count. The counts may differ slightly: a kernel
/// program misses an event that interrupts it. Tracer counts these for the whole host, and bpftrace misses a
/// few of the test's.
fn agrees(ended: &Ended, happened: u64) {
    let shown = tracer::receipt(ended, "shown");
    let (least, most) = (shown + no_room(ended), shown + tracer::receipt(ended, "lost"));
    assert!(most >= happened, "{most}, and {happened} to bpftrace: {}", ended.err);
    assert!(least <= happened + happened / 1000, "{least}, and {happened} to bpftrace: {}", ended.err);
}

#[test]
fn shown_and_lost_are_all_that_happened() {
    for buffer in ["4096", "64K", "1MiB"] {
        let place = Place::new();
        let oracle = Counter::start(&place);
        let tracer = tracer::start(&format!("--raw -o json --netns {} --buffer {buffer}", place.name()));
        load_unread(&place, &tracer);
        let ended = tracer.interrupt();
        let happened = oracle.finish();
        assert_eq!(ended.code(), 0, "{}", ended.err);
        let (shown, lost) = (tracer::receipt(&ended, "shown"), no_room(&ended));
        assert_eq!(shown, ended.out.lines().count() as u64);
        agrees(&ended, happened);
        assert!(lost > 0, "a stopped reader with {buffer} must lose something");
        assert!(ended.err.contains("try a larger --buffer"), "{}", ended.err);
        println!("buffer {buffer}: {shown} shown + {lost} lost = {happened}");
    }
}

#[test]
fn the_default_buffer_holds_what_a_busy_host_does_in_a_second() {
    let place = Place::new();
    let oracle = Counter::start(&place);
    let tracer = tracer::start(&format!("--raw -o json --netns {}", place.name()));
    load_unread(&place, &tracer);
    let ended = tracer.interrupt();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    agrees(&ended, oracle.finish());
    assert_eq!(no_room(&ended), 0, "{}", ended.err);
}

#[test]
fn strict_makes_a_loss_a_failure() {
    let place = Place::new();
    let tracer = tracer::start(&format!("--netns {} --buffer 4KiB --strict", place.name()));
    load_unread(&place, &tracer);
    let ended = tracer.interrupt();
    assert!(no_room(&ended) > 0, "{}", ended.err);
    assert_eq!(ended.code(), 3);
}

#[test]
fn a_loss_is_told_though_nothing_else_happens() {
    let place = Place::new();
    let mut tracer = tracer::start(&format!("--netns {} --buffer 4KiB", place.name()));
    load_unread(&place, &tracer);
    let most_are_told = |err: &str| {
        let told = err.lines().filter_map(|line| line.strip_prefix("tracer: lost ")?.split_once(" events, "));
        told.map(|(count, _)| count.parse::<usize>().unwrap()).sum::<usize>() > 5 * CONNECTIONS
    };
    tracer.wait_for_err("the loss", most_are_told);
}

/// A reader that is slow, but reads, gets everything, however long it takes.
#[test]
fn a_slow_reader_gets_everything() {
    let place = Place::new();
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = tracer::command(&format!("--raw -o json --netns {}", place.name()));
    let tracer = tracer::started(Program::start(command.stdout(Stdio::from(OwnedFd::from(writer)))));
    drop(command);
    load(&place);
    tracer.signal(Signal::INT);
    let slow = thread::spawn(move || {
        let mut reader = reader;
        let (mut chunk, mut lines) = (vec![0; 65_536], 0);
        loop {
            match reader.read(&mut chunk).unwrap() {
                0 => return lines,
                count => lines += chunk[..count].split(|byte| *byte == b'\n').count() - 1,
            }
            // A hundred of these pauses take as long as tracer waits at its end for a reader that reads
            // nothing.
            thread::sleep(Duration::from_millis(50));
        }
    });
    let lines = slow.join().unwrap() as u64;
    let ended = tracer.wait();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    assert_eq!(tracer::receipt(&ended, "shown"), lines);
    assert_eq!(tracer::passed(&ended), lines);
}
