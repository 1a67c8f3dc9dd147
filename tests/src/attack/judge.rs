//! What has to hold after a run, whatever was done to it.

use crate::attack::{child, ended::Ended, run::Run, sink::Sink, text};

/// The most memory that a tracer may hold, in KiB: its buffers of 64 MiB are mapped twice, so that a record that
/// wraps around can be read in one piece.
const MOST_KIB: u64 = 400 << 10;

/// Words of a program that has failed in a way that it should not.
const ACCIDENTS: [&str; 5] =
    ["panicked", "RUST_BACKTRACE", "overflowed its stack", "fatal runtime error", "memory allocation of"];

/// Everything that should not have happened.
pub(super) fn faults(run: &Run, ended: &Ended) -> Vec<String> {
    let Some(status) = ended.status else {
        return if run.may_not_begin {
            Vec::new()
        } else {
            vec![format!("it did not start: {}", ended.refused)]
        };
    };
    let mut faults = Vec::new();
    let err = String::from_utf8_lossy(&ended.err);
    if run.may_not_begin && has_not_begun(run, status, ended) {
        return faults;
    }
    let both = format!(
        "{err}{}",
        if run.out == Sink::Terminal { String::from_utf8_lossy(&ended.out) } else { "".into() }
    );
    faults.extend(
        ACCIDENTS.iter().filter(|word| both.contains(**word)).map(|word| format!("it says `{word}`")),
    );
    if ended.hung {
        faults.push(format!("it did not end within {:?}, and was killed", run.deadline));
    } else if !run.allowed.contains(&status) {
        faults.push(format!("exit status {status}, allowed: {:?}", run.allowed));
    }
    if ended.left_process {
        faults.push("a process is left".into());
    }
    if ended.left_terminal {
        faults.push("the terminal's settings are not restored".into());
    }
    if ended.peak_kib > MOST_KIB {
        faults.push(format!("it held {} MiB", ended.peak_kib >> 10));
    }
    if status == 1 && run.err == Sink::Collect && ended.err.is_empty() && ended.out.is_empty() {
        faults.push("status 1 without a word".into());
    }
    if !both.contains("tracer: ready") && both.contains("DISAGREES") {
        faults.push("it compares with the kernel's counters though it was never ready".into());
    }
    if run.err == Sink::Collect && run.out != Sink::Terminal {
        faults.extend(text::messages(&ended.err, status));
    }
    match run.out {
        Sink::Collect => faults.extend(text::output(run, &ended.out, status)),
        Sink::Terminal => faults.extend(text::screen(&ended.out)),
        _ => {}
    }
    faults
}

/// Whether the kernel or the dynamic loader has ended the process before tracer's first instruction. The loader says
/// so; the kernel does it silently, and does it to any command line.
fn has_not_begun(run: &Run, status: i32, ended: &Ended) -> bool {
    if status == 127 {
        return String::from_utf8_lossy(&ended.err).contains("error while loading shared libraries");
    }
    let is_silent =
        |status: i32, ended: &Ended| status >= 128 && ended.err.is_empty() && ended.out.is_empty();
    is_silent(status, ended) && {
        let control = child::run(&run.clone().only_version());
        control.status.is_none_or(|status| is_silent(status, &control))
    }
}
