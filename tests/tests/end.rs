//! However tracer ends, it writes what it has captured, prints the receipt, and has the right exit status.

use std::{
    io::{Read as _, Write as _},
    os::fd::OwnedFd,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use rustix::process::Signal;
use tests::{
    event::parse,
    patience::until,
    place::Place,
    program::{Program, spawn},
    tracer::{self, receipt},
    traffic::connect,
};

fn refused() {
    connect("127.77.1.1:9".parse().unwrap()).expect_err("nobody listens there");
}

#[test]
fn signals_lose_nothing() {
    let place = Place::new();
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let tracer = tracer::start(&format!("-o json --netns {}", place.name()));
        place.run(|| (0..500).for_each(|_| refused()));
        tracer.signal(signal);
        let ended = tracer.wait();
        assert_eq!(ended.code(), 0, "{}", ended.err);
        assert_eq!(parse(&ended.out).len(), 1000, "{signal:?}");
        assert_eq!(tracer::passed(&ended), 1000, "{}", ended.err);
    }
}

#[test]
fn a_duration_ends_it() {
    let ended = tracer::run("--duration 200ms --netns 1");
    assert_eq!(ended.code(), 0);
    assert_eq!(receipt(&ended, "shown"), 0);
}

#[test]
fn a_count_ends_it_exactly_there() {
    let place = Place::new();
    let tracer = tracer::start(&format!("-o json --count 7 --netns {}", place.name()));
    place.run(|| (0..10).for_each(|_| refused()));
    let ended = tracer.wait();
    assert_eq!(ended.code(), 0);
    assert_eq!(parse(&ended.out).len(), 7);
    assert_eq!(receipt(&ended, "shown"), 7);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let place = Place::new();
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = tracer::command(&format!("-o json --netns {}", place.name()));
    let tracer = tracer::started(Program::start(command.stdout(Stdio::from(OwnedFd::from(writer)))));
    drop(command);
    place.run(refused);
    let mut reader = reader;
    reader.read_exact(&mut [0; 10]).unwrap();
    drop(reader);
    place.run(refused);
    let ended = tracer.wait();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    assert!(ended.err.contains("tracer: seen"), "{}", ended.err);
}

fn wait_until_write_blocks(tracer: &Program) {
    until("the tracer to be stuck in writing", || {
        let state = std::fs::read_dir(format!("/proc/{}/task", tracer.pid())).unwrap().any(|task| {
            let path = task.unwrap().path().join("wchan");
            std::fs::read_to_string(path).is_ok_and(|wchan| wchan.contains("pipe_write"))
        });
        state.then_some(())
    });
}

#[test]
fn a_count_waits_for_a_reader_that_pauses() {
    let place = Place::new();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let columns = "time,cookie,local,remote,old_state,new_state";
    let mut command =
        tracer::command(&format!("-o csv --columns {columns} --count 3000 --netns {}", place.name()));
    let tracer = tracer::started(Program::start(command.stdout(Stdio::from(OwnedFd::from(writer)))));
    drop(command);
    place.run(|| (0..2000).for_each(|_| refused()));
    wait_until_write_blocks(&tracer);
    // Longer than tracer waits for a reader at its end, which it has not reached.
    thread::sleep(Duration::from_secs(6));
    let mut out = String::new();
    reader.read_to_string(&mut out).unwrap();
    let ended = tracer.wait();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    assert_eq!(out.lines().count(), 1 + 3000, "{}", ended.err);
}

#[test]
fn a_reader_that_does_not_read_cannot_hold_it() {
    let place = Place::new();
    let (_reader, writer) = std::io::pipe().unwrap();
    let mut command = tracer::command(&format!("-o json --netns {}", place.name()));
    let mut tracer = tracer::started(Program::start(command.stdout(Stdio::from(OwnedFd::from(writer)))));
    // Far more than a pipe holds.
    place.run(|| (0..2000).for_each(|_| refused()));
    wait_until_write_blocks(&tracer);
    // The second signal repeats the first one at once, as `timeout` does, and does not count. The third one
    // forces the end.
    tracer.signal(Signal::TERM);
    tracer.signal(Signal::TERM);
    thread::sleep(Duration::from_millis(700));
    tracer.signal(Signal::TERM);
    tracer.wait_for_err("the receipt", |err| err.contains("tracer: seen"));
    let ended = tracer.wait();
    assert_eq!(ended.code(), 1, "{}", ended.err);
    assert!(ended.err.contains("were not taken by standard output"), "{}", ended.err);
}

