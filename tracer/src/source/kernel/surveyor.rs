//! What the survey thread does: it visits network namespaces, and looks for who holds their sockets.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::Receiver,
    },
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};
use tracer_common::Event;

use crate::{
    facts::{
        counts::CountersByNetns,
        holders::Holders,
        interfaces::{DeviceKey, Interfaces},
        snapshot::{Snapshot, TimewaitSample},
    },
    source::kernel::{
        clock::monotonic_ns,
        devices,
        gauges::GaugeTour,
        namespaces, processes,
        sockets::{Error, Sockets},
        survey::{GaugePoll, HolderSearch, Question, Refresh, TimewaitPoll, Tour},
        whereabouts::Whereabouts,
    },
    tcp::{endpoint::Tuple, netns::NetnsId},
};

/// How long namespaces are visited for one answer, and how long a snapshot searches processes, in CPU time of this
/// thread. Users without privileges can make thousands of namespaces, and have millions of files open.
const VISITS: Duration = Duration::from_secs(1);

/// The same by the clock, on a host that has no CPU time left.
const LONGEST: Duration = Duration::from_secs(3);

/// Answers the questions to the survey thread.
pub(super) struct Surveyor {
    sockets: Sockets,
    at: Whereabouts,
    /// The capture ends: what is asked from now on is wanted soon.
    is_ending: Arc<AtomicBool>,
    /// The namespaces whose sockets are still to be listed.
    unvisited: Vec<u32>,
    /// A socket is held that had no cookie when its holders were searched.
    lacks_cookies: bool,
    /// The namespaces whose full sockets are still to be looked at, before all are looked at again.
    unrefreshed: Vec<u32>,
    gauges: GaugeTour,
}

/// The time for one answer.
struct Time {
    deadline: Instant,
    /// The same in CPU time of the thread.
    cpu_deadline: Duration,
    /// At the end of a capture only its counters are waited for.
    is_over: Option<Arc<AtomicBool>>,
}

impl Time {
    fn is_left(&self) -> bool {
        let is_over = self.is_over.as_ref().is_some_and(|is_over| is_over.load(Ordering::Relaxed));
        Instant::now() < self.deadline && cpu_time() < self.cpu_deadline && !is_over
    }

    /// The next one of these, if there is time for it.
    fn next<T>(&self, left: &mut Vec<T>) -> Option<T> {
        if self.is_left() { left.pop() } else { None }
    }
}

impl Surveyor {
    /// Nothing is visited before the first question.
    pub(super) fn new(sockets: Sockets, at: Whereabouts, is_ending: Arc<AtomicBool>) -> Self {
        Self {
            sockets,
            at,
            is_ending,
            unvisited: Vec::new(),
            lacks_cookies: false,
            unrefreshed: Vec::new(),
            gauges: GaugeTour::default(),
        }
    }

    /// Answers questions until nobody can ask any more.
    pub(super) fn answer(&mut self, inbox: &Receiver<Question>) {
        // Sending fails if nobody waits for the answer any more.
        for question in inbox {
            match question {
                Question::Snapshot(tour, answer) => _ = answer.send(self.snapshot(tour)),
                Question::Timewait(netns, answer) => _ = answer.send(self.timewait(netns)),
                Question::Counters(answer) => _ = answer.send(self.counters()),
                Question::Holders(answer) => _ = answer.send(self.holders()),
                Question::Interfaces(devices, answer) => _ = answer.send(Ok(self.interfaces(&devices))),
                Question::Refresh(answer) => _ = answer.send(self.refresh()),
                Question::Listeners(answer) => _ = answer.send(self.listeners()),
                Question::Gauges(answer) => _ = answer.send(Ok(self.gauges())),
            }
            self.at.return_home();
        }
    }

    fn time(&self) -> Time {
        let (deadline, cpu_deadline) = (Instant::now() + LONGEST, cpu_time() + VISITS);
        Time { deadline, cpu_deadline, is_over: Some(Arc::clone(&self.is_ending)) }
    }

    fn snapshot(&mut self, tour: Tour) -> Result<Snapshot, Error> {
        let mut snapshot = Snapshot::default();
        snapshot.during_ns.0 = monotonic_ns();
        self.at.find();
        match tour {
            // Once for all: it is a search through all processes, whose holders are asked for again anyway.
            Tour::New => self.begin_tour(&mut snapshot)?,
            // Some may be gone since the last tour.
            Tour::Rest => self.unvisited.retain(|inum| self.at.knows(*inum)),
        }
        let time = self.time();
        while let Some(inum) = time.next(&mut self.unvisited) {
            let is_listed = self.at.enter(inum) && self.list_sockets(inum, &mut snapshot)?;
            let visited = if is_listed { &mut snapshot.netns } else { &mut snapshot.unreached };
            visited.insert(inum);
        }
        snapshot.unvisited = self.unvisited.len();
        snapshot.is_part = tour == Tour::Rest || snapshot.unvisited > 0;
        // The first subflow of an MPTCP socket may get its cookie only when it is listed.
        self.lacks_cookies |= snapshot.holders.iter().any(|holder| holder.cookie == 0);
        if self.lacks_cookies {
            self.search_holders(&mut snapshot)?;
            self.lacks_cookies = snapshot.unvisited > 0;
        }
        self.sockets.complete(&mut snapshot.holders, &mut snapshot.sockets);
        snapshot.during_ns.1 = monotonic_ns();
        Ok(snapshot)
    }

    /// Searches for holders. Their namespaces come first.
    fn begin_tour(&mut self, snapshot: &mut Snapshot) -> Result<(), Error> {
        self.search_holders(snapshot)?;
        self.unvisited = self.at.order(&snapshot.holders.iter().map(|held| held.netns).collect());
        Ok(())
    }

