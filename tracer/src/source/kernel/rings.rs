//! Reading the ring buffers.

use std::{
    future::poll_fn,
    io,
    task::{Context, Poll},
    time::Duration,
};

use aya::{
    Ebpf,
    maps::{Map, MapData, MapError, RingBuf},
};
use aya_log::EbpfLogger;
use tokio::{
    io::{Interest, unix::AsyncFd},
    time::Instant,
};
use tracer_common::{Event, event::Counter, wakeup::TICK_NS};

use crate::{
    facts::losses::Losses,
    source::{
        decode::decode,
        kernel::{Link, clock::monotonic_ns, counts::ProgramCounts, load::Attached},
        merge::Merge,
        order::{Order, SETTLE_NS},
    },
    time::wait::at,
};

/// Records taken in one go: what is formatted before it is written.
const BATCH: usize = 4096;

/// A look that finds fewer events than this is one at a quiet host, where somebody waits for them.
const QUIET: usize = 256;

/// Pause before an event that was too young to be handed out is looked at again.
const SETTLE: Duration = Duration::from_nanos(2 * SETTLE_NS);
const TICK: Duration = Duration::from_nanos(TICK_NS);

/// How long a program that runs on another CPU while it is detached may take to end.
const IN_FLIGHT: Duration = Duration::from_millis(2);

type Ring = AsyncFd<RingBuf<MapData>>;

/// The attached program and its ring buffers.
pub struct Rings {
    log: Option<EbpfLogger<&'static dyn log::Log>>,
    buffers: Vec<Ring>,
    merge: Merge,
    counts: ProgramCounts,
    links: Vec<Link>,
    /// Owns the programs.
    _ebpf: Ebpf,
    order: Order,
    malformed: u64,
    /// All events up to this time have been taken.
    complete_ns: u64,
    /// From when on the kernel program is certain to call for the next event. It does not soon
    /// after it has called, and that may have been as late as the last look that found events.
    /// Nor need a look after a call find the event, if an unfinished one lies before it.
    calls_from: Instant,
    /// When to look even if nobody calls; `None` on a quiet host.
    next_drain: Option<Instant>,
    /// The last look did not take all.
    has_more: bool,
    /// The next look is for what was too young at the last one.
    is_settling: bool,
}

impl Rings {
    /// Takes over what [`super::load::load`] has attached. Needs a tokio runtime around it.
    pub fn new(attached: Attached) -> Result<Self, MapError> {
        let Attached { mut ebpf, rings, links, .. } = attached;
        let buffers =
            rings.into_iter().map(|ring| registered(mapped(ring)?)).collect::<Result<Vec<_>, _>>()?;
        let counts = ProgramCounts::take(&mut ebpf)?;
        Ok(Self {
            // Only the debug object has one.
            log: EbpfLogger::init(&mut ebpf).ok(),
            merge: Merge::new(buffers.len()),
            buffers,
            counts,
            links,
            _ebpf: ebpf,
            order: Order::default(),
            malformed: 0,
            complete_ns: 0,
            calls_from: Instant::now() + TICK,
            // What happened between attaching and now was announced to nobody.
            next_drain: Some(Instant::now()),
            has_more: false,
            is_settling: false,
        })
    }

    /// Only tries whether the buffers can be mapped.
    pub fn map(attached: Attached) -> Result<(), MapError> {
        attached.rings.into_iter().map(mapped).collect::<Result<Vec<_>, _>>().map(drop)
    }

    /// Waits until there may be events; or until those up to `due_ns` are complete.
    pub async fn ready(&mut self, due_ns: Option<u64>) -> io::Result<()> {
        let due = due_ns.map(|due_ns| {
            let pause_ns = (due_ns + SETTLE_NS).saturating_sub(monotonic_ns());
            Instant::now() + Duration::from_nanos(pause_ns)
        });
        tokio::select! {
            called = poll_fn(|context| called(&self.buffers, context)) => {
                called?;
                self.calls_from = Instant::now() + TICK;
            }
            () = at(self.next_drain) => {}
            () = at(due) => {}
        }
        Ok(())
    }

