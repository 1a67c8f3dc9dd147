//! Counting in the kernel: nothing crosses to user space but the counts, when they are read.

use std::{path::PathBuf, time::Duration};

use aya::{
    Ebpf,
    maps::{MapData, MapError, PerCpuArray, PerCpuHashMap},
};
use tokio::time::Instant;
use tracer_common::{
    event::Counter,
    fold::{PortKey, SHARE_WORDS, WAYS},
};

use crate::{
    facts::{
        hooks::Hooks,
        in_kernel::{KernelAggregate, PortCounts},
    },
    filter::Filter,
    source::kernel::{
        Link,
        clock::{anchor, monotonic_ns},
        counts::ProgramCounts,
        error::Error,
        hook::{Ground, take},
    },
    time::{clock::Anchor, wait::at},
};

/// The kernel program, built by `cargo xtask ebpf`.
static OBJECT: &[u8] = aya::include_bytes_aligned!("../../../bpf/summary.bpf.o");

/// Sockets whose state's beginning is remembered, if nobody says otherwise: 16 MiB.
const SOCKETS: u32 = 1 << 20;

/// Room in each of the tables by port. A service takes one entry for each kind of transition, and
/// one for each power of two between its shortest and longest connections.
const BY_PORT: u32 = 1 << 16;

/// What is to be counted.
#[derive(Clone, Debug)]
pub struct AggregateOptions {
    /// What to count.
    pub filter: Filter,
    /// Count for each service port, too.
    pub by_port: bool,
    /// Remember at least this many sockets, a power of two in the end; 16 bytes each.
    pub sockets: u32,
    /// Other type information than the kernel's own.
    pub btf: Option<PathBuf>,
}

impl AggregateOptions {
    /// With a table of the usual size.
    #[must_use]
    pub fn new(filter: Filter, by_port: bool, btf: Option<PathBuf>) -> Self {
        Self { filter, by_port, sockets: SOCKETS, btf }
    }
}

type ByPort = PerCpuHashMap<MapData, u32, u64>;

/// The attached program and what it has counted. Dropping it detaches the program.
pub struct AggregateProgram {
    shares: PerCpuArray<MapData, [u64; SHARE_WORDS]>,
    by_port: Option<(ByPort, ByPort)>,
    counts: ProgramCounts,
    links: Vec<Link>,
    ebpf: Ebpf,
}

impl AggregateProgram {
    /// Loads and attaches; from here on it counts.
    pub fn load(options: &AggregateOptions) -> Result<Self, Error> {
        let sets = options.sockets.div_ceil(WAYS).max(1).next_power_of_two();
        let memory = format!("a table of {} sockets", sets.saturating_mul(WAYS));
        // User space would have to filter again what stories need.
        let filter = Filter { for_stories: false, ..options.filter.clone() };
        let ground = Ground::find(options.btf.as_deref(), &filter, Hooks::Minimal, memory)?;
        let (set_mask, by_port) = (sets - 1, u8::from(options.by_port));
        let ports = if options.by_port { BY_PORT } else { 1 };
        let mut loader = ground.loader();
        loader
            .override_global("SET_MASK", &set_mask, true)
            .override_global("BY_PORT", &by_port, true)
            .map_max_entries("SETS", sets)
            .map_max_entries("PORT_TRANSITIONS", ports)
            .map_max_entries("PORT_STAYS", ports);
        let ebpf = ground.load(&mut loader, OBJECT)?;
        let mut program = Self::new(ebpf, options.by_port).map_err(Error::map("taking the maps"))?;
        program.links = ground.attach(&mut program.ebpf)?;
        Ok(program)
    }

    fn new(mut ebpf: Ebpf, by_port: bool) -> Result<Self, MapError> {
        let mut port_table = |name| PerCpuHashMap::try_from(take(&mut ebpf, name)?);
        let by_port =
            if by_port { Some((port_table("PORT_TRANSITIONS")?, port_table("PORT_STAYS")?)) } else { None };
        Ok(Self {
            shares: PerCpuArray::try_from(take(&mut ebpf, "SHARES")?)?,
            by_port,
            counts: ProgramCounts::take(&mut ebpf)?,
            links: Vec::new(),
            ebpf,
        })
    }

    /// What both clocks say now.
    #[must_use]
    pub fn now(&self) -> Anchor {
        anchor()
    }

    /// Waits until this time on the kernel's monotonic clock; for ever without one.
    pub async fn until(&self, due_ns: Option<u64>) {
        let pause = due_ns.map(|due_ns| Duration::from_nanos(due_ns.saturating_sub(monotonic_ns())));
        at(pause.map(|pause| Instant::now() + pause)).await;
    }

    /// What has been counted since it was attached.
    pub fn read(&self) -> Result<Box<KernelAggregate>, Error> {
        self.counted().map_err(Error::reading)
    }

    fn counted(&self) -> Result<Box<KernelAggregate>, MapError> {
        let mut counted = Box::<KernelAggregate>::default();
        for share in self.shares.get(&0, 0)?.iter() {
            counted.add(share);
        }
        if let Some((transitions, stays)) = &self.by_port {
            let mut ports = PortCounts::default();
            for entry in transitions {
                let (key, per_cpu) = entry?;
                ports.add_transitions(PortKey(key), per_cpu.iter().sum());
            }
            for entry in stays {
                let (key, per_cpu) = entry?;
                ports.add_stays(PortKey(key), per_cpu.iter().sum());
            }
            counted.ports = ports.into();
        }
        counted.evicted = self.counts.of(Counter::Evicted);
        counted.no_room = self.counts.of(Counter::NoRoom);
        counted.filtered = self.counts.of(Counter::Filtered);
        counted.missed = self.counts.missed();
        Ok(counted)
    }

    /// Stops counting; the counts can still be read. The second program goes first, so that it
    /// does not count for the first what nobody sees.
    pub fn detach(&mut self) {
        while self.links.pop().is_some() {}
    }
}
