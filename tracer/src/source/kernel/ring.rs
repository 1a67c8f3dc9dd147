//! Reading the ring buffer.

use std::{
    io,
    os::fd::{AsFd as _, AsRawFd as _},
    time::Duration,
};

use aya::{
    Ebpf,
    maps::{MapData, MapError, PerCpuArray, RingBuf},
    programs::{BtfTracePoint, tp_btf::BtfTracePointLink},
};
use aya_log::EbpfLogger;
use tokio::{
    io::{Interest, unix::AsyncFd},
    time::Instant,
};
use tracer_common::{Event, event::Counter, wakeup::TICK_NS};

use crate::{
    clock::monotonic_ns,
    decode::decode,
    order::{Order, SETTLE_NS},
    source::kernel::{HOOK, load::Attached},
    timer::at,
};

/// Records taken in one go: what is formatted before it is written.
const BATCH: usize = 16_384;

/// Pause before an event that was too young to be handed out is looked at again.
const SETTLE: Duration = Duration::from_nanos(2 * SETTLE_NS);
const TICK: Duration = Duration::from_nanos(TICK_NS);

/// How long a program that runs on another CPU while it is detached may take to end.
const IN_FLIGHT: Duration = Duration::from_millis(2);

/// What did not arrive, or not as expected; `None` where the kernel does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// The ring buffer was full.
    pub no_room: Option<u64>,
    /// The kernel did not run the program, because it was running on that CPU already, and the one
    /// that is there for that did not run either.
    pub recursion: Option<u64>,
    /// Records that were no events.
    pub malformed: u64,
}

impl Losses {
    /// All that was lost, if that is known.
    #[must_use]
    pub fn total(&self) -> Option<u64> {
        Some(self.no_room? + self.recursion? + self.malformed)
    }
}

/// The attached program and its ring buffer.
pub struct Ring {
    log: Option<EbpfLogger<&'static dyn log::Log>>,
    events: AsyncFd<RingBuf<MapData>>,
    counts: PerCpuArray<MapData, u64>,
    links: Vec<BtfTracePointLink>,
    ebpf: Ebpf,
    order: Order,
    malformed: u64,
    /// All events up to this time have been taken.
    complete_ns: u64,
    /// From when on the kernel program is certain to call for the next event. It does not soon
    /// after it has called, and that may have been as late as the last look that found events.
    /// Nor need a look after a call find the event, if an unfinished one lies before it.
    calls_from: Instant,
    /// When to look even if nobody calls; `None` on a quiet host.
    next_look: Option<Instant>,
}

impl Ring {
    /// Takes over what [`super::load::load`] has attached. Needs a tokio runtime around it.
    pub fn new(attached: Attached) -> Result<Self, MapError> {
        let Attached { mut ebpf, links, .. } = attached;
        let mut take =
            |name: &str| ebpf.take_map(name).ok_or(MapError::InvalidName { name: name.to_owned() });
        let events = RingBuf::try_from(take("EVENTS")?)?;
        // SAFETY: the ring buffer owns its map's descriptor, and always answers with that one.
        let events = unsafe { AsyncFd::register_with_interest(events, Interest::READABLE) }
            .map_err(|error| MapError::IoError(error.into()))?;
        let counts = PerCpuArray::try_from(take("COUNTS")?)?;
        Ok(Self {
            // Only the debug object has one.
            log: EbpfLogger::init(&mut ebpf).ok(),
            events,
            counts,
            links,
            ebpf,
            order: Order::default(),
            malformed: 0,
            complete_ns: 0,
            calls_from: Instant::now() + TICK,
            // What happened between attaching and now was announced to nobody.
            next_look: Some(Instant::now()),
        })
    }

    /// Only tries whether the buffer can be mapped.
    pub fn map(attached: Attached) -> Result<(), MapError> {
        let mut ebpf = attached.ebpf;
        let map = ebpf.take_map("EVENTS").ok_or(MapError::InvalidName { name: "EVENTS".to_owned() })?;
        RingBuf::try_from(map).map(drop)
    }

    /// Waits until there may be events.
    pub async fn ready(&mut self) -> io::Result<()> {
        tokio::select! {
            guard = self.events.readable() => {
                guard?.clear_ready();
                self.calls_from = Instant::now() + TICK;
            }
            () = at(self.next_look) => {}
        }
        Ok(())
    }

