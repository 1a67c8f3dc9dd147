//! The running kernel as a [`Source`].

use std::{
    collections::{HashSet, VecDeque},
    time::Duration,
};

use caps::Capability;
use tokio::{sync::oneshot, time::timeout};
use tracer_common::{Event, helper::Helper};

use crate::{
    facts::{
        Batch, Fact,
        counts::CountersByNetns,
        interfaces::DeviceKey,
        kernel::KernelInfo,
        losses::{Losses, SourceTotals},
        names::{FilterNames, Names},
        snapshot::Snapshot,
        source_counts::SourceCounts,
    },
    filter::Filter,
    source::{
        Demand, Error, Source,
        kernel::{
            self,
            clock::{self, WallClock, monotonic_ns},
            devices::{Devices, Lookup},
            held::{HeldFact, HeldFacts},
            load::{self, Attached, LoadOptions},
            names::HostNames,
            polling::{Answer, Polling},
            privileges, processes,
            rings::Rings,
            sockets,
            survey::{Survey, Tour},
        },
        late_data::LateData,
        older::Older,
    },
    tcp::endpoint::Tuple,
    text::STARTING_A_THREAD,
};

/// How long to wait for the kernel's counters at the end.
const LAST_COUNTERS: Duration = Duration::from_secs(3);

/// How long to wait for the last gauges after that.
const LAST_GAUGES: Duration = Duration::from_secs(1);

/// What the survey thread keeps. Entering namespaces needs CAP_SYS_ADMIN; seeing those of other users'
/// processes needs CAP_SYS_PTRACE.
const FOR_NAMESPACES: &[Capability] =
    &[Capability::CAP_SYS_ADMIN, Capability::CAP_SYS_PTRACE, Capability::CAP_BPF, Capability::CAP_PERFMON];

/// Options of a [`Live`] source.
#[derive(Clone, Debug)]
pub struct LiveOptions {
    /// Options of the kernel program. Its filter lacks the namespaces that are named below.
    pub load: LoadOptions,
    /// The names in the filters.
    pub names: FilterNames,
    /// Whether to take a snapshot of the sockets that exist at the start.
    pub takes_snapshot: bool,
    /// Whether to sample timewait sockets.
    pub follows_timewait: bool,
    /// Whether to poll the counters of full sockets.
    pub refreshes: bool,
    /// Whether to poll the gauges of namespaces.
    pub gauges: bool,
}

/// The running kernel as a source of facts.
pub struct Live {
    kernel: KernelInfo,
    rings: Rings,
    polling: Option<Polling>,
    older: Older,
    /// `None` with `--raw`, which shows what the tracepoints report.
    late_data: Option<LateData>,
    names: HostNames,
    clock: WallClock,
    losses: Losses,
    takes_snapshot: bool,
    /// The namespaces whose counters were read at the start, by inode number.
    netns_at_start: HashSet<u32>,
    stage: Stage,
    /// Facts that are known and not taken yet.
    queue: VecDeque<Fact>,
    held: HeldFacts,
    /// This process, by the number that events have; `None` if that is not known.
    own_pid: Option<u32>,
    /// Network devices whose names were asked for.
    devices: Devices,
    /// Memory of a batch, to be used again.
    spare: Vec<Event>,
}

/// The stages of a capture.
enum Stage {
    /// Waits for the kernel's counters.
    Counters(oneshot::Receiver<CountersByNetns>),
    /// Waits for the first snapshot.
    Snapshot(oneshot::Receiver<Result<Snapshot, sockets::Error>>),
    /// Everything that comes before the first events is known.
    Ready,
    /// Reads events.
    Flow,
    /// Was asked to stop: reads the counters once more.
    LastCounters,
    /// Reads the events up to the moment at which the programs are detached.
    Rest { is_detached: bool },
    /// No more facts.
    End,
}

impl Live {
    /// Loads and attaches the programs, starts the survey thread, and gives up this thread's capabilities. Must
    /// run in a tokio runtime.
    pub fn open(options: &LiveOptions) -> Result<Self, Error> {
        // Before anything is loaded: a wrong name is told to users without privileges, too.
        let mut names = HostNames::default();
        let netns = options.names.resolve(&mut names)?.netns;
        let filter = Filter { netns, ..options.load.filter.clone() };
        let asked_for = filter.netns.clone();
        let mut attached = load::load(&LoadOptions { filter, ..options.load.clone() })?;
        let survey = attached
            .sockets
            .take()
            .map(|sockets| Survey::start(sockets, FOR_NAMESPACES, options.names.paths(), asked_for));
        let survey = survey.transpose().map_err(Error::system(STARTING_A_THREAD))?;
        if let Some(cgroups) = attached.cgroups.take() {
            names.hear_of_cgroups(cgroups);
        }
        privileges::drop_after_loading()?;
        Self::new(attached, survey, names, options)
    }

