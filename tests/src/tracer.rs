//! Runs tracer as a user does, and reads its receipt.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    event::{Event, parse},
    program::{self, Ended, Program, heed_signals},
};

/// Path of the binary: the environment variable `TRACER`, or else the release build.
pub fn binary() -> PathBuf {
    heed_signals();
    env::var_os("TRACER").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/release/tracer"),
        PathBuf::from,
    )
}

/// A copy of the binary that every user may run.
pub fn public_binary() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let copy = folder.path().join("tracer");
    copy_binary(&copy);
    (folder, copy)
}

/// Copies the binary. Not by this process: a child that another thread starts meanwhile would hold the file open for
/// writing, and nobody could execute it.
pub fn copy_binary(to: &Path) {
    program::run(Command::new("cp").arg(binary()).arg(to));
}

/// A tracer command. The arguments are split at white space.
pub fn command(arguments: &str) -> Command {
    let mut command = Command::new(binary());
    // Not the locale of whoever runs the tests.
    command.env("LC_ALL", "C.UTF-8");
    command.args(arguments.split_whitespace());
    command
}

/// Runs tracer to its end.
pub fn run(arguments: &str) -> Ended {
    Program::collect(&mut command(arguments)).wait()
}

/// Starts tracer and waits until it is attached.
pub fn start(arguments: &str) -> Program {
    started(Program::collect(&mut command(arguments)))
}

/// Waits until a tracer is attached.
pub fn started(mut tracer: Program) -> Program {
    tracer.wait_for_err("`tracer: ready`", |err| err.contains("tracer: ready\n"));
    tracer
}

/// The number after `word` in the receipt, as in `shown 3`. The counts of seen, filtered and lost events are
/// for the whole host; [`passed`] and [`lost`] are the test's own.
pub fn receipt(ended: &Ended, word: &str) -> u64 {
    let line = ended.err.lines().find(|line| line.starts_with("tracer: seen")).expect("a receipt");
    let after = line.split(&format!("{word} ")).nth(1).expect("the word in the receipt");
    after.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
}

/// The number before a remark in the receipt, as in `3 found the buffer full`; 0 if there is no such remark.
pub fn remark(ended: &Ended, words: &str) -> u64 {
    let before = ended.err.lines().find_map(|line| line.strip_prefix("tracer: seen")?.split_once(words));
    let number = before.and_then(|(before, _)| before.trim_end().rsplit(' ').next());
    number.map_or(0, |number| number.parse().unwrap())
}

/// Transitions that passed the filters. With a filter on the test's namespace these are the test's own.
pub fn passed(ended: &Ended) -> u64 {
    receipt(ended, "seen") - receipt(ended, "filtered")
}

/// Lost events that passed the filters. Events that happened while the kernel program was busy do not count:
/// they are counted for the whole host, before any filter.
pub fn lost(ended: &Ended) -> u64 {
    receipt(ended, "lost") - remark(ended, "happened while the kernel program was busy")
}

/// Transitions that tracer found missing, although it knows of no loss.
pub fn gaps(ended: &Ended) -> u64 {
    remark(ended, "do not follow on the one before")
}

/// Ends tracer as Ctrl-C does and returns its events. Panics if it failed, or has lost any.
pub fn finish(tracer: Program) -> Vec<Event> {
    let ended = tracer.interrupt();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    assert_eq!((lost(&ended), gaps(&ended)), (0, 0), "{}", ended.err);
    let events = parse(&ended.out);
    assert_eq!(receipt(&ended, "shown"), events.len() as u64, "{}", ended.err);
    events
}
