//! Reading sockets and counters of all network namespaces, on a separate thread. Entering a namespace moves
//! the whole thread, and needs capabilities that the other threads have given up.

use std::{
    collections::{HashMap, HashSet},
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

use caps::Capability;
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::oneshot;
use tracer_common::Event;

use crate::{
    facts::{
        counts::CountersByNetns,
        gauges::Gauges,
        holders::Holders,
        interfaces::{DeviceKey, Interfaces},
        snapshot::{Snapshot, TimewaitSample},
    },
    source::kernel::{
        clock::monotonic_ns,
        devices,
        gauges::GaugeTour,
        namespaces, privileges, processes,
        sockets::{Error, Sockets},
    },
    tcp::{
        endpoint::Tuple,
        netns::{NetnsId, NetnsIds},
    },
};

/// How long namespaces are visited for one answer. Users without privileges can make thousands of them.
const VISITS: Duration = Duration::from_secs(1);

/// Up to this many namespaces are visited in any order.
const FEW: usize = 64;

/// Which namespaces to list the sockets of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tour {
    /// All.
    New,
    /// Those for which there was no time before.
    Rest,
}

/// A sample of timewait sockets, and its cost.
#[derive(Debug)]
pub struct TimewaitPoll {
    /// The timewait sockets.
    pub sample: TimewaitSample,
    /// The CPU time that it took.
    pub cost: Duration,
}

/// The counters of full sockets, and what reading them cost.
#[derive(Debug)]
pub struct Refresh {
    /// The full sockets of all namespaces that can be entered, without holders.
    pub sockets: Vec<Event>,
    /// The CPU time that it took.
    pub cost: Duration,
}

/// Gauges of namespaces, and what reading them cost.
#[derive(Debug)]
pub struct GaugePoll {
    /// Those that are known.
    pub gauges: Gauges,
    /// The CPU time that it took.
    pub cost: Duration,
}

/// Who holds which sockets, and what the search cost.
#[derive(Debug)]
pub struct HolderSearch {
    /// The holders.
    pub holders: Holders,
    /// The CPU time that it took.
    pub cost: Duration,
}

enum Question {
    Snapshot(Tour, oneshot::Sender<Result<Snapshot, Error>>),
    Timewait(HashSet<NetnsId>, oneshot::Sender<Result<TimewaitPoll, Error>>),
    Counters(oneshot::Sender<CountersByNetns>),
    Holders(oneshot::Sender<Result<HolderSearch, Error>>),
    Interfaces(HashSet<DeviceKey>, oneshot::Sender<Result<Interfaces, Error>>),
    Refresh(oneshot::Sender<Result<Refresh, Error>>),
    Gauges(oneshot::Sender<Result<GaugePoll, Error>>),
}

/// Sends questions to the survey thread.
pub struct Survey {
    questions: Sender<Question>,
    is_ending: Arc<AtomicBool>,
}

impl Survey {
    /// Starts the thread. It inherits the caller's capabilities, and gives up all but those in `kept`.
    pub fn start(
        sockets: Sockets,
        kept: &'static [Capability],
        given: Vec<PathBuf>,
        asked_for: NetnsIds,
    ) -> io::Result<Self> {
        let (questions, inbox) = channel();
        let is_ending = Arc::<AtomicBool>::default();
        let ending = Arc::clone(&is_ending);
        thread::Builder::new().name("tracer-survey".into()).spawn(move || {
            // The thread also works with more capabilities, so this is only a warning.
            if let Err(error) = privileges::drop_all_but(kept) {
                log::warn!("{error}");
            }
            let home = namespaces::current();
            let mut surveyor = Surveyor {
                sockets,
                given,
                asked_for,
                is_ending: ending,
                home,
                current: home,
                paths: HashMap::new(),
                unvisited: Vec::new(),
                unrefreshed: Vec::new(),
                gauges: GaugeTour::default(),
            };
            surveyor.answer(&inbox);
        })?;
        Ok(Self { questions, is_ending })
    }

