//! A short part of `cargo xtask attack`: a few cases of most axes. And what it checks is noticed when it happens.

use std::{process::Command, time::Duration};

use tests::{
    attack::{
        campaign::{Wanted, attack},
        left::Programs,
        run::Run,
        sink::Sink,
    },
    patience::until,
    program::Program,
};

/// Cases of each axis.
const MOST: usize = 5;

#[test]
fn a_few_cases_of_each_axis() {
    let only = ["privileges", "limits", "names", "streams", "files", "grammar", "signals"]
        .map(str::to_owned)
        .to_vec();
    let results = attack(&Wanted { only, most: Some(MOST), seed: 1, ..Wanted::default() });
    for result in results {
        assert_eq!((result.ran, result.failed), (MOST, Vec::<String>::new()), "{}", result.axis);
    }
}

/// Runs one case.
fn check(axis: &str, case: &str) {
    let wanted = Wanted { only: vec![axis.to_owned()], case: Some(case.to_owned()), ..Wanted::default() };
    let results = attack(&wanted);
    assert_eq!((results[0].ran, &results[0].failed[..]), (1, &[][..]), "{case}");
}

/// Far below what a capture needs: the command line, and `check`, have to say so.
#[test]
fn the_lowest_limits_are_told() {
    for case in ["data=256K: log", "data=1M: summary", "as=20M: check", "data=16M: check", "nofile=7: check"]
    {
        check("limits", case);
    }
}

/// What else seccomp forbids in containers.
#[test]
fn check_knows_what_a_capture_needs_beside_bpf() {
    for call in ["eventfd", "epoll", "capset(2)"] {
        check("privileges", &format!("no {call}: check is right"));
    }
}

/// Programs that do what tracer must not do.
#[test]
fn every_fault_is_noticed() {
    let run = |script: &str| Run::with(["-c", script]).program("/bin/sh");
    for (script, fault) in [
        ("echo \"tracer: thread 'main' panicked\" >&2", "it says `panicked`"),
        ("exit 1", "status 1 without a word"),
        ("echo tracer: no >&2; exit 5", "exit status 5"),
        ("kill -ABRT $$", "exit status 134"),
        ("sleep 60 & exit 0", "a process is left"),
        ("echo hello >&2", "a foreign line on standard error"),
        ("echo 'tracer: FORGED' >&2", "a foreign line on standard error"),
        ("printf 'tracer: \\033[2J\\n' >&2", "hostile on standard error"),
        ("printf 'tracer: rea' >&2", "standard error is cut off"),
        ("printf '\\377\\n'", "standard output is not UTF-8"),
        ("printf 'a\\342\\240\\200b\\n'", "hostile on standard output"),
        ("head -c 500000000 /dev/zero | tail -n 1 | wc -c", "it held"),
        ("echo 'tracer: the kernel counted 1: DISAGREES' >&2", "never ready"),
    ] {
        let verdict = run(script).verdict();
        assert!(verdict.as_ref().is_err_and(|faults| faults.contains(fault)), "{script}: {verdict:?}");
    }
    let hung = run("sleep 60").deadline(Duration::from_secs(1)).verdict();
    assert!(hung.is_err_and(|faults| faults.contains("it did not end within 1s")));
    for (format, script) in [("json", "echo {"), ("csv", "echo a,b; echo a")] {
        let verdict = run(script).words(["-o", format]).verdict();
        assert!(verdict.is_err(), "{format}");
    }
    for script in ["printf '\\033[?1049h'", "stty -echo", "printf '\\033]0;x\\007'"] {
        assert!(run(script).out(Sink::Terminal).verdict().is_err(), "{script}");
    }
    let good = "echo tracer: ready >&2; echo fine";
    assert_eq!(run(good).verdict(), Ok(()));
}

/// A program that is pinned, in a mount namespace of its own, is held by no process.
#[test]
fn a_program_that_is_left_is_noticed() {
    let before = Programs::newest();
    let object = concat!(env!("CARGO_MANIFEST_DIR"), "/../tracer/bpf/sockets.bpf.o");
    let script = "mount -t bpf bpf /sys/fs/bpf && bpftool prog loadall \"$0\" /sys/fs/bpf/left && echo done && exec sleep 60";
    let mut command = Command::new("unshare");
    let mut pinned = Program::collect(command.args(["--mount", "sh", "-c", script, object]));
    pinned.wait_for_out("its programs", |out| out.contains("done"));
    assert!(!before.orphans().is_empty());
    pinned.terminate();
    until("the end of the programs", || before.orphans().is_empty().then_some(()));
}
