//! The noise program leaves nothing behind, however it ends.

use std::{
    fs,
    process::{Command, Stdio},
};

use rustix::process::Signal;
use tests::{patience::until, program::Program};

/// Starts the noise. Returns it, and the pipe to its standard input.
fn noise() -> (Program, std::io::PipeWriter) {
    // It ends when its standard input does.
    let (input, keeps) = std::io::pipe().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_noise"));
    let mut noise = Program::with_input(&mut command, Stdio::from(input));
    drop(command);
    noise.wait_for_out("all of the noise", |out| out.contains("noise: ready"));
    (noise, keeps)
}

/// How many namespaces the noise with this process id has.
fn namespaces(pid: u32) -> usize {
    let entries = fs::read_dir("/run/netns").unwrap().flatten();
    let is_its = |name: &str| name.starts_with(&format!("tracer-noise-{pid}-"));
    entries.filter(|entry| entry.file_name().to_str().is_some_and(is_its)).count()
}

/// The process that cleans up after the noise with this process id.
fn sweeper(pid: u32) -> u32 {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let words = format!("\0sweep\0{pid}\0");
    let sweeps = |process: &u32| {
        fs::read_to_string(format!("/proc/{process}/cmdline")).is_ok_and(|line| line.ends_with(&words))
    };
    pids.find(sweeps).expect("a sweeper")
}

#[test]
fn it_ends_with_its_input_and_says_what_it_did() {
    let (noise, keeps) = noise();
    let pid = noise.pid();
    assert!(namespaces(pid) > 0);
    drop(keeps);
    let ended = noise.wait();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    let told = ended.out.lines().last().unwrap();
    let counts: Vec<u64> = told.split(", ").filter_map(count).collect();
    assert!(counts.len() == 7 && counts.iter().all(|count| *count > 0), "{told}");
    assert_eq!(namespaces(pid), 0);
}

/// The number in a part such as `12 namespaces`.
fn count(part: &str) -> Option<u64> {
    part.trim_start_matches("noise: ").split(' ').next()?.parse().ok()
}

#[test]
fn when_it_is_killed_another_process_cleans_up() {
    let (noise, _keeps) = noise();
    let pid = noise.pid();
    noise.signal(Signal::KILL);
    noise.wait();
    until("its namespaces to go", || (namespaces(pid) == 0).then_some(()));
}

#[test]
fn what_nobody_could_clean_up_goes_when_the_next_one_starts() {
    let (killed, _keeps) = noise();
    let pid = killed.pid();
    tests::program::signal(sweeper(pid), Signal::KILL);
    assert!(namespaces(pid) > 0);
    killed.signal(Signal::KILL);
    killed.wait();
    let (_next, _keeps) = noise();
    assert_eq!(namespaces(pid), 0);
}