    /// The capture ends: visits that are under way end soon.
    pub fn hurry(&self) {
        self.is_ending.store(true, Ordering::Relaxed);
    }

    /// Asks for the sockets of all namespaces, as far as there is time.
    #[must_use]
    pub fn snapshot(&self, tour: Tour) -> oneshot::Receiver<Result<Snapshot, Error>> {
        let (answer, receiver) = oneshot::channel();
        self.ask(Question::Snapshot(tour, answer), receiver)
    }

    /// Asks for the timewait sockets of these namespaces.
    #[must_use]
    pub fn timewait(&self, netns: HashSet<NetnsId>) -> oneshot::Receiver<Result<TimewaitPoll, Error>> {
        let (answer, receiver) = oneshot::channel();
        self.ask(Question::Timewait(netns, answer), receiver)
    }

    /// Asks for the kernel's counters of all namespaces, as far as there is time.
    #[must_use]
    pub fn counters(&self) -> oneshot::Receiver<CountersByNetns> {
        let (answer, receiver) = oneshot::channel();
        self.ask(Question::Counters(answer), receiver)
    }

    /// Asks who holds which sockets.
    #[must_use]
    pub fn holders(&self) -> oneshot::Receiver<Result<HolderSearch, Error>> {
        let (answer, receiver) = oneshot::channel();
        self.ask(Question::Holders(answer), receiver)
    }

    /// Asks for the names of devices.
    #[must_use]
    pub fn interfaces(&self, devices: HashSet<DeviceKey>) -> oneshot::Receiver<Result<Interfaces, Error>> {
        let (answer, receiver) = oneshot::channel();
        self.ask(Question::Interfaces(devices, answer), receiver)
    }

    /// Asks for all full sockets, without their holders.
    #[must_use]
    pub fn refresh(&self) -> oneshot::Receiver<Result<Refresh, Error>> {
        let (answer, receiver) = oneshot::channel();
        self.ask(Question::Refresh(answer), receiver)
    }

    /// Asks for the gauges of all namespaces, as far as there is time.
    #[must_use]
    pub fn gauges(&self) -> oneshot::Receiver<Result<GaugePoll, Error>> {
        let (answer, receiver) = oneshot::channel();
        self.ask(Question::Gauges(answer), receiver)
    }

    /// Sends a question. If the thread has ended, the receiver reports that its sender is gone.
    fn ask<T>(&self, question: Question, receiver: oneshot::Receiver<T>) -> oneshot::Receiver<T> {
        let _ = self.questions.send(question);
        receiver
    }
}

struct Surveyor {
    sockets: Sockets,
    /// Paths of namespaces that the user gave.
    given: Vec<PathBuf>,
    /// The namespaces that the user asks for.
    asked_for: NetnsIds,
    /// The capture ends: what is asked from now on is wanted soon.
    is_ending: Arc<AtomicBool>,
    /// The namespace that the tracer was started in, by inode number.
    home: Option<u32>,
    /// The namespace that this thread is in.
    current: Option<u32>,
    paths: HashMap<u32, PathBuf>,
    /// The namespaces whose sockets are still to be listed.
    unvisited: Vec<u32>,
    /// The namespaces whose full sockets are still to be looked at, before all are looked at again.
    unrefreshed: Vec<u32>,
    gauges: GaugeTour,
}

impl Surveyor {
    fn answer(&mut self, inbox: &Receiver<Question>) {
        // Sending fails if nobody waits for the answer any more.
        for question in inbox {
            match question {
                Question::Snapshot(tour, answer) => _ = answer.send(self.snapshot(tour)),
                Question::Timewait(netns, answer) => _ = answer.send(self.timewait(netns)),
                Question::Counters(answer) => _ = answer.send(self.counters()),
                Question::Holders(answer) => _ = answer.send(self.holders()),
                Question::Interfaces(devices, answer) => _ = answer.send(Ok(self.interfaces(&devices))),
                Question::Refresh(answer) => _ = answer.send(self.refresh()),
                Question::Gauges(answer) => _ = answer.send(Ok(self.gauges())),
            }
            // While a thread is in a namespace, the kernel does not free it.
            self.return_home();
        }
    }

