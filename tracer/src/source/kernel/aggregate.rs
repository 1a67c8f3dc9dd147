//! Counting in the kernel (`summary --in-kernel`): no event crosses to user space, only the counts when they
//! are read.

use std::path::PathBuf;

use aya::{
    Ebpf,
    maps::{MapData, MapError, PerCpuArray, PerCpuHashMap},
};
use tracer_common::{
    aggregate::{PortKey, SHARE_WORDS, WAYS},
    event::Counter,
};

use crate::{
    facts::{
        in_kernel::{KernelAggregate, PortCounts},
        names::FilterNames,
    },
    filter::Filter,
    source::{
        self,
        kernel::{
            Link,
            clock::{self, anchor},
            counts::ProgramCounts,
            error::Error,
            hook::{HookSetup, take_map},
            names::HostNames,
            optional::Hooks,
        },
    },
    time::clock::Anchor,
};

/// The kernel program, built by `cargo xtask ebpf`.
static OBJECT: &[u8] = aya::include_bytes_aligned!("../../../bpf/summary.bpf.o");

/// The default of [`AggregateOptions::sockets`]: 16 MiB.
const DEFAULT_SOCKETS: u32 = 1 << 20;

/// Entries in each table by port. A service takes one for each pair of states, and one for each power of two
/// between its shortest and longest durations.
const PORT_ENTRIES: u32 = 1 << 16;

/// What is to be counted.
#[derive(Clone, Debug)]
pub struct AggregateOptions {
    /// Which sockets to count. The filter lacks the namespaces that are named below.
    pub filter: Filter,
    /// The names in the filter.
    pub names: FilterNames,
    /// Whether to count by service port, too.
    pub by_port: bool,
    /// For how many sockets the program remembers when they entered their state; 16 bytes each, rounded up
    /// to a power of two.
    pub sockets: u32,
    /// A file with type information to use instead of the kernel's own.
    pub btf: Option<PathBuf>,
}

impl AggregateOptions {
    /// Options with the default number of sockets.
    #[must_use]
    pub fn new(filter: Filter, names: FilterNames, by_port: bool, btf: Option<PathBuf>) -> Self {
        Self { filter, names, by_port, sockets: DEFAULT_SOCKETS, btf }
    }
}

type ByPort = PerCpuHashMap<MapData, u32, u64>;

/// The attached program and its counts. Dropping it detaches the program.
pub struct AggregateProgram {
    shares: PerCpuArray<MapData, [u64; SHARE_WORDS]>,
    by_port: Option<(ByPort, ByPort)>,
    counts: ProgramCounts,
    links: Vec<Link>,
    ebpf: Ebpf,
}

impl AggregateProgram {
    /// Loads and attaches the program, which counts from then on.
    pub fn load(options: &AggregateOptions) -> Result<Self, source::Error> {
        let netns = options.names.resolve(&mut HostNames::default())?.netns;
        let sets = options.sockets.div_ceil(WAYS).max(1).next_power_of_two();
        let memory = format!("a table of {} sockets", sets.saturating_mul(WAYS));
        // For stories the kernel lets more events pass, which user space filters again. Here it does not.
        let filter = Filter { netns, for_stories: false, ..options.filter.clone() };
        let setup = HookSetup::check(options.btf.as_deref(), &filter, Hooks::Minimal, memory)?;
        let (set_mask, by_port) = (sets - 1, u8::from(options.by_port));
        let ports = if options.by_port { PORT_ENTRIES } else { 1 };
        let mut loader = setup.loader();
        loader
            .override_global("SET_MASK", &set_mask, true)
            .override_global("BY_PORT", &by_port, true)
            .map_max_entries("SETS", sets)
            .map_max_entries("PORT_TRANSITIONS", ports)
            .map_max_entries("PORT_STAYS", ports);
        let ebpf = setup.load(&mut loader, OBJECT)?;
        let mut program = Self::new(ebpf, options.by_port).map_err(Error::map("taking the maps"))?;
        program.links = setup.attach(&mut program.ebpf)?;
        Ok(program)
    }

    fn new(mut ebpf: Ebpf, by_port: bool) -> Result<Self, MapError> {
        let mut port_table = |name| PerCpuHashMap::try_from(take_map(&mut ebpf, name)?);
        let by_port =
            if by_port { Some((port_table("PORT_TRANSITIONS")?, port_table("PORT_STAYS")?)) } else { None };
        Ok(Self {
            shares: PerCpuArray::try_from(take_map(&mut ebpf, "SHARES")?)?,
            by_port,
            counts: ProgramCounts::take(&mut ebpf)?,
            links: Vec::new(),
            ebpf,
        })
    }

    /// The two clocks' readings now.
    #[must_use]
    pub fn now(&self) -> Anchor {
        anchor()
    }

    /// Waits until this time of the kernel's monotonic clock, in nanoseconds; for ever if `None`.
    pub async fn until(&self, due_ns: Option<u64>) {
        clock::until(due_ns).await;
    }

    /// Reads the counts since the program was attached.
    pub fn read(&self) -> Result<Box<KernelAggregate>, Error> {
        self.aggregate().map_err(Error::reading)
    }

    fn aggregate(&self) -> Result<Box<KernelAggregate>, MapError> {
        let mut aggregate = Box::<KernelAggregate>::default();
        for share in self.shares.get(&0, 0)?.iter() {
            aggregate.add(share);
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
            aggregate.ports = ports.into();
        }
        aggregate.evicted = self.counts.of(Counter::Evicted);
        aggregate.no_room = self.counts.of(Counter::NoRoom);
        aggregate.filtered = self.counts.of(Counter::Filtered);
        aggregate.missed = self.counts.missed();
        Ok(aggregate)
    }

    /// Stops counting; the counts can still be read. The second program is detached first, so that it never
    /// counts events in place of a first one that is gone.
    pub fn detach(&mut self) {
        while self.links.pop().is_some() {}
    }
}
