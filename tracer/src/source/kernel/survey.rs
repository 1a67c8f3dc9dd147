//! Reads sockets and counters of all network namespaces, on a thread of its own: entering a namespace
//! changes the thread, and takes privileges that the others have given up.

use std::{
    collections::{HashMap, HashSet},
    io,
    path::Path,
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::Duration,
};

use caps::Capability;
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::oneshot;
use tracer_common::Event;

use crate::{
    facts::{
        counts::CountersByNetns,
        snapshot::{Snapshot, TimewaitSample},
    },
    source::kernel::{
        clock::monotonic_ns,
        namespaces, privileges,
        sockets::{Error, Sockets},
    },
};

/// A sample, and what it cost.
#[derive(Debug)]
pub struct Costly {
    /// The timewait sockets.
    pub sample: TimewaitSample,
    /// CPU time that it took.
    pub cost: Duration,
}

/// What sockets count by now, and what it cost to look.
#[derive(Debug)]
pub struct Refresh {
    /// The full sockets of all namespaces that can be entered, without holders.
    pub sockets: Vec<Event>,
    /// CPU time that it took.
    pub cost: Duration,
}

enum Question {
    Snapshot(oneshot::Sender<Result<Snapshot, Error>>),
    Timewait(HashSet<u32>, oneshot::Sender<Result<Costly, Error>>),
    Counters(oneshot::Sender<CountersByNetns>),
    Refresh(oneshot::Sender<Result<Refresh, Error>>),
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
            let home = namespaces::here();
            Surveyor { sockets, home, here: home, paths: HashMap::new() }.answer(&inbox);
        })?;
        Ok(Self { questions })
    }

    /// Asks for all sockets.
    #[must_use]
    pub fn snapshot(&self) -> oneshot::Receiver<Result<Snapshot, Error>> {
        let (answer, receiver) = oneshot::channel();
        self.ask(Question::Snapshot(answer), receiver)
    }

    /// Asks for the timewait sockets of these namespaces.
    #[must_use]
    pub fn timewait(&self, netns: HashSet<u32>) -> oneshot::Receiver<Result<Costly, Error>> {
        let (answer, receiver) = oneshot::channel();
        self.ask(Question::Timewait(netns, answer), receiver)
    }

    /// Asks for the kernel's counters of all namespaces.
    #[must_use]
    pub fn counters(&self) -> oneshot::Receiver<CountersByNetns> {
        let (answer, receiver) = oneshot::channel();
        self.ask(Question::Counters(answer), receiver)
    }

    /// Asks for all full sockets, without their holders.
    #[must_use]
    pub fn refresh(&self) -> oneshot::Receiver<Result<Refresh, Error>> {
        let (answer, receiver) = oneshot::channel();
        self.ask(Question::Refresh(answer), receiver)
    }

    /// If the thread is gone the receiver hears that its sender is.
    fn ask<T>(&self, question: Question, receiver: oneshot::Receiver<T>) -> oneshot::Receiver<T> {
        let _ = self.questions.send(question);
        receiver
    }
}

struct Surveyor {
    sockets: Sockets,
    /// The namespace that the tracer was started in.
    home: Option<u32>,
    /// The one that this thread is in.
    here: Option<u32>,
    paths: HashMap<u32, std::path::PathBuf>,
}

impl Surveyor {
    fn answer(&mut self, inbox: &Receiver<Question>) {
        // Whoever asked may have stopped listening: then nobody wants the answer.
        for question in inbox {
            match question {
                Question::Snapshot(answer) => _ = answer.send(self.snapshot()),
                Question::Timewait(netns, answer) => _ = answer.send(self.timewait(netns)),
                Question::Counters(answer) => _ = answer.send(self.counters()),
                Question::Refresh(answer) => _ = answer.send(self.refresh()),
            }
            // A thread that stays keeps the namespace, and what is in it, alive.
            self.go_home();
        }
    }

    fn snapshot(&mut self) -> Result<Snapshot, Error> {
        let mut snapshot = Snapshot::default();
        snapshot.during_ns.0 = monotonic_ns();
        self.paths = namespaces::all();
        for (inum, path) in &self.paths {
            if !go(&mut self.here, *inum, path) {
                snapshot.unreached.insert(*inum);
                continue;
            }
            snapshot.sockets.append(&mut self.sockets.sockets()?);
            snapshot.netns.insert(*inum);
        }
        snapshot.holders = self.sockets.holders(&snapshot.sockets)?;
        snapshot.during_ns.1 = monotonic_ns();
        Ok(snapshot)
    }

    fn refresh(&mut self) -> Result<Refresh, Error> {
        let begun = cpu_time();
        let mut sockets = Vec::new();
        self.paths = namespaces::all();
        for (inum, path) in &self.paths {
            if go(&mut self.here, *inum, path) {
                sockets.append(&mut self.sockets.live()?);
            }
        }
        Ok(Refresh { sockets, cost: cpu_time().saturating_sub(begun) })
    }

    fn timewait(&mut self, netns: HashSet<u32>) -> Result<Costly, Error> {
        let begun = cpu_time();
        if netns.iter().any(|inum| !self.go(*inum)) {
            self.paths = namespaces::all();
        }
        let mut sample = TimewaitSample { from_ns: monotonic_ns(), ..TimewaitSample::default() };
        for inum in netns {
            if self.go(inum) {
                sample.sockets.append(&mut self.sockets.timewait()?);
                sample.netns.insert(inum);
                sample
                    .fin_timeout_ns
                    .extend(namespaces::fin_timeout_ns().map(|timeout_ns| (inum, timeout_ns)));
            } else {
                sample.gone.insert(inum);
            }
        }
        Ok(Costly { sample, cost: cpu_time().saturating_sub(begun) })
    }

    fn go_home(&mut self) {
        if let Some(home) = self.home {
            // The process's first thread never leaves it.
            let path = format!("/proc/{}/ns/net", std::process::id());
            go(&mut self.here, home, Path::new(&path));
        }
    }

    /// Goes there.
    fn go(&mut self, inum: u32) -> bool {
        let is_here = self.here == Some(inum);
        is_here || self.paths.get(&inum).is_some_and(|path| go(&mut self.here, inum, path))
    }

    fn counters(&mut self) -> CountersByNetns {
        self.paths = namespaces::all();
        let mut counters = CountersByNetns::new();
        for (inum, path) in &self.paths {
            if go(&mut self.here, *inum, path)
                && let Ok(read) = namespaces::counters()
            {
                counters.insert(*inum, read);
            }
        }
        counters
    }
}

/// Goes into a namespace; to stay where one is takes no privilege.
fn go(here: &mut Option<u32>, inum: u32, path: &Path) -> bool {
    if *here != Some(inum) {
        if namespaces::enter(inum, path).is_err() {
            return false;
        }
        *here = Some(inum);
    }
    true
}

/// CPU time of this thread.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}