    fn new(
        mut attached: Attached,
        survey: Option<Survey>,
        names: HostNames,
        options: &LiveOptions,
    ) -> Result<Self, Error> {
        let has_cookies = attached.layout.has(Helper::SocketCookie);
        let kernel = KernelInfo {
            absent: attached.layout.absent(),
            has_cookies,
            tick_ns: clock::tick_ns(),
            has_holders: survey.is_some(),
            reset_reasons: std::mem::take(&mut attached.reset_reasons),
            hooks: std::mem::take(&mut attached.hooks),
        };
        // Only the cookie relates a timewait socket to its connection.
        let samples = options.follows_timewait && has_cookies;
        let polling = survey.map(|survey| Polling::new(survey, samples, options.refreshes, options.gauges));
        let counters = polling.as_ref().map(|polling| polling.survey().counters());
        let mut clock = WallClock::default();
        Ok(Self {
            queue: clock.if_changed().map(Fact::Clock).into_iter().collect(),
            clock,
            older: Older::new(options.load.asks_for_sockets, has_cookies),
            late_data: options.load.asks_for_sockets.then(LateData::default),
            rings: Rings::new(attached).map_err(kernel::error::Error::reading)?,
            kernel,
            stage: counters.map_or(Stage::Ready, Stage::Counters),
            polling,
            takes_snapshot: options.takes_snapshot,
            names,
            losses: Losses::NONE,
            held: HeldFacts::default(),
            netns_at_start: HashSet::new(),
            own_pid: processes::sees_all().then(std::process::id),
            devices: Devices::default(),
            spare: Vec::new(),
        })
    }

    /// The first snapshot, if one is wanted.
    fn first_snapshot(&self) -> Stage {
        match &self.polling {
            Some(polling) if self.takes_snapshot => Stage::Snapshot(polling.survey().snapshot(Tour::New)),
            _ => Stage::Ready,
        }
    }

    /// Does the next step of what comes before the first events.
    async fn start(&mut self) {
        match &mut self.stage {
            Stage::Counters(counters) => {
                let counters = counters.await.unwrap_or_default();
                self.netns_at_start = counters.read.keys().copied().collect();
                self.queue.push_back(Fact::CountersAtStart(counters));
                self.stage = self.first_snapshot();
            }
            Stage::Snapshot(snapshot) => {
                let answer = snapshot.await;
                self.stage = Stage::Ready;
                match answer {
                    Ok(Ok(mut snapshot)) => {
                        if let Some(polling) = &mut self.polling {
                            polling.ask_for_rest(&snapshot);
                        }
                        self.older.snapshot(&mut snapshot);
                        self.queue.push_back(Fact::Snapshot(snapshot));
                    }
                    Ok(Err(error)) => log::warn!("the sockets that exist already are not known: {error}"),
                    // The survey thread has ended.
                    Err(_) => {}
                }
            }
            _ => {
                self.queue.push_back(Fact::Ready(monotonic_ns()));
                self.stage = Stage::Flow;
            }
        }
    }

    /// Waits for events or an answer of the survey thread, or until something is due.
    async fn flow(&mut self, demand: Demand<'_>) -> Result<(), Error> {
        let held_ns = self.held.due_ns();
        // Nothing else is due before events that are held back.
        let undecided_ns = self.late_data.as_ref().and_then(LateData::due_ns);
        let due_ns = undecided_ns.or_else(|| [demand.due_ns, held_ns].into_iter().flatten().min());
        tokio::select! {
            biased;
            // Before the events: they may come without end, or not be wanted because output is blocked.
            () = clock::until(demand.end_ns) => self.queue.extend(demand.end_ns.map(Fact::Time)),
            // While no events are wanted, nothing lets go of the facts that wait for them.
            answer = Polling::next(&mut self.polling, demand), if demand.events || self.held.is_empty() => {
                self.queue_answer(answer);
            }
            () = self.names.cgroups_created() => self.names.note_cgroups(),
            ready = self.rings.ready(due_ns), if demand.events => {
                ready.map_err(Error::system("waiting for events"))?;
                let mut events = std::mem::take(&mut self.spare);
                self.rings.take(&mut events);
                self.queue_events(events, self.rings.complete_ns(), false);
            }
        }
        Ok(())
    }

    fn queue_answer(&mut self, answer: Answer) {
        match answer {
            Answer::Snapshot(snapshot) => self.held.push(HeldFact::Snapshot(snapshot)),
            Answer::Holders(holders) => self.held.push(HeldFact::Holders(holders)),
            Answer::Interfaces(interfaces) => self.queue.push_back(Fact::Interfaces(interfaces)),
            Answer::Gauges(gauges) => self.queue.push_back(Fact::Gauges(gauges)),
            Answer::Timewait(poll) => self.held.push(HeldFact::Timewait(poll.sample, monotonic_ns())),
            Answer::Refresh(mut refresh) => {
                self.older.refresh(&mut refresh.sockets);
                self.queue.push_back(Fact::Refresh { sockets: refresh.sockets, is_part: refresh.is_part });
            }
        }
    }