/// A pipe takes the next bytes only when a whole page of it has been read.
#[test]
fn a_reader_that_reads_slowly_is_waited_for() {
    let place = Place::new();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut command = tracer::command(&format!("-o json --netns {}", place.name()));
    let tracer = tracer::started(Program::start(command.stdout(Stdio::from(OwnedFd::from(writer)))));
    drop(command);
    place.run(|| (0..2000).for_each(|_| refused()));
    wait_until_write_blocks(&tracer);
    tracer.signal(Signal::TERM);
    let mut out = String::new();
    // Longer than tracer waits for a reader that takes nothing.
    for _ in 0..8 {
        thread::sleep(Duration::from_secs(1));
        (&mut reader).take(1).read_to_string(&mut out).unwrap();
    }
    reader.read_to_string(&mut out).unwrap();
    let ended = tracer.wait();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    assert_eq!(parse(&out).len(), 4000, "{}", ended.err);
}

#[test]
fn a_full_disk_is_a_failure_that_is_told() {
    let place = Place::new();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = tracer::command(&format!("-o json --netns {}", place.name()));
    let tracer = tracer::started(Program::start(command.stdout(full)));
    place.run(refused);
    let ended = tracer.wait();
    assert_eq!(ended.code(), 1);
    assert!(ended.err.contains("No space left on device"), "{}", ended.err);
    assert!(ended.err.contains("tracer: seen"), "{}", ended.err);
}

/// At a limit on file sizes the kernel sends a signal, which would end tracer without a word.
#[test]
fn a_limit_on_file_sizes_is_a_failure_that_is_told() {
    let place = Place::new();
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -f 8; exec \"$0\" -o json --netns \"$1\" >\"$2\""]);
    let tracer = Program::start(command.arg(tracer::binary()).arg(place.name()).arg(file.path()));
    let tracer = tracer::started(tracer);
    place.run(|| (0..20).for_each(|_| refused()));
    let ended = tracer.wait();
    assert_eq!(ended.code(), 1, "{}", ended.err);
    assert!(ended.err.contains("File too large") && ended.err.contains("ulimit -f"), "{}", ended.err);
    assert!(ended.err.contains("tracer: seen"), "{}", ended.err);
    assert!(receipt(&ended, "shown") > 0 && tracer::remark(&ended, "were not taken") > 0, "{}", ended.err);
}

/// The permitted capabilities of each thread, with the thread's name.
fn capabilities(tracer: &Program) -> Vec<(String, String)> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", tracer.pid())).unwrap();
    let status = tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("status")).unwrap());
    let field = |status: &str, name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim_start_matches(':').trim().to_owned()
    };
    status.map(|status| (field(&status, "Name"), field(&status, "CapPrm"))).collect()
}

/// Tracer has an error to print, and nobody reads standard error. It ends all the same.
#[test]
fn a_standard_error_that_nobody_reads_cannot_hold_it() {
    let (_reader, mut writer) = std::io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    // Fill the pipe to the last byte: after large writes there may be room for a small one.
    for size in [4096, 1] {
        while writer.write(&vec![b'x'; size]).is_ok() {}
    }
    rustix::io::ioctl_fionbio(&writer, false).unwrap();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = tracer::command("--duration 200ms");
    command.stdin(Stdio::null()).stdout(full).stderr(OwnedFd::from(writer));
    let mut tracer = spawn(&mut command).unwrap();
    let status = until("its end", || tracer.try_wait().unwrap());
    assert_eq!(status.code(), Some(1));
}

/// Waits until tracer handles SIGINT: before that the signal kills any process.
fn until_it_catches_interrupts(tracer: &Program) {
    until("its own handlers", || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", tracer.pid())).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        (u64::from_str_radix(caught.trim(), 16).unwrap() & 2 != 0).then_some(())
    });
}

/// An interrupt before tracer is ready ends it as well as a later one.
#[test]
fn an_interruption_while_starting_is_a_good_end() {
    for milliseconds in [5, 20, 40, 60, 80] {
        let tracer = Program::collect(&mut tracer::command("--netns 1"));
        thread::sleep(Duration::from_millis(milliseconds));
        until_it_catches_interrupts(&tracer);
        let ended = tracer.interrupt();
        assert_eq!(ended.code(), 0, "after {milliseconds} ms: {}", ended.err);
        assert!(ended.err.contains("tracer: seen"), "{}", ended.err);
    }
}