    fn snapshot(&mut self, tour: Tour) -> Result<Snapshot, Error> {
        let mut snapshot = Snapshot::default();
        snapshot.during_ns.0 = monotonic_ns();
        self.find();
        // Some may be gone since the last tour.
        self.unvisited.retain(|inum| self.paths.contains_key(inum));
        if tour == Tour::New {
            // With many namespaces: those with sockets first.
            let held = if self.paths.len() > FEW { self.sockets.holders(&[])? } else { Vec::new() };
            self.unvisited = self.order(&held.iter().map(|held| held.netns).collect());
        }
        let deadline = Instant::now() + VISITS;
        while self.has_time(deadline)
            && let Some(inum) = self.unvisited.pop()
        {
            if !self.enter(inum) {
                snapshot.unreached.insert(inum);
                continue;
            }
            let mut sockets = if namespaces::has_sockets() { self.sockets.sockets()? } else { Vec::new() };
            let bound = sockets.iter().filter(|socket| socket.ifindex != 0);
            for device in bound.map(|socket| DeviceKey::of(&Tuple::of(socket))).collect::<HashSet<_>>() {
                if let Some(name) = devices::name(device.ifindex) {
                    snapshot.interfaces.insert(device, name);
                }
            }
            snapshot.sockets.append(&mut sockets);
            snapshot.netns.insert(inum);
        }
        snapshot.unvisited = self.unvisited.len();
        snapshot.is_part = tour == Tour::Rest || snapshot.unvisited > 0;
        // Once for all: it is a search through all processes, whose holders are asked for again anyway.
        if tour == Tour::New {
            snapshot.holders = self.sockets.holders(&snapshot.sockets)?;
            snapshot.knows_all_holders = processes::sees_all();
        }
        snapshot.during_ns.1 = monotonic_ns();
        Ok(snapshot)
    }

    fn holders(&mut self) -> Result<HolderSearch, Error> {
        let (begun, begun_ns) = (cpu_time(), monotonic_ns());
        let found = self.sockets.holding()?;
        let holders = Holders::new((begun_ns, monotonic_ns()), found, processes::sees_all());
        Ok(HolderSearch { holders, cost: cpu_time().saturating_sub(begun) })
    }

    fn interfaces(&mut self, wanted: &HashSet<DeviceKey>) -> Interfaces {
        if wanted.iter().any(|device| !self.enter(device.netns)) {
            self.find();
        }
        let mut interfaces = Interfaces::default();
        for device in wanted {
            if self.enter_only(device.netns_id())
                && let Some(name) = devices::name(device.ifindex)
            {
                interfaces.insert(*device, name);
            }
        }
        interfaces
    }

    fn refresh(&mut self) -> Result<Refresh, Error> {
        let begun = cpu_time();
        let mut sockets = Vec::new();
        if self.unrefreshed.is_empty() {
            self.find();
            self.unrefreshed = self.order(&HashSet::new());
        }
        let deadline = Instant::now() + VISITS;
        while self.has_time(deadline)
            && let Some(inum) = self.unrefreshed.pop()
        {
            if self.enter(inum) && namespaces::has_sockets() {
                sockets.append(&mut self.sockets.live()?);
            }
        }
        Ok(Refresh { sockets, cost: cpu_time().saturating_sub(begun) })
    }