    /// Appends to `batch` the events that are there, in time order. While events come, they are
    /// looked for every tick; with none there, only when the kernel program calls.
    pub fn take(&mut self, batch: &mut Vec<Event>) {
        let looked_ns = monotonic_ns();
        let taken = self.drain();
        let more = taken == BATCH;
        // With more behind it, only what is older than the batch's own end is complete.
        let complete_ns =
            self.order.latest_ns().filter(|_| more).map_or(looked_ns, |latest_ns| latest_ns.min(looked_ns));
        self.complete_ns = complete_ns.saturating_sub(SETTLE_NS);
        batch.extend(self.order.settle(self.complete_ns));
        let now = Instant::now();
        if taken > 0 {
            self.calls_from = now + TICK;
        }
        self.next_look = if more {
            Some(now)
        } else if !self.order.is_empty() {
            Some(now + SETTLE)
        } else {
            Some(self.calls_from).filter(|at| *at > now)
        };
    }

    /// All events up to this time have been taken.
    #[must_use]
    pub fn complete_ns(&self) -> u64 {
        self.complete_ns
    }

    /// Looks at once, whether the kernel program calls or not.
    pub fn look_soon(&mut self) {
        self.next_look = Some(Instant::now());
    }

    fn drain(&mut self) -> usize {
        if let Some(log) = &mut self.log {
            log.flush();
        }
        let ring = self.events.get_mut();
        let mut taken = 0;
        while taken < BATCH
            && let Some(record) = ring.next()
        {
            taken += 1;
            match decode(&record) {
                Ok(event) => self.order.push(event),
                Err(error) => {
                    log::warn!("malformed record: {error}");
                    self.malformed += 1;
                }
            }
        }
        taken
    }

    /// Stops the kernel program and waits for its last event to be complete; all that it has
    /// reported can then be taken with [`Ring::take_rest`].
    pub async fn detach(&mut self) {
        // The second first: what the first reports is then not reported twice.
        while self.links.pop().is_some() {}
        tokio::time::sleep(IN_FLIGHT).await;
    }

    /// Appends what is left after [`Ring::detach`], a batch at a time; false when that was all.
    pub fn take_rest(&mut self, batch: &mut Vec<Event>) -> bool {
        let taken = self.drain();
        let more = taken == BATCH;
        let latest_ns = self.order.latest_ns().unwrap_or_default();
        let until_ns = if more { latest_ns.saturating_sub(SETTLE_NS) } else { u64::MAX };
        batch.extend(self.order.settle(until_ns));
        more
    }

    /// Counts and drops what is left after [`Ring::detach`].
    pub fn drop_rest(&mut self) -> u64 {
        let mut dropped = 0;
        loop {
            let taken = self.drain();
            dropped += self.order.settle(u64::MAX).len() as u64;
            if taken < BATCH {
                return dropped;
            }
        }
    }

    /// What was lost up to now.
    pub fn losses(&mut self) -> Losses {
        let missed = self.recursion();
        let reported = self.count(Counter::Nested);
        Losses {
            no_room: self.count(Counter::Lost),
            recursion: missed.zip(reported).map(|(missed, reported)| missed.saturating_sub(reported)),
            malformed: self.malformed,
        }
    }

    /// What the kernel's filters have kept back up to now, if that can be read.
    #[must_use]
    pub fn filtered(&self) -> Option<u64> {
        self.count(Counter::Filtered)
    }

    fn count(&self, counter: Counter) -> Option<u64> {
        match self.counts.get(&(counter as u32), 0) {
            Ok(per_cpu) => {
                log::trace!("{counter:?} per CPU: {:?}", &*per_cpu);
                Some(per_cpu.iter().sum())
            }
            Err(error) => {
                log::warn!("the counter of {counter:?} events cannot be read: {error}");
                None
            }
        }
    }

    /// How often the kernel skipped the program to keep it from interrupting itself (a softirq in
    /// the middle of a task's event). It counts that since 5.12, and does it to programs on
    /// tracepoints since 6.2.
    fn recursion(&mut self) -> Option<u64> {
        let program: &mut BtfTracePoint = self.ebpf.program_mut(HOOK)?.try_into().ok()?;
        let fd = program.fd().ok()?.as_fd().as_raw_fd();
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()?;
        let line = info.lines().find_map(|line| line.strip_prefix("recursion_misses:"));
        line.map_or(Some(0), |count| count.trim().parse().ok())
    }
}