    /// Replaces `batch` by the events that are there, in time order. While events come, they are
    /// looked for every tick; with none there, only when the kernel program calls.
    pub fn take(&mut self, batch: &mut Vec<Event>) {
        // Before the first ring: what is not seen in one or the other is younger.
        let looked_ns = monotonic_ns();
        let taken = self.drain();
        let next_ns = self.merge.next_ns();
        let more = next_ns.is_some();
        self.has_more = more;
        // With more to come, only what is older than that is complete.
        let complete_ns = next_ns.map_or(looked_ns, |next_ns| next_ns.min(looked_ns));
        self.complete_ns = complete_ns.saturating_sub(SETTLE_NS);
        self.order.settle(self.complete_ns, batch);
        let now = Instant::now();
        if taken > 0 {
            self.calls_from = now + TICK;
        }
        // Where events come all the time, there are always some that are too young. They can wait as
        // long as those that come after them.
        let may_settle = !self.is_settling && taken < QUIET;
        self.is_settling = !more && !self.order.is_empty() && may_settle;
        self.next_drain = if more {
            Some(now)
        } else if self.is_settling {
            Some(now + SETTLE)
        } else if !self.order.is_empty() {
            Some(now + TICK)
        } else {
            Some(self.calls_from).filter(|at| *at > now)
        };
    }

    /// All events up to this time have been taken.
    #[must_use]
    pub fn complete_ns(&self) -> u64 {
        self.complete_ns
    }

    /// Whether there is more to be taken at once.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.has_more
    }

    fn drain(&mut self) -> usize {
        if let Some(log) = &mut self.log {
            log.flush();
        }
        let Self { merge, buffers, order, malformed, .. } = self;
        merge.take(buffers, BATCH, |ring| next(ring.get_mut(), malformed), |event| order.push(event))
    }

    /// Stops the kernel program and waits for its last event to be complete; all that it has
    /// reported can then be taken with [`Rings::take_rest`].
    pub async fn detach(&mut self) {
        // The second first: what the first reports is then not reported twice.
        while self.links.pop().is_some() {}
        tokio::time::sleep(IN_FLIGHT).await;
    }

    /// Replaces `batch` by what is left after [`Rings::detach`], a batch at a time; false when that was all.
    pub fn take_rest(&mut self, batch: &mut Vec<Event>) -> bool {
        self.drain();
        let next_ns = self.merge.next_ns();
        self.complete_ns = next_ns.map_or(u64::MAX, |next_ns| next_ns.saturating_sub(SETTLE_NS));
        self.order.settle(self.complete_ns, batch);
        next_ns.is_some()
    }

    /// What was lost up to now.
    #[must_use]
    pub fn losses(&self) -> Losses {
        Losses {
            no_room: self.counts.of(Counter::Lost),
            recursion: self.counts.missed(),
            incidents: self.counts.lost_incidents(),
            malformed: self.malformed,
        }
    }

    /// What the kernel's filters have kept back up to now, if that can be read.
    #[must_use]
    pub fn filtered(&self) -> Option<u64> {
        self.counts.of(Counter::Filtered)
    }
}

fn mapped(ring: MapData) -> Result<RingBuf<MapData>, MapError> {
    RingBuf::try_from(Map::RingBuf(ring))
}

fn registered(ring: RingBuf<MapData>) -> Result<Ring, MapError> {
    // SAFETY: the ring buffer owns its map's descriptor, and always answers with that one.
    unsafe { AsyncFd::register_with_interest(ring, Interest::READABLE) }
        .map_err(|error| MapError::IoError(error.into()))
}

/// Whether the kernel program has called for a look at any of the rings. That look is at all of
/// them, so it answers every call.
fn called(rings: &[Ring], context: &mut Context<'_>) -> Poll<io::Result<()>> {
    let mut called = Poll::Pending;
    for ring in rings {
        if let Poll::Ready(guard) = ring.poll_read_ready(context) {
            guard?.clear_ready();
            called = Poll::Ready(Ok(()));
        }
    }
    called
}

/// The next record of a ring that is an event.
fn next(ring: &mut RingBuf<MapData>, malformed: &mut u64) -> Option<Event> {
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
