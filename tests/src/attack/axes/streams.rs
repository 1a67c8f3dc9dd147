//! Standard output and standard error that are closed, full, or not read.

use std::time::Duration;

use crate::attack::{
    axes::{VIEWS, short},
    case::Case,
    run::{Run, When},
    sink::Sink,
};

/// What else is run: a view that says much, and what captures nothing.
const MORE: [&str; 5] =
    ["log -vv --duration 300ms", "--help", "completions bash", "--columns help", "--no-such"];

/// Both streams in every state, with every view.
pub fn cases(_: u64) -> Vec<Case> {
    let mut cases = Vec::new();
    for view in VIEWS.into_iter().chain(MORE) {
        of_view(view, &mut cases);
    }
    cases
}

const SINKS: [Sink; 7] =
    [Sink::Null, Sink::Full, Sink::Closed, Sink::Unread, Sink::Stuffed, Sink::Gone, Sink::Collect];

fn of_view(view: &'static str, cases: &mut Vec<Case>) {
    for out in SINKS {
        for err in SINKS {
            let name = format!("{}: stdout {out:?}, stderr {err:?}", short(view));
            // Bytes that cannot be written are a failure, except to a pipe that is closed. A pipe that nobody reads
            // takes a little, and whoever gives up at the end has not written everything.
            let statuses: &[i32] = match (&out, view) {
                (_, "--no-such") => &[2],
                (
                    Sink::Full,
                    "--help"
                    | "completions bash"
                    | "--columns help"
                    | "check"
                    | "log -o json --duration 300ms",
                ) => &[1],
                (Sink::Full | Sink::Closed | Sink::Unread | Sink::Stuffed, _) => &[0, 1],
                _ => &[0],
            };
            let run = Run::of(view).out(out.clone()).err(err.clone()).may_end_with(statuses);
            // Help and the like, and what is wrong from the beginning, may wait for a reader for ever, as any program
            // does: nothing is attached yet, and a signal ends it.
            let says_at_once = !view.contains("--duration") || out == Sink::Closed;
            let is_unread = |sink: &Sink| matches!(sink, Sink::Unread | Sink::Stuffed);
            let run = if says_at_once && (is_unread(&out) || is_unread(&err)) {
                let ended = [0, 1, 2, 128 + libc::SIGTERM];
                run.act(When::Started(Duration::from_secs(4)), libc::SIGTERM).may_end_with(&ended)
            } else {
                run
            };
            cases.push(Case::of(name, run));
        }
    }
}