    /// Queues events that are complete up to `until_ns`. Losses and clock changes go before them; a snapshot
    /// that was held back for them goes after them.
    fn queue_events(&mut self, mut events: Vec<Event>, until_ns: u64, is_last: bool) {
        let losses = self.rings.losses();
        let has_lost_incidents = losses.incidents != self.losses.incidents;
        if losses.total() != self.losses.total() {
            self.queue.push_back(Fact::Losses(losses, until_ns));
            // Connections that ended in the loss gap are missing in the next snapshot.
            if let (Some(polling), Some(_)) = (&mut self.polling, losses.total()) {
                polling.ask_for_snapshot();
            }
        }
        self.losses = losses;
        let until_ns = match &mut self.late_data {
            // The last events cannot be held back.
            Some(late_data) if is_last => {
                late_data.decide(&mut events, u64::MAX, has_lost_incidents).min(until_ns)
            }
            Some(late_data) => late_data.decide(&mut events, until_ns, has_lost_incidents),
            None => until_ns,
        };
        self.queue.extend(self.clock.if_changed().map(Fact::Clock));
        self.older.events(&mut events);
        processes::disown(&mut events, self.own_pid);
        self.name_devices(&events);
        self.names.note_cgroups();
        self.queue.push_back(Fact::Events(Batch { events, until_ns }));
        for held in self.held.take_until(until_ns) {
            self.queue.push_back(held.complete(&mut self.older));
        }
    }

    /// Looks for the names of devices that sockets are bound to. Where this thread can see them they come before
    /// the events, else later.
    fn name_devices(&mut self, events: &[Event]) {
        let bound = events.iter().filter(|event| event.ifindex != 0);
        for device in bound.map(|event| DeviceKey::of(&Tuple::of(event))) {
            match self.devices.find(device) {
                Lookup::Known => {}
                Lookup::Found(name) => self.queue.push_back(Fact::Interfaces(name)),
                Lookup::Elsewhere => {
                    if let Some(polling) = &mut self.polling {
                        polling.ask_for_device(device);
                    }
                }
            }
        }
    }

    /// Detaches the programs, and reads the remaining events.
    async fn take_rest(&mut self, is_detached: bool) {
        if !is_detached {
            self.rings.detach().await;
            self.stage = Stage::Rest { is_detached: true };
        }
        let mut events = std::mem::take(&mut self.spare);
        let has_more = self.rings.take_rest(&mut events);
        let until_ns = if has_more { self.rings.complete_ns() } else { monotonic_ns() };
        self.queue_events(events, until_ns, !has_more);
        if !has_more {
            self.stage = Stage::End;
        }
    }

    fn totals(&self) -> SourceTotals {
        let filtered = self.rings.filtered().map(|filtered| filtered + self.older.dropped());
        SourceTotals { losses: self.rings.losses(), filtered, ..SourceTotals::default() }
    }

    /// Reads the kernel's counters and gauges for the last time.
    async fn last_counters(&mut self) {
        if let Some(polling) = &self.polling {
            // The survey may be in the middle of a poll.
            let counters = polling.survey().counters();
            let gauges = polling.last_gauges();
            let counters = timeout(LAST_COUNTERS, counters).await;
            let counters = counters.unwrap_or_else(|_| {
                let unread = std::mem::take(&mut self.netns_at_start);
                Ok(CountersByNetns { unread, ..CountersByNetns::default() })
            });
            let counters = counters.unwrap_or_default();
            self.queue.push_back(Fact::CountersAtEnd(counters));
            if let Some(gauges) = gauges
                && let Ok(Ok(Ok(poll))) = timeout(LAST_GAUGES, gauges).await
            {
                self.queue.push_back(Fact::Gauges(poll.gauges));
            }
        }
        self.stage = Stage::Rest { is_detached: false };
    }
}

impl Source for Live {
    fn kernel(&self) -> &KernelInfo {
        &self.kernel
    }

    fn is_live(&self) -> bool {
        true
    }

    async fn next(&mut self, demand: Demand<'_>) -> Result<Fact, Error> {
        loop {
            if let Some(fact) = self.queue.pop_front() {
                return Ok(fact);
            }
            match self.stage {
                Stage::Counters(_) | Stage::Snapshot(_) | Stage::Ready => self.start().await,
                Stage::Flow => self.flow(demand).await?,
                Stage::LastCounters => self.last_counters().await,
                Stage::Rest { is_detached } => self.take_rest(is_detached).await,
                Stage::End => return Ok(Fact::End(self.totals())),
            }
        }
    }

    fn has_more(&self) -> bool {
        !self.queue.is_empty() || self.rings.has_more()
    }

    fn stop(&mut self) {
        if !matches!(self.stage, Stage::Rest { .. } | Stage::End) {
            self.stage = Stage::LastCounters;
            if let Some(polling) = &self.polling {
                polling.survey().hurry();
            }
        }
    }

    fn recycle(&mut self, events: Vec<Event>) {
        self.spare = events;
    }

    fn counts(&self) -> SourceCounts {
        SourceCounts { buffer: self.rings.buffer_use(), ..SourceCounts::default() }
    }

    fn names(&mut self) -> &mut dyn Names {
        &mut self.names
    }
}
