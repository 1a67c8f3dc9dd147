//! Folding in the kernel: nothing crosses to user space but what is asked for.

use std::path::PathBuf;

use aya::{
    Ebpf,
    maps::{MapData, MapError, PerCpuArray, PerCpuHashMap},
};
use tracer_common::{
    event::Counter,
    fold::{PortKey, SHARE_WORDS, WAYS},
};

use crate::{
    facts::in_kernel::{Folded, Ports},
    filter::Filter,
    source::kernel::{
        Link,
        counts::Counts,
        error::Error,
        hook::{Ground, take},
        optional::Hooks,
    },
};

/// The kernel program, built by `cargo xtask ebpf`.
static OBJECT: &[u8] = aya::include_bytes_aligned!("../../../bpf/summary.bpf.o");

/// Sockets whose state's beginning is remembered, if nobody says otherwise: 16 MiB.
pub const SOCKETS: u32 = 1 << 20;

/// Room in each of the tables by port. A service takes one entry for each kind of transition, and
/// one for each power of two between its shortest and longest connections.
const BY_PORT: u32 = 1 << 16;

/// What is to be folded.
#[derive(Clone, Debug)]
pub struct Options {
    /// What to count.
    pub filter: Filter,
    /// Count for each service port, too.
    pub by_port: bool,
    /// Remember at least this many sockets, a power of two in the end; 16 bytes each.
    pub sockets: u32,
    /// Other type information than the kernel's own.
    pub btf: Option<PathBuf>,
}

type ByPort = PerCpuHashMap<MapData, u32, u64>;

/// The attached program and what it has folded. Dropping it detaches the program.
pub struct Fold {
    shares: PerCpuArray<MapData, [u64; SHARE_WORDS]>,
    by_port: Option<(ByPort, ByPort)>,
    counts: Counts,
    links: Vec<Link>,
    ebpf: Ebpf,
}

impl Fold {
    /// Loads and attaches; from here on it counts.
    pub fn load(options: &Options) -> Result<Self, Error> {
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
        let mut fold = Self::new(ebpf, options.by_port).map_err(Error::map("taking the maps"))?;
        fold.links = ground.attach(&mut fold.ebpf)?;
        Ok(fold)
    }

    fn new(mut ebpf: Ebpf, by_port: bool) -> Result<Self, MapError> {
        let mut port_table = |name| PerCpuHashMap::try_from(take(&mut ebpf, name)?);
        let by_port =
            if by_port { Some((port_table("PORT_TRANSITIONS")?, port_table("PORT_STAYS")?)) } else { None };
        Ok(Self {
            shares: PerCpuArray::try_from(take(&mut ebpf, "SHARES")?)?,
            by_port,
            counts: Counts::take(&mut ebpf)?,
            links: Vec::new(),
            ebpf,
        })
    }

    /// What has been folded since it was attached.
    pub fn read(&self) -> Result<Box<Folded>, MapError> {
        let mut folded = Box::<Folded>::default();
        for share in self.shares.get(&0, 0)?.iter() {
            folded.add(share);
        }
        if let Some((transitions, stays)) = &self.by_port {
            let mut ports = Ports::default();
            for entry in transitions {
                let (key, per_cpu) = entry?;
                ports.add_transitions(PortKey(key), per_cpu.iter().sum());
            }
            for entry in stays {
                let (key, per_cpu) = entry?;
                ports.add_stays(PortKey(key), per_cpu.iter().sum());
            }
            folded.ports = ports.into();
        }
        folded.evicted = self.counts.of(Counter::Evicted);
        folded.no_room = self.counts.of(Counter::NoRoom);
        folded.filtered = self.counts.of(Counter::Filtered);
        folded.missed = self.counts.missed();
        Ok(folded)
    }

    /// Stops counting; what is folded can still be read. The second program goes first, so that it
    /// does not count for the first what nobody sees.
    pub fn detach(&mut self) {
        while self.links.pop().is_some() {}
    }
}
