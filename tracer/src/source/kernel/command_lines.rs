//! Command lines of processes, read by a thread of its own: they lie in the memory of the process, which may be mapped
//! from a file system that hangs.

use std::{
    collections::HashMap,
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::{Duration, Instant},
};

use crate::source::kernel::processes;

/// After this time a command line is read again: the process may have become another program.
const FRESH: Duration = Duration::from_secs(5);

/// How many are kept at most. A screen shows fewer.
const MOST: usize = 4096;

/// What is known of a process.
#[derive(Debug, Default)]
struct Known {
    line: Option<String>,
    /// When it was asked for.
    asked_at: Option<Instant>,
    is_answered: bool,
}

/// The thread, and what it has read.
#[derive(Debug)]
struct Reader {
    questions: Sender<u32>,
    answers: Receiver<(u32, Option<String>)>,
}

/// Command lines that are known.
#[derive(Debug, Default)]
pub(super) struct CommandLines {
    /// Begins with the first question; `None` as long as no thread can be made.
    reader: Option<Reader>,
    known: HashMap<u32, Known>,
}

impl CommandLines {
    /// The command line of a process as it was last read. `None` if it is not known, or not known yet.
    pub(super) fn get(&mut self, pid: u32) -> Option<String> {
        if self.reader.is_none() {
            self.reader = start(processes::command_line);
        }
        let reader = self.reader.as_ref()?;
        for (pid, line) in reader.answers.try_iter() {
            if let Some(known) = self.known.get_mut(&pid) {
                (known.line, known.is_answered) = (line, true);
            }
        }
        if self.known.len() >= MOST && !self.known.contains_key(&pid) {
            self.known.clear();
        }
        let known = self.known.entry(pid).or_default();
        let is_fresh = known.asked_at.is_some_and(|at| !known.is_answered || at.elapsed() < FRESH);
        if !is_fresh && reader.questions.send(pid).is_ok() {
            (known.asked_at, known.is_answered) = (Some(Instant::now()), false);
        }
        known.line.clone()
    }
}

/// Makes the thread. It ends when nobody can ask any more.
fn start(read: fn(u32) -> Option<String>) -> Option<Reader> {
    let (questions, inbox) = channel::<u32>();
    let (outbox, answers) = channel();
    let answer = move || {
        for pid in inbox {
            if outbox.send((pid, read(pid))).is_err() {
                return;
            }
        }
    };
    thread::Builder::new().name("tracer-cmdline".into()).spawn(answer).ok()?;
    Some(Reader { questions, answers })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_cannot_be_read_keeps_nobody_waiting() {
        fn hangs(pid: u32) -> Option<String> {
            if pid == 1 {
                thread::park();
            }
            (pid != 1).then(|| "read".to_owned())
        }
        let mut lines = CommandLines { reader: start(hangs), known: HashMap::new() };
        let begun = Instant::now();
        assert_eq!([lines.get(1), lines.get(2), lines.get(1)], [None, None, None]);
        assert!(begun.elapsed() < Duration::from_secs(1));
    }

    #[test]
    fn a_line_is_known_once_it_has_been_read() {
        let reader = start(|pid| Some(format!("line of {pid}")));
        let mut lines = CommandLines { reader, known: HashMap::new() };
        let begun = Instant::now();
        let line = loop {
            if let Some(line) = lines.get(7) {
                break line;
            }
            assert!(begun.elapsed() < Duration::from_secs(60));
            thread::yield_now();
        };
        assert_eq!(line, "line of 7");
    }
}
