//! One run of tracer: its command line, what surrounds it, and what happens to it.

use std::{
    ffi::{OsStr, OsString},
    time::Duration,
};

use crate::attack::{
    binary, case::Verdict, child, ended::Ended, judge, left::Programs, sandbox::Step, sink::Sink,
};

/// The longest that a run may take which is to end by itself or by a signal. Starting takes less than a second on
/// a quiet host.
const DEADLINE: Duration = Duration::from_secs(30);

/// A signal during a run.
#[derive(Clone, Copy, Debug)]
pub struct Act {
    /// When it is sent.
    pub when: When,
    /// The signal's number.
    pub signal: i32,
}

/// A moment of a run.
#[derive(Clone, Copy, Debug)]
pub enum When {
    /// So long after the start.
    Started(Duration),
    /// So long after `tracer: ready`.
    Ready(Duration),
    /// So long after the receipt began to be printed.
    Ending(Duration),
}

/// A run of tracer.
#[derive(Clone, Debug)]
pub struct Run {
    pub(super) program: OsString,
    pub(super) words: Vec<OsString>,
    /// A program that starts tracer, and its arguments.
    pub(super) through: Vec<OsString>,
    pub(super) environment: Vec<(OsString, OsString)>,
    pub(super) steps: Vec<Step>,
    pub(super) out: Sink,
    pub(super) err: Sink,
    pub(super) acts: Vec<Act>,
    pub(super) deadline: Duration,
    /// Exit statuses as a shell shows them.
    pub(super) allowed: Vec<i32>,
    /// Whether the kernel or the dynamic loader may refuse to start any program at all.
    pub(super) may_not_begin: bool,
}

impl Run {
    /// A run with these arguments, split at white space.
    pub fn of(arguments: &str) -> Self {
        Self::with(arguments.split_whitespace())
    }

    /// A run with these arguments.
    pub fn with(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        Self {
            program: binary::path().into(),
            words: arguments.into_iter().map(|word| word.as_ref().to_owned()).collect(),
            through: Vec::new(),
            environment: vec![("LC_ALL".into(), "C.UTF-8".into()), ("TERM".into(), "xterm-256color".into())],
            steps: Vec::new(),
            out: Sink::Collect,
            err: Sink::Collect,
            acts: Vec::new(),
            deadline: DEADLINE,
            allowed: vec![0],
            may_not_begin: false,
        }
    }

    /// More arguments.
    #[must_use]
    pub fn words(mut self, words: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.words.extend(words.into_iter().map(|word| word.as_ref().to_owned()));
        self
    }

    /// Another path of the binary, as it is seen from inside.
    #[must_use]
    pub fn program(mut self, program: &str) -> Self {
        self.program = program.into();
        self
    }

    /// Started by this program, which replaces itself or waits.
    #[must_use]
    pub fn through(mut self, words: &str) -> Self {
        self.through.extend(words.split_whitespace().map(OsString::from));
        self
    }

    /// With a variable in the environment.
    #[must_use]
    pub fn variable(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// After these steps.
    #[must_use]
    pub fn after(mut self, steps: impl IntoIterator<Item = Step>) -> Self {
        self.steps.extend(steps);
        self
    }

    /// With this standard output.
    #[must_use]
    pub fn out(mut self, sink: Sink) -> Self {
        self.out = sink;
        self
    }

    /// With this standard error.
    #[must_use]
    pub fn err(mut self, sink: Sink) -> Self {
        self.err = sink;
        self
    }

    /// With a signal.
    #[must_use]
    pub fn act(mut self, when: When, signal: i32) -> Self {
        self.acts.push(Act { when, signal });
        self
    }

    /// It has to end within this time.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// It may end with these statuses, and no other.
    #[must_use]
    pub fn may_end_with(mut self, statuses: &[i32]) -> Self {
        self.allowed = statuses.to_vec();
        self
    }

    /// The kernel or the dynamic loader may refuse to start it.
    #[must_use]
    pub fn may_not_begin(mut self) -> Self {
        self.may_not_begin = true;
        self
    }

    /// The same run, but it only prints its version.
    pub(super) fn only_version(mut self) -> Self {
        self.words = vec!["--version".into()];
        self.acts.clear();
        self
    }

    /// Runs it, and checks everything that has to hold.
    pub fn verdict(&self) -> Verdict {
        self.ended().map(drop)
    }

    /// The same, and returns how it ended.
    pub fn ended(&self) -> Result<Ended, String> {
        let before = Programs::newest();
        let ended = child::run(self);
        let mut faults = judge::faults(self, &ended);
        faults.extend(before.orphans_since().err());
        if faults.is_empty() {
            return Ok(ended);
        }
        Err(format!("{}\n{}", faults.join("\n"), ended.shown()))
    }
}
