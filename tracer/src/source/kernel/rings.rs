//! Reading events from the ring buffers.

use std::{
    future::poll_fn,
    io,
    os::fd::AsFd as _,
    task::{Context, Poll},
    time::Duration,
};

use aya::{
    Ebpf,
    maps::{Map, MapData, MapError, RingBuf},
};
use aya_log::EbpfLogger;
use rustix::thread::{MembarrierCommand, membarrier};
use tokio::{
    io::{Interest, unix::AsyncFd},
    time::Instant,
};
use tracer_common::{Event, event::Counter, wakeup::TICK_NS};

use crate::{
    facts::{losses::Losses, source_counts::BufferUse},
    source::{
        decode::decode,
        kernel::{
            Link,
            buffer_use::BufferWatch,
            clock::{monotonic_ns, until},
            counts::ProgramCounts,
            load::Attached,
        },
        merge::Merge,
        order::{Order, SETTLE_NS},
    },
    time::wait::at,
};

/// The most records that are read at once, and so formatted before they are written.
const BATCH_LEN: usize = 4096;

/// A read that finds fewer events than this is one on a quiet host, where events should be shown at once.
const QUIET_EVENTS: usize = 256;

/// Pause before the next read, after events were too young to be sent on.
const SETTLE_PAUSE: Duration = Duration::from_nanos(2 * SETTLE_NS);
const TICK: Duration = Duration::from_nanos(TICK_NS);

/// How long to wait for programs that are running on other CPUs after they were detached, if the kernel does
/// not say when they have ended.
const DETACH_PAUSE: Duration = Duration::from_millis(2);

/// A ring buffer whose wakeups tokio hears.
pub(super) type Ring = AsyncFd<RingBuf<MapData>>;

/// The attached program and its ring buffers.
pub struct Rings {
    log: Option<EbpfLogger<&'static dyn log::Log>>,
    buffers: Vec<Ring>,
    /// `None` if their use cannot be seen.
    watch: Option<BufferWatch>,
    merge: Merge,
    counts: ProgramCounts,
    links: Vec<Link>,
    /// Owns the programs.
    _ebpf: Ebpf,
    order: Order,
    malformed: u64,
    /// All events up to this time have been taken.
    complete_ns: u64,
    /// From this time on the kernel program is certain to wake the reader for the next event. It does not do
    /// so soon after it has woken it, which may have been as late as the last read that found events. Also,
    /// a read after a wakeup does not find the event if an unfinished one lies before it.
    wakes_from: Instant,
    /// When to read next, even without a wakeup; `None` on a quiet host.
    next_drain: Option<Instant>,
    /// The last read has left events in the rings.
    has_more: bool,
    /// The next read is for events that were too young at the last one.
    is_settling: bool,
}

impl Rings {
    /// Takes over the programs of [`super::load::load`]. Must run in a tokio runtime.
    pub fn new(attached: Attached) -> Result<Self, MapError> {
        let Attached { mut ebpf, rings, ring_size, links, .. } = attached;
        let watch = BufferWatch::new(rings.iter().map(|ring| ring.fd().as_fd()), ring_size.bytes().into());
        let watch = watch.inspect_err(|error| log::warn!("how full the buffer is cannot be seen: {error}"));
        let buffers =
            rings.into_iter().map(|ring| register(map_ring(ring)?)).collect::<Result<Vec<_>, _>>()?;
        let counts = ProgramCounts::take(&mut ebpf)?;
        Ok(Self {
            // Only the debug object has one.
            log: EbpfLogger::init(&mut ebpf).ok(),
            merge: Merge::new(buffers.len()),
            watch: watch.ok(),
            buffers,
            counts,
            links,
            _ebpf: ebpf,
            order: Order::default(),
            malformed: 0,
            complete_ns: 0,
            wakes_from: Instant::now() + TICK,
            // Events between attaching and now have woken nobody.
            next_drain: Some(Instant::now()),
            has_more: false,
            is_settling: false,
        })
    }

    /// Checks that the ring buffers can be mapped.
    pub fn map(attached: Attached) -> Result<(), MapError> {
        attached.rings.into_iter().map(map_ring).collect::<Result<Vec<_>, _>>().map(drop)
    }

    /// Waits until there may be events, or until events up to `due_ns` are complete.
    pub async fn ready(&mut self, due_ns: Option<u64>) -> io::Result<()> {
        tokio::select! {
            woken = poll_fn(|context| poll_wakeup(&self.buffers, context)) => {
                woken?;
                self.wakes_from = Instant::now() + TICK;
            }
            () = at(self.next_drain) => {}
            () = until(due_ns.map(|due_ns| due_ns + SETTLE_NS)) => {}
        }
        Ok(())
    }