/// The kernel's verifier gives up at a signal, be it only one that stops the process for a moment.
#[test]
fn signals_while_loading_cost_no_program() {
    let load = |meanwhile: &dyn Fn(&Program)| {
        let tracer = Program::collect(&mut tracer::command("-v --netns 1 --duration 100ms"));
        meanwhile(&tracer);
        let ended = tracer.wait();
        assert_eq!(ended.code(), 0, "{}", ended.err);
        ended.err.lines().find(|line| line.contains("other hooks: ")).unwrap().to_owned()
    };
    let undisturbed = load(&|_| {});
    for _ in 0..3 {
        let disturbed = load(&|tracer| {
            // The maps come right before the programs.
            until("maps", || holds_map(tracer).then_some(()));
            // Fewer than the times that tracer tries, and the first program takes longer than a pause.
            for _ in 0..18 {
                tracer.signal(Signal::STOP);
                tracer.signal(Signal::CONT);
                thread::sleep(Duration::from_millis(8));
            }
        });
        assert_eq!(disturbed, undisturbed);
    }
}

fn holds_map(tracer: &Program) -> bool {
    let descriptors = std::fs::read_dir(format!("/proc/{}/fd", tracer.pid())).unwrap();
    let mut targets = descriptors.flatten().filter_map(|it| std::fs::read_link(it.path()).ok());
    targets.any(|target| target.to_string_lossy() == "anon_inode:bpf-map")
}

/// Ended before it is ready, it compares nothing that was not read: neither is that a disagreement.
#[test]
fn an_early_end_is_no_disagreement() {
    for milliseconds in (0..400).step_by(40) {
        let tracer = Program::collect(&mut tracer::command("-o json --count 1000000"));
        until_it_catches_interrupts(&tracer);
        thread::sleep(Duration::from_millis(milliseconds));
        let ended = tracer.interrupt();
        assert_eq!(ended.code(), 0, "after {milliseconds} ms: {}", ended.err);
        assert!(!ended.err.contains("DISAGREES"), "after {milliseconds} ms: {}", ended.err);
    }
}

#[test]
fn nothing_privileged_is_kept() {
    let tracer = tracer::start("--raw --netns 1");
    for (thread, held) in capabilities(&tracer) {
        assert_eq!(held, "0000000000000000", "{thread}");
    }
    assert_eq!(tracer.interrupt().code(), 0);
}

#[test]
fn only_threads_that_need_it_keep_something() {
    let folder = tempfile::tempdir().unwrap();
    let receipt = folder.path().join("receipt");
    let tracer = tracer::start(&format!("--netns 1 --receipt {}", receipt.display()));
    let held = capabilities(&tracer);
    for thread in ["tracer-survey", "tracer-receipt"] {
        assert!(held.iter().any(|(name, _)| name == thread), "{held:?}");
    }
    for (thread, held) in held {
        let expected: u64 = match &*thread {
            // CAP_SYS_PTRACE, CAP_SYS_ADMIN, CAP_PERFMON, CAP_BPF
            "tracer-survey" => 1 << 19 | 1 << 21 | 1 << 38 | 1 << 39,
            // CAP_DAC_OVERRIDE, CAP_FOWNER
            "tracer-receipt" => 1 << 1 | 1 << 3,
            _ => 0,
        };
        assert_eq!(held, format!("{expected:016x}"), "{thread}");
    }
}

#[test]
fn a_signal_that_comes_twice_at_once_is_one() {
    let place = Place::new();
    let tracer = tracer::start(&format!("-o json --netns {}", place.name()));
    place.run(|| (0..2000).for_each(|_| refused()));
    tracer.signal(Signal::TERM);
    tracer.signal(Signal::TERM);
    let ended = tracer.wait();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    assert_eq!(parse(&ended.out).len(), 4000);
}

#[test]
fn what_is_to_be_ignored_is_ignored() {
    let mut command = Command::new("nohup");
    command.arg(tracer::binary()).args(["--netns", "1"]);
    let tracer = tracer::started(Program::collect(&mut command));
    tracer.signal(Signal::HUP);
    thread::sleep(Duration::from_millis(200));
    let ended = tracer.interrupt();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    assert!(!ended.out.is_empty());
}

/// As a script's `tracer &` inherits it.
#[test]
fn sigint_and_sigterm_end_it_even_if_they_were_ignored() {
    for signal in [Signal::INT, Signal::TERM] {
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' INT TERM; exec \"$0\" --netns 1"]).arg(tracer::binary());
        let tracer = tracer::started(Program::collect(&mut command));
        tracer.signal(signal);
        assert_eq!(tracer.wait().code(), 0, "{signal:?}");
    }
}

#[test]
fn a_reader_that_leaves_is_noticed_though_nothing_happens() {
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = tracer::command("--netns 1");
    let tracer = tracer::started(Program::start(command.stdout(Stdio::from(OwnedFd::from(writer)))));
    drop(command);
    drop(reader);
    assert_eq!(tracer.wait().code(), 0);
}