    /// Also at the end of a capture, which wants the last ones. Namespaces without sockets have gauges, too: connects
    /// that find no route leave none.
    fn gauges(&mut self) -> GaugePoll {
        let begun = cpu_time();
        if self.gauges.is_over() {
            self.find();
            self.gauges.begin(self.order(&HashSet::new()));
        }
        let Self { gauges, paths, current, .. } = self;
        let gauges = gauges.go_on(|inum| paths.get(&inum).is_some_and(|path| enter(current, inum, path)));
        GaugePoll { gauges, cost: cpu_time().saturating_sub(begun) }
    }

    fn timewait(&mut self, netns: HashSet<NetnsId>) -> Result<TimewaitPoll, Error> {
        let begun = cpu_time();
        if netns.iter().any(|netns| !self.enter(netns.inum)) {
            self.find();
        }
        let mut sample = TimewaitSample { from_ns: monotonic_ns(), ..TimewaitSample::default() };
        // Those for which there is no time have another chance the next time: the order of a set changes.
        let deadline = Instant::now() + VISITS;
        for netns in netns {
            if !self.has_time(deadline) {
                break;
            }
            if self.enter_only(netns) {
                sample.sockets.append(&mut self.sockets.timewait()?);
                sample.netns.insert(netns);
                sample
                    .fin_timeout_ns
                    .extend(namespaces::fin_timeout_ns().map(|timeout_ns| (netns, timeout_ns)));
            } else {
                sample.gone.insert(netns);
            }
        }
        Ok(TimewaitPoll { sample, cost: cpu_time().saturating_sub(begun) })
    }

    fn return_home(&mut self) {
        if let Some(home) = self.home {
            // The first thread of the process never leaves this namespace.
            let path = format!("/proc/{}/ns/net", std::process::id());
            enter(&mut self.current, home, Path::new(&path));
        }
    }

    /// Enters a namespace whose path is known. Returns whether the thread is in it.
    fn enter(&mut self, inum: u32) -> bool {
        let is_here = self.current == Some(inum);
        is_here || self.paths.get(&inum).is_some_and(|path| enter(&mut self.current, inum, path))
    }

    /// Enters this namespace. Returns whether the thread is in it, and not in another one that has its number now.
    fn enter_only(&mut self, netns: NetnsId) -> bool {
        self.enter(netns.inum) && netns.may_be(namespaces::here(netns.inum))
    }

    fn counters(&mut self) -> CountersByNetns {
        self.find();
        let mut counters = CountersByNetns::default();
        let mut unread = self.order(&HashSet::new());
        let deadline = Instant::now() + VISITS;
        while Instant::now() < deadline
            && let Some(inum) = unread.pop()
        {
            if self.enter(inum)
                && let Ok(read) = namespaces::counters()
            {
                counters.read.insert(inum, read);
            }
        }
        counters.unread = unread.into_iter().collect();
        counters
    }

    /// Finds the namespaces that are there.
    fn find(&mut self) {
        self.paths = namespaces::all(&self.given);
    }

    /// The namespaces that are known, the first one to visit last: the tracer's own, those that the user asks for, and
    /// those with sockets.
    fn order(&self, with_sockets: &HashSet<u32>) -> Vec<u32> {
        let mut order: Vec<_> = self.paths.keys().copied().collect();
        order.sort_unstable_by_key(|inum| {
            let is_asked_for = self.asked_for.contains(NetnsId::new(*inum, 0));
            (Some(*inum) == self.home, is_asked_for, with_sockets.contains(inum))
        });
        order
    }

    /// Whether there is time for another namespace. At the end of a capture only its counters are waited for.
    fn has_time(&self, deadline: Instant) -> bool {
        Instant::now() < deadline && !self.is_ending.load(Ordering::Relaxed)
    }
}

/// Enters a namespace, unless the thread is in it already. Returns whether it is.
fn enter(current: &mut Option<u32>, inum: u32, path: &Path) -> bool {
    if *current != Some(inum) {
        if namespaces::enter(inum, path).is_err() {
            return false;
        }
        *current = Some(inum);
    }
    true
}

/// The CPU time of this thread.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}
