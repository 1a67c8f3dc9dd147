//! A list of facts as a source: it needs no kernel and no privileges.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};
use tracer_common::Event;

use crate::{
    facts::{
        Batch, Fact,
        kernel::KernelInfo,
        losses::{Losses, SourceTotals},
        names::{CgroupTree, ContainerNames, Names, UnknownName},
        process_cgroups::{ProcessCgroup, THERE},
    },
    source::{Demand, Error, Source},
    tcp::netns::{Inum, Netns, NetnsId},
    time::clock::Anchor,
};

/// Plays a list of facts: as fast as they are taken, or at the speed at which they happened.
///
/// ```
/// use tracer::source::script::Script;
/// use tracer_common::{Event, state};
/// use zerocopy::FromZeros as _;
///
/// let mut event = Event::new_zeroed();
/// (event.time_ns, event.cookie) = (2_000_000_000, 1);
/// (event.old_state, event.new_state) = (state::CLOSE, state::LISTEN);
/// // It begins at second 1 of the kernel's clock, which is second 1 of 1970.
/// let script = Script::starting_at(1_000_000_000, 1_000_000_000).events([event]).until(3_000_000_000);
/// assert_eq!(script.facts().len(), 4);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Script {
    kernel: KernelInfo,
    facts: VecDeque<Fact>,
    cgroups: HashMap<u64, String>,
    containers: HashMap<u64, ContainerNames>,
    processes: HashMap<u32, ProcessCgroup>,
    totals: Option<SourceTotals>,
    /// When the first fact was played, and its time. Set only with `in_real_time`.
    first_played: Option<(Instant, u64)>,
    in_real_time: bool,
    /// The time of the last fact that was played.
    now_ns: u64,
    /// How long it takes to stop.
    stops_in_ns: u64,
}

impl Script {
    /// A script of a capture that begins at this moment: `monotonic_ns` is the kernel's monotonic clock,
    /// `wall_ns` nanoseconds since 1970.
    #[must_use]
    pub fn starting_at(monotonic_ns: u64, wall_ns: i64) -> Self {
        Self::default().fact(Fact::Clock(Anchor { monotonic_ns, wall_ns })).fact(Fact::Ready(monotonic_ns))
    }

    /// Sets what the kernel can report.
    #[must_use]
    pub fn of(self, kernel: KernelInfo) -> Self {
        Self { kernel, ..self }
    }

    /// Adds a fact at the end.
    #[must_use]
    pub fn fact(mut self, fact: Fact) -> Self {
        self.facts.push_back(fact);
        self
    }

    /// Adds a fact before [`Fact::Ready`].
    #[must_use]
    pub fn before_ready(mut self, fact: Fact) -> Self {
        let ready = self.facts.iter().position(|fact| matches!(fact, Fact::Ready(_)));
        self.facts.insert(ready.unwrap_or(self.facts.len()), fact);
        self
    }

    /// Adds a batch of events. Its watermark is the time of the last one.
    #[must_use]
    pub fn events(self, events: impl IntoIterator<Item = Event>) -> Self {
        let events: Vec<Event> = events.into_iter().collect();
        let until_ns = events.last().map_or(0, |event| event.time_ns);
        self.fact(Fact::Events(Batch { events, until_ns }))
    }

    /// Adds an empty batch with this watermark: up to then nothing more happened.
    #[must_use]
    pub fn until(self, until_ns: u64) -> Self {
        self.fact(Fact::Events(Batch { events: Vec::new(), until_ns }))
    }

    /// Sets the path of a cgroup.
    #[must_use]
    pub fn cgroup(mut self, id: u64, path: &str) -> Self {
        self.cgroups.insert(id, path.to_owned());
        self
    }

    /// Sets the names of the container that a cgroup belongs to.
    #[must_use]
    pub fn container(mut self, cgroup: u64, names: ContainerNames) -> Self {
        self.containers.insert(cgroup, names);
        self
    }

    /// Sets the cgroup of a process, and when the process began.
    #[must_use]
    pub fn process(mut self, pid: u32, cgroup: u64, started_ns: u64) -> Self {
        self.processes.insert(pid, ProcessCgroup { id: cgroup, started_ns, gone_ns: THERE });
        self
    }

    /// Sets the totals of [`Fact::End`]. By default nothing was lost or filtered.
    #[must_use]
    pub fn ending_with(self, totals: SourceTotals) -> Self {
        Self { totals: Some(totals), ..self }
    }

