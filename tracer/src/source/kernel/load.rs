//! Loading and attaching the program that reports events.

use std::{
    os::fd::{AsFd as _, BorrowedFd},
    panic::resume_unwind,
    path::PathBuf,
    thread,
};

use aya::{
    Ebpf,
    maps::{ArrayOfMaps, Map, MapData, MapError},
    util::online_cpus,
};
use aya_obj::generated::bpf_map_type::BPF_MAP_TYPE_RINGBUF;

use crate::{
    facts::hooks::HookReport,
    filter::Filter,
    source::kernel::{
        Link,
        buffer::BufferSize,
        error::Error,
        hook::{HookSetup, map_named, take_map},
        layout::Layout,
        optional::{CGROUP_HOOK, Hooks},
        sockets::Sockets,
    },
    tcp::reset::ResetReasons,
};

/// The kernel program, built by `cargo xtask ebpf`.
static OBJECT: &[u8] = aya::include_bytes_aligned!("../../../bpf/transitions.bpf.o");
/// The same with log messages of its own.
static DEBUG_OBJECT: &[u8] = aya::include_bytes_aligned!("../../../bpf/transitions-debug.bpf.o");

/// The most ring buffers: with more CPUs, some share one.
const MAX_RINGS: u32 = 64;

/// Options of the kernel program.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// Size of all ring buffers together.
    pub buffer: BufferSize,
    /// Which events to report.
    pub filter: Filter,
    /// Whether to load the iterators over sockets, too.
    pub asks_for_sockets: bool,
    /// Which optional hooks to use.
    pub hooks: Hooks,
    /// Whether to report RSTs that belong to no connection.
    pub stray_resets: bool,
    /// Whether to load the object with log messages.
    pub debug: bool,
    /// A file with type information to use instead of the kernel's own.
    pub btf: Option<PathBuf>,
}

/// The attached programs. Dropping `links` detaches them.
pub struct Attached {
    /// Offsets and numbers of the running kernel.
    pub layout: Layout,
    /// The iterators over sockets.
    pub sockets: Option<Sockets>,
    /// Programs and maps.
    pub ebpf: Ebpf,
    /// The ring buffers that the program fills.
    pub rings: Vec<MapData>,
    /// The size of each.
    pub ring_size: BufferSize,
    /// The ring buffer of cgroups that are made, if that is reported.
    pub cgroups: Option<Map>,
    /// Which optional hooks are in use.
    pub hooks: HookReport,
    /// The kernel's names for why it sends an RST.
    pub reset_reasons: ResetReasons,
    /// Keep the programs attached.
    pub links: Vec<Link>,
}

/// Loads and attaches the programs. From then on events collect in the ring buffers.
pub fn load(options: &LoadOptions) -> Result<Attached, Error> {
    let memory = format!("a buffer of {}: give a smaller one with --buffer", options.buffer);
    let mut setup = HookSetup::check(options.btf.as_deref(), &options.filter, options.hooks, memory)?;
    let rings = rings();
    let share = options.buffer.share(rings);
    let (ring_mask, wake_bytes) = (rings - 1, share.wake_bytes());
    let stray_resets = u32::from(options.stray_resets);
    let mut loader = setup.loader();
    loader
        .override_global("RING_MASK", &ring_mask, true)
        .override_global("WAKE_BYTES", &wake_bytes, true)
        .override_global("STRAY_RESETS", &stray_resets, true)
        .map_max_entries("EVENTS", rings);
    let mut ebpf = setup.load(&mut loader, if options.debug { DEBUG_OBJECT } else { OBJECT })?;
    setup.optional.load(&mut ebpf, &setup.kernel_types);
    let reset_reasons = std::mem::take(&mut setup.optional.reset_reasons);
    let (layout, types) = (setup.layout, &setup.kernel_types);
    let sockets =
        if options.asks_for_sockets { Some(Sockets::load(&layout, types).map_err(Box::new)?) } else { None };
    let rings = create_rings(&mut ebpf, rings, share)
        .map_err(|error| setup.map_error("creating the ring buffers", &error))?;
    // Attaching comes last, because from then on events collect.
    let mut links = setup.attach(&mut ebpf)?;
    let (optional, hooks) = setup.optional.attach(&mut ebpf);
    links.extend(optional);
    let reports_cgroups = hooks.used.iter().any(|hook| hook == CGROUP_HOOK);
    let cgroups = if reports_cgroups { take_map(&mut ebpf, "CGROUPS").ok() } else { None };
    Ok(Attached { layout, sockets, ebpf, rings, ring_size: share, cgroups, hooks, reset_reasons, links })
}

/// How many ring buffers to create: one for each CPU that is online, rounded up to a power of two.
fn rings() -> u32 {
    // If the number of CPUs is not known, all share one ring.
    let cpus = online_cpus().map_or(1, |cpus| cpus.len());
    u32::try_from(cpus).unwrap_or(MAX_RINGS).clamp(1, MAX_RINGS).next_power_of_two()
}

/// Creates the ring buffers, and puts them into the object's map of maps.
fn create_rings(ebpf: &mut Ebpf, rings: u32, size: BufferSize) -> Result<Vec<MapData>, MapError> {
    let Map::ArrayOfMaps(outer_map) = map_named(ebpf, "EVENTS")? else {
        return Err(MapError::InvalidName { name: "EVENTS".to_owned() });
    };
    let outer_map = outer_map.fd().as_fd();
    let created = (0..rings).map(|_| create_ring(size)).collect::<Result<Vec<_>, _>>()?;
    // After each change of the map the kernel waits until no program can see the old value, which takes some
    // 15 ms. Threads that wait at the same time share that wait.
    thread::scope(|scope| {
        let start = |(index, ring)| {
            let thread = thread::Builder::new().spawn_scoped(scope, move || set_ring(outer_map, index, ring));
            thread.map_err(|_| (index, ring))
        };
        let threads: Vec<_> = (0..).zip(&created).map(start).collect();
        threads.into_iter().try_for_each(|thread| match thread {
            Ok(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
            // The host has no room for a thread. This one takes longer.
            Err((index, ring)) => set_ring(outer_map, index, ring),
        })
    })?;
    Ok(created)
}

fn create_ring(size: BufferSize) -> Result<MapData, MapError> {
    let definition = aya_obj::Map::new_from_params(BPF_MAP_TYPE_RINGBUF as u32, 0, 0, size.bytes(), 0);
    MapData::create(definition, "EVENTS", None)
}

fn set_ring(outer_map: BorrowedFd<'_>, index: u32, ring: &MapData) -> Result<(), MapError> {
    let outer_map = outer_map.try_clone_to_owned().map_err(MapError::IoError)?;
    let mut outer_map: ArrayOfMaps<_, MapData> = Map::ArrayOfMaps(MapData::from_fd(outer_map)?).try_into()?;
    outer_map.set(index, ring, 0)
}