    /// Replaces `batch` by the events that are there, in time order. While events come, the rings are read
    /// every tick; without events, only when the kernel program wakes the reader.
    pub fn take(&mut self, batch: &mut Vec<Event>) {
        // Before the first ring is read: an event that the read does not find is younger.
        let read_ns = monotonic_ns();
        if let Some(watch) = &mut self.watch {
            watch.look();
        }
        let taken = self.drain();
        let next_ns = self.merge.next_ns();
        let more = next_ns.is_some();
        self.has_more = more;
        // If events are left, only those before them are complete.
        let complete_ns = next_ns.map_or(read_ns, |next_ns| next_ns.min(read_ns));
        self.complete_ns = complete_ns.saturating_sub(SETTLE_NS);
        self.order.settle(self.complete_ns, batch);
        let now = Instant::now();
        if taken > 0 {
            self.wakes_from = now + TICK;
        }
        // If events come all the time, some are always too young. They can wait until the next tick, as
        // those that come after them do.
        let may_settle = !self.is_settling && taken < QUIET_EVENTS;
        self.is_settling = !more && !self.order.is_empty() && may_settle;
        self.next_drain = if more {
            Some(now)
        } else if self.is_settling {
            Some(now + SETTLE_PAUSE)
        } else if !self.order.is_empty() {
            Some(now + TICK)
        } else {
            Some(self.wakes_from).filter(|at| *at > now)
        };
    }

    /// All events up to this time have been taken.
    #[must_use]
    pub fn complete_ns(&self) -> u64 {
        self.complete_ns
    }

    /// Whether more events can be taken without waiting.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.has_more
    }

    fn drain(&mut self) -> usize {
        if let Some(log) = &mut self.log {
            log.flush();
        }
        let Self { merge, buffers, order, malformed, .. } = self;
        merge.take(
            buffers,
            BATCH_LEN,
            |ring| next_event(ring.get_mut(), malformed),
            |event| order.push(event),
        )
    }

    /// Detaches the kernel programs, and waits until their last event is complete. [`Rings::take_rest`] then
    /// returns all remaining events.
    pub async fn detach(&mut self) {
        // The second program goes first, so that no event is reported by both.
        while self.links.pop().is_some() {}
        // It waits until each CPU has left what it was running (`synchronize_rcu`): milliseconds, and longer on a
        // host without free CPUs. Not on another thread: the host may have no room for one. Kernels for real-time work
        // (`nohz_full`) do not have it.
        if membarrier(MembarrierCommand::Global).is_err() {
            tokio::time::sleep(DETACH_PAUSE).await;
        }
    }

    /// After [`Rings::detach`], replaces `batch` by the next remaining events. Returns whether there are
    /// more.
    pub fn take_rest(&mut self, batch: &mut Vec<Event>) -> bool {
        self.drain();
        let next_ns = self.merge.next_ns();
        self.complete_ns = next_ns.map_or(u64::MAX, |next_ns| next_ns.saturating_sub(SETTLE_NS));
        self.order.settle(self.complete_ns, batch);
        next_ns.is_some()
    }

    /// What was lost so far.
    #[must_use]
    pub fn losses(&self) -> Losses {
        Losses {
            no_room: self.counts.of(Counter::Lost),
            recursion: self.counts.missed(),
            incidents: self.counts.lost_incidents(),
            malformed: self.malformed,
        }
    }

    /// How full the rings are.
    #[must_use]
    pub fn buffer_use(&self) -> Option<BufferUse> {
        self.watch.as_ref().map(BufferWatch::seen)
    }

    /// How many events the filters in the kernel have stopped so far; `None` if that cannot be read.
    #[must_use]
    pub fn filtered(&self) -> Option<u64> {
        self.counts.of(Counter::Filtered)
    }
}

fn map_ring(ring: MapData) -> Result<RingBuf<MapData>, MapError> {
    RingBuf::try_from(Map::RingBuf(ring))
}

/// Lets tokio say when the kernel program wakes the reader of a ring buffer. Must run in a tokio runtime.
pub(super) fn register(ring: RingBuf<MapData>) -> Result<Ring, MapError> {
    // SAFETY: the ring buffer owns its map's descriptor, and `as_raw_fd` always returns that one.
    unsafe { AsyncFd::register_with_interest(ring, Interest::READABLE) }
        .map_err(|error| MapError::IoError(error.into()))
}

/// Whether the kernel program has woken the reader at any of the rings. The reader then reads all of them,
/// so all wakeups are cleared.
fn poll_wakeup(rings: &[Ring], context: &mut Context<'_>) -> Poll<io::Result<()>> {
    let mut woken = Poll::Pending;
    for ring in rings {
        if let Poll::Ready(guard) = ring.poll_read_ready(context) {
            guard?.clear_ready();
            woken = Poll::Ready(Ok(()));
        }
    }
    woken
}

/// The next event in a ring. Malformed records are logged, counted and skipped.
fn next_event(ring: &mut RingBuf<MapData>, malformed: &mut u64) -> Option<Event> {
    loop {
        match decode(&ring.next()?) {
            Ok(event) => return Some(*event),
            Err(error) => {
                log::warn!("malformed record: {error}");
                *malformed += 1;
            }
        }
    }
}