    /// Sets how long it takes to stop, in nanoseconds. What happens until then still follows, as the kernel's
    /// programs report events until they are detached. By default nothing later than the last fact does.
    #[must_use]
    pub fn stopping_in(self, stops_in_ns: u64) -> Self {
        Self { stops_in_ns, ..self }
    }

    /// Plays facts at the speed at which they happened.
    #[must_use]
    pub fn in_real_time(self) -> Self {
        Self { in_real_time: true, ..self }
    }

    /// The facts that have not been played yet.
    #[must_use]
    pub fn facts(&self) -> &VecDeque<Fact> {
        &self.facts
    }

    /// Ends the script at this time. Nothing later is played, except what is counted at the end.
    fn end_at(&mut self, end_ns: u64) {
        let is_later = |fact: &Fact| fact.time_ns().is_some_and(|time_ns| time_ns > end_ns);
        let Some(first) = self.facts.iter().position(is_later) else {
            return;
        };
        let (mut events, mut counted) = (Vec::new(), Vec::new());
        for fact in self.facts.drain(first..) {
            match fact {
                Fact::Events(batch) => {
                    events.extend(batch.events.into_iter().filter(|event| event.time_ns <= end_ns));
                }
                Fact::CountersAtEnd(_) => counted.push(fact),
                Fact::Gauges(_) if !counted.is_empty() => counted.push(fact),
                _ => {}
            }
        }
        self.facts.push_back(Fact::Events(Batch { events, until_ns: end_ns }));
        self.facts.extend(counted);
    }

    /// With `in_real_time`, waits until the time of the next fact.
    async fn wait_for_time(&mut self) {
        if let Some(time_ns) = self.facts.front().and_then(Fact::time_ns)
            && self.in_real_time
        {
            let (begun, from_ns) = *self.first_played.get_or_insert((Instant::now(), time_ns));
            sleep_until(begun + Duration::from_nanos(time_ns.saturating_sub(from_ns))).await;
        }
    }
}

impl Source for Script {
    fn kernel(&self) -> &KernelInfo {
        &self.kernel
    }

    fn is_live(&self) -> bool {
        false
    }

    async fn next(&mut self, demand: Demand<'_>) -> Result<Fact, Error> {
        if let Some(end_ns) = demand.end_ns {
            self.end_at(end_ns);
        }
        if !demand.events && matches!(self.facts.front(), Some(Fact::Events(_))) {
            std::future::pending::<()>().await;
        }
        self.wait_for_time().await;
        let none = SourceTotals { losses: Losses::NONE, filtered: Some(0), ..SourceTotals::default() };
        let fact = self.facts.pop_front().unwrap_or_else(|| Fact::End(self.totals.unwrap_or(none)));
        self.now_ns = self.now_ns.max(fact.time_ns().unwrap_or_default());
        Ok(fact)
    }

    fn stop(&mut self) {
        self.end_at(self.now_ns.saturating_add(self.stops_in_ns));
    }

    fn names(&mut self) -> &mut dyn Names {
        self
    }
}

impl Names for Script {
    fn cgroup_path(&mut self, id: u64) -> Option<String> {
        self.cgroups.get(&id).cloned()
    }

    fn container_names(&mut self, cgroup: u64) -> Option<ContainerNames> {
        self.containers.get(&cgroup).cloned()
    }

    fn netns_name(&mut self, _: Inum) -> Option<String> {
        None
    }

    fn process_cgroup(&mut self, pid: u32) -> Option<ProcessCgroup> {
        self.processes.get(&pid).copied()
    }

    fn command_line(&mut self, _: u32) -> Option<String> {
        None
    }

    fn cgroups(&mut self) -> Option<CgroupTree> {
        Some(CgroupTree { root: "/".into(), paths: self.cgroups.clone() })
    }

    fn processes(&mut self) -> Option<HashMap<u32, Vec<u8>>> {
        None
    }

    fn netns(&mut self, netns: &Netns) -> Result<NetnsId, UnknownName> {
        match netns {
            Netns::Inum(inum) => Ok(NetnsId::new(*inum, 0)),
            other => Err(UnknownName(format!("{other:?} is not a namespace of the script"))),
        }
    }

    fn check_pids(&self) -> Result<(), UnknownName> {
        Ok(())
    }
}
