//! Signals at every moment of start, run and end.

use std::time::Duration;

use crate::attack::{
    case::Case,
    run::{Run, When},
    sink::Sink,
};

/// Those that tracer ends well after.
const ENDING: [(&str, i32); 4] =
    [("INT", libc::SIGINT), ("TERM", libc::SIGTERM), ("HUP", libc::SIGHUP), ("QUIT", libc::SIGQUIT)];

/// Those that end it, or that it ignores.
const OTHERS: [(&str, i32); 9] = [
    ("USR1", libc::SIGUSR1),
    ("USR2", libc::SIGUSR2),
    ("PIPE", libc::SIGPIPE),
    ("XFSZ", libc::SIGXFSZ),
    ("ABRT", libc::SIGABRT),
    ("ALRM", libc::SIGALRM),
    ("RT34", 34),
    ("RT64", 64),
    ("WINCH", libc::SIGWINCH),
];

const VIEWS: [&str; 3] = ["log -o json", "summary --in-kernel", "top"];

/// Delays from the start.
const STEP: usize = 5;
const LAST: u64 = 400;

/// Every signal at every moment, with views in turn, and the views also at the end.
pub fn cases(_: u64) -> Vec<Case> {
    let mut cases = Vec::new();
    for (index, delay) in (0..=LAST).step_by(STEP).enumerate() {
        let view = VIEWS[index % VIEWS.len()];
        let at = When::Started(Duration::from_millis(delay));
        for (name, signal) in ENDING {
            cases.push(Case::of(
                format!("{name} after {delay} ms: {view}"),
                ending(view, signal).act(at, signal),
            ));
            let again = When::Started(Duration::from_millis(delay + 1 + delay % 40));
            let twice = ending(view, signal).act(at, signal).act(again, signal);
            cases.push(Case::of(format!("{name} twice after {delay} ms: {view}"), twice));
        }
        for (name, signal) in OTHERS {
            cases.push(Case::of(
                format!("{name} after {delay} ms: {view}"),
                other(view, signal).act(at, signal),
            ));
        }
        let go_on = When::Started(Duration::from_millis(delay + 150));
        let stopped =
            start(view).words(["--duration", "500ms"]).act(at, libc::SIGSTOP).act(go_on, libc::SIGCONT);
        cases.push(Case::of(format!("STOP and CONT after {delay} ms: {view}"), stopped));
    }
    for view in VIEWS {
        for (name, signal) in ENDING.into_iter().chain(OTHERS) {
            for delay in [0, 1, 2, 5, 10, 20, 700] {
                let delayed = Duration::from_millis(delay);
                let run = if ENDING.iter().any(|it| it.1 == signal) {
                    ending(view, signal)
                } else {
                    other(view, signal)
                };
                let ready = run.clone().act(When::Ready(delayed), signal);
                cases.push(Case::of(format!("{name} {delay} ms after ready: {view}"), ready));
                let last = run
                    .words(["--duration", "50ms"])
                    .act(When::Ready(delayed + Duration::from_millis(45)), signal);
                cases.push(Case::of(format!("{name} {delay} ms around the end: {view}"), last));
            }
        }
    }
    cases
}

fn start(view: &str) -> Run {
    let run = Run::of(view);
    if view == "top" { run.out(Sink::Terminal) } else { run }
}

/// Before tracer listens for a signal, the signal ends it as any process.
fn ending(view: &str, signal: i32) -> Run {
    // An impatient user has not got everything.
    start(view).may_end_with(&[0, 1, 128 + signal])
}

/// It may end by the signal; if not, it ends well.
fn other(view: &str, signal: i32) -> Run {
    let run = start(view).may_end_with(&[0, 128 + signal]);
    run.act(When::Started(Duration::from_millis(1500)), libc::SIGTERM)
}
