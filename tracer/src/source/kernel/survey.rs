//! Looking at the sockets of all network namespaces, on a thread of its own: going into a
//! namespace changes the thread, and takes privileges that the others have given up.

use std::{
    collections::{HashMap, HashSet},
    io,
    ops::RangeInclusive,
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::Duration,
};

use caps::Capability;
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::oneshot;
use tracer_common::Event;

use crate::{
    clock::monotonic_ns,
    source::kernel::{
        namespaces, privileges,
        sockets::{Error, Sockets},
    },
    track::{Sample, tally::Counts},
};

/// All sockets that there are.
#[derive(Debug, Default)]
pub struct Census {
    /// When it began and ended.
    pub during_ns: (u64, u64),
    /// Sockets of all namespaces that could be entered.
    pub sockets: Vec<Event>,
    /// Sockets that processes hold, once for each, in whichever namespace.
    pub holders: Vec<Event>,
    /// The namespaces that were looked into.
    pub netns: HashSet<u32>,
    /// How many could not be.
    pub unreached: usize,
}

/// The kernel's counters of a namespace, and during which time they were read.
pub type Counters = HashMap<u32, (Counts, RangeInclusive<u64>)>;

/// A sample, and what it cost.
#[derive(Debug)]
pub struct Costly {
    /// The timewait sockets.
    pub sample: Sample,
    /// CPU time that it took.
    pub cost: Duration,
}

enum Question {
    Census(oneshot::Sender<Result<Census, Error>>),
    Waiting(HashSet<u32>, oneshot::Sender<Result<Costly, Error>>),
    Counters(oneshot::Sender<Counters>),
}

/// The way to the thread.
pub struct Survey {
    questions: Sender<Question>,
}

impl Survey {
    /// Starts the thread. It inherits the privileges of the one that calls this, and keeps those
    /// that it needs.
    pub fn start(sockets: Sockets, kept: &'static [Capability]) -> io::Result<Self> {
        let (questions, inbox) = channel();
        thread::Builder::new().name("tracer-survey".into()).spawn(move || {
            // With too many privileges it works as well; nobody outside can reach it.
            if let Err(error) = privileges::drop_all_but(kept) {
                log::warn!("{error}");
            }
            Surveyor { sockets, paths: HashMap::new() }.answer(&inbox);
        })?;
        Ok(Self { questions })
    }

    /// Asks for all sockets.
    #[must_use]
    pub fn census(&self) -> oneshot::Receiver<Result<Census, Error>> {
        let (answer, receiver) = oneshot::channel();
        self.ask(Question::Census(answer), receiver)
    }

    /// Asks for the timewait sockets of these namespaces.
    #[must_use]
    pub fn waiting(&self, netns: HashSet<u32>) -> oneshot::Receiver<Result<Costly, Error>> {
        let (answer, receiver) = oneshot::channel();
        self.ask(Question::Waiting(netns, answer), receiver)
    }

    /// Asks for the kernel's counters of all namespaces.
    #[must_use]
    pub fn counters(&self) -> oneshot::Receiver<Counters> {
        let (answer, receiver) = oneshot::channel();
        self.ask(Question::Counters(answer), receiver)
    }

    /// If the thread is gone the receiver hears that its sender is.
    fn ask<T>(&self, question: Question, receiver: oneshot::Receiver<T>) -> oneshot::Receiver<T> {
        let _ = self.questions.send(question);
        receiver
    }
}

struct Surveyor {
    sockets: Sockets,
    paths: HashMap<u32, std::path::PathBuf>,
}

impl Surveyor {
    fn answer(&mut self, inbox: &Receiver<Question>) {
        // Whoever asked may have stopped listening: then nobody wants the answer.
        for question in inbox {
            match question {
                Question::Census(answer) => _ = answer.send(self.census()),
                Question::Waiting(netns, answer) => _ = answer.send(self.waiting(netns)),
                Question::Counters(answer) => _ = answer.send(self.counters()),
            }
        }
    }

    fn census(&mut self) -> Result<Census, Error> {
        let mut census = Census::default();
        census.during_ns.0 = monotonic_ns();
        self.paths = namespaces::all();
        for (inum, path) in &self.paths {
            if namespaces::enter(*inum, path).is_err() {
                census.unreached += 1;
                continue;
            }
            census.sockets.append(&mut self.sockets.sockets()?);
            census.netns.insert(*inum);
        }
        if census.netns.is_empty() {
            // Without the privilege to enter any, there is still the one that we are in.
            census.sockets = self.sockets.sockets()?;
        }
        census.holders = self.sockets.holders()?;
        census.during_ns.1 = monotonic_ns();
        Ok(census)
    }

    fn waiting(&mut self, netns: HashSet<u32>) -> Result<Costly, Error> {
        let begun = cpu_time();
        if netns.iter().any(|inum| !self.can_enter(*inum)) {
            self.paths = namespaces::all();
        }
        let mut sample = Sample { from_ns: monotonic_ns(), ..Sample::default() };
        for inum in netns {
            if self.can_enter(inum) {
                sample.sockets.append(&mut self.sockets.waiting()?);
                sample.netns.insert(inum);
                sample
                    .fin_timeout_ns
                    .extend(namespaces::fin_timeout_ns().map(|timeout_ns| (inum, timeout_ns)));
            } else if !self.paths.contains_key(&inum) {
                sample.gone.insert(inum);
            }
        }
        Ok(Costly { sample, cost: cpu_time().saturating_sub(begun) })
    }

    /// Goes there.
    fn can_enter(&self, inum: u32) -> bool {
        self.paths.get(&inum).is_some_and(|path| namespaces::enter(inum, path).is_ok())
    }

    fn counters(&mut self) -> Counters {
        self.paths = namespaces::all();
        let mut counters = Counters::new();
        for (inum, path) in &self.paths {
            if namespaces::enter(*inum, path).is_ok()
                && let Ok(read) = namespaces::counters()
            {
                counters.insert(*inum, read);
            }
        }
        counters
    }
}

/// CPU time of this thread.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}