    fn search_holders(&mut self, snapshot: &mut Snapshot) -> Result<(), Error> {
        let time = self.time();
        snapshot.holders_ns.0 = monotonic_ns();
        let held = self.sockets.holders(|| time.is_left())?;
        snapshot.holders_ns.1 = monotonic_ns();
        snapshot.holders = held.records;
        snapshot.holders_are_cut_off = held.is_cut_off;
        snapshot.knows_all_holders = processes::sees_all();
        Ok(())
    }

    /// Lists the sockets of the namespace that the thread is in. Returns whether that could be done: the holders that were
    /// found before are of use without them.
    fn list_sockets(&mut self, inum: u32, snapshot: &mut Snapshot) -> Result<bool, Error> {
        let listed = if namespaces::has_sockets() { self.sockets.sockets(inum) } else { Ok(Vec::new()) };
        let mut sockets = match listed {
            Err(error @ Error::Diag { .. }) => {
                log::warn!("{error}");
                return Ok(false);
            }
            listed => listed?,
        };
        let bound = sockets.iter().filter(|socket| socket.ifindex != 0);
        for device in bound.map(|socket| DeviceKey::of(&Tuple::of(socket))).collect::<HashSet<_>>() {
            if let Some(name) = devices::name(device.ifindex) {
                snapshot.interfaces.insert(device, name);
            }
        }
        snapshot.sockets.append(&mut sockets);
        Ok(true)
    }

    fn holders(&mut self) -> Result<HolderSearch, Error> {
        let (begun, begun_ns) = (cpu_time(), monotonic_ns());
        let found = self.sockets.holding(|| !self.is_ending.load(Ordering::Relaxed))?;
        let is_complete = !found.is_cut_off && processes::sees_all();
        // A part says of no socket that it has all of its holders.
        let records = if found.is_cut_off { Vec::new() } else { found.records };
        let holders = Holders::new((begun_ns, monotonic_ns()), records, is_complete);
        Ok(HolderSearch { holders, cost: cpu_time().saturating_sub(begun) })
    }

    fn interfaces(&mut self, wanted: &HashSet<DeviceKey>) -> Interfaces {
        if wanted.iter().any(|device| !self.at.enter(device.netns)) {
            self.at.find();
        }
        let mut interfaces = Interfaces::default();
        for device in wanted {
            if self.at.enter_only(device.netns_id())
                && let Some(name) = devices::name(device.ifindex)
            {
                interfaces.insert(*device, name);
            }
        }
        interfaces
    }

    fn refresh(&mut self) -> Result<Refresh, Error> {
        let begun = cpu_time();
        let is_rest = !self.unrefreshed.is_empty();
        if !is_rest {
            self.unrefreshed = self.at.asked_for(true);
        }
        let mut unvisited = std::mem::take(&mut self.unrefreshed);
        let sockets = self.list(&mut unvisited, Sockets::live);
        self.unrefreshed = unvisited;
        let is_part = is_rest || !self.unrefreshed.is_empty();
        Ok(Refresh { sockets: sockets?, is_part, cost: cpu_time().saturating_sub(begun) })
    }

    /// The listeners of the namespaces that were found last.
    fn listeners(&mut self) -> Result<Refresh, Error> {
        let begun = cpu_time();
        let mut unvisited = self.at.asked_for(false);
        let sockets = self.list(&mut unvisited, Sockets::listening)?;
        Ok(Refresh { sockets, is_part: !unvisited.is_empty(), cost: cpu_time().saturating_sub(begun) })
    }

    /// Lists sockets of these namespaces, as far as there is time, and takes those from `unvisited`.
    fn list(
        &mut self,
        unvisited: &mut Vec<u32>,
        list: fn(&mut Sockets, u32) -> Result<Vec<Event>, Error>,
    ) -> Result<Vec<Event>, Error> {
        let (time, mut sockets) = (self.time(), Vec::new());
        while let Some(inum) = time.next(unvisited) {
            if self.at.enter(inum) && namespaces::has_sockets() {
                sockets.append(&mut list(&mut self.sockets, inum)?);
            }
        }
        Ok(sockets)
    }

    /// Also at the end of a capture, which wants the last ones. Namespaces without sockets have gauges, too: connects
    /// that find no route leave none.
    fn gauges(&mut self) -> GaugePoll {
        let begun = cpu_time();
        if self.gauges.is_over() {
            self.gauges.begin(self.at.asked_for(true));
        }
        let gauges = self.gauges.go_on(|inum| self.at.enter(inum));
        GaugePoll { gauges, cost: cpu_time().saturating_sub(begun) }
    }

    fn timewait(&mut self, netns: HashSet<NetnsId>) -> Result<TimewaitPoll, Error> {
        let begun = cpu_time();
        if netns.iter().any(|netns| !self.at.enter(netns.inum)) {
            self.at.find();
        }
        let mut sample = TimewaitSample { from_ns: monotonic_ns(), ..TimewaitSample::default() };
        // Those for which there is no time have another chance the next time: the order of a set changes.
        let (time, mut left) = (self.time(), netns.into_iter().collect());
        while let Some(netns) = time.next(&mut left) {
            if self.at.enter_only(netns) {
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

    fn counters(&mut self) -> CountersByNetns {
        self.at.find();
        let mut counters = CountersByNetns::default();
        let mut unread = self.at.order(&HashSet::new());
        let time = Time { is_over: None, ..self.time() };
        while let Some(inum) = time.next(&mut unread) {
            if self.at.enter(inum)
                && let Ok(read) = namespaces::counters()
            {
                counters.read.insert(inum, read);
            }
        }
        counters.unread = unread.into_iter().collect();
        counters
    }
}

/// The CPU time of this thread.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}
