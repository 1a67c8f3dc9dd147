//! Loading the kernel program with what it has to know, and attaching it.

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
    facts::hooks::{HookReport, Hooks},
    filter::Filter,
    source::kernel::{
        Link,
        buffer::BufferSize,
        error::Error,
        hook::{Ground, named},
        layout::Layout,
        sockets::Sockets,
    },
    tcp::reset::ResetReasons,
};

/// The kernel program, built by `cargo xtask ebpf`.
static OBJECT: &[u8] = aya::include_bytes_aligned!("../../../bpf/transitions.bpf.o");
/// The same with diagnostics of its own.
static DEBUG_OBJECT: &[u8] = aya::include_bytes_aligned!("../../../bpf/transitions-debug.bpf.o");

/// With more CPUs than that some share a ring buffer.
const MOST_RINGS: u32 = 64;

/// What the kernel program is to do.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// Size of all ring buffers together.
    pub buffer: BufferSize,
    /// What to report.
    pub filter: Filter,
    /// Whether somebody will ask which sockets there are.
    pub asks_for_sockets: bool,
    /// Which of the hooks that it can do without.
    pub hooks: Hooks,
    /// Whether to report RSTs that belong to no connection.
    pub stray_resets: bool,
    /// Load the object with diagnostics.
    pub debug: bool,
    /// Other type information than the kernel's own.
    pub btf: Option<PathBuf>,
}

/// The programs in the kernel. Dropping `links` detaches them.
pub struct Attached {
    /// Where the kernel keeps what.
    pub layout: Layout,
    /// The iterators over sockets.
    pub sockets: Option<Sockets>,
    /// Maps and program.
    pub ebpf: Ebpf,
    /// The ring buffers that the program fills.
    pub rings: Vec<MapData>,
    /// What became of the hooks that it can do without.
    pub hooks: HookReport,
    /// The kernel's names of why it sends an RST.
    pub reset_reasons: ResetReasons,
    /// What ties the programs to the tracepoints.
    pub links: Vec<Link>,
}

/// Loads and attaches; from here on events collect in the ring buffers.
pub fn load(options: &LoadOptions) -> Result<Attached, Error> {
    let memory = format!("a buffer of {}: give a smaller one with --buffer", options.buffer);
    let mut ground = Ground::find(options.btf.as_deref(), &options.filter, options.hooks, memory)?;
    let rings = rings();
    let share = options.buffer.share(rings);
    let (ring_mask, wake_bytes) = (rings - 1, share.wake_bytes());
    let stray_resets = u32::from(options.stray_resets);
    let mut loader = ground.loader();
    loader
        .override_global("RING_MASK", &ring_mask, true)
        .override_global("WAKE_BYTES", &wake_bytes, true)
        .override_global("STRAY_RESETS", &stray_resets, true)
        .map_max_entries("EVENTS", rings);
    let mut ebpf = ground.load(&mut loader, if options.debug { DEBUG_OBJECT } else { OBJECT })?;
    ground.offer.load(&mut ebpf, &ground.types);
    let reset_reasons = std::mem::take(&mut ground.offer.reset_reasons);
    let (layout, types) = (ground.layout, &ground.types);
    let sockets =
        if options.asks_for_sockets { Some(Sockets::load(&layout, types).map_err(Box::new)?) } else { None };
    let rings = fill(&mut ebpf, rings, share)
        .map_err(|error| ground.map_error("creating the ring buffers", &error))?;
    // Last: from here on events collect.
    let mut links = ground.attach(&mut ebpf)?;
    let (optional, hooks) = ground.offer.attach(&mut ebpf);
    links.extend(optional);
    Ok(Attached { layout, sockets, ebpf, rings, hooks, reset_reasons, links })
}

/// How many ring buffers: one for each CPU that is online, and a power of two.
fn rings() -> u32 {
    // Where the system does not tell, all share one.
    let cpus = online_cpus().map_or(1, |cpus| cpus.len());
    u32::try_from(cpus).unwrap_or(MOST_RINGS).clamp(1, MOST_RINGS).next_power_of_two()
}

/// Makes the ring buffers. The object's own says only what they look like.
fn fill(ebpf: &mut Ebpf, rings: u32, size: BufferSize) -> Result<Vec<MapData>, MapError> {
    let Map::ArrayOfMaps(places) = named(ebpf, "EVENTS")? else {
        return Err(MapError::InvalidName { name: "EVENTS".to_owned() });
    };
    let places = places.fd().as_fd();
    let made = (0..rings).map(|_| make(size)).collect::<Result<Vec<_>, _>>()?;
    // The kernel waits after each until no program can see what was there before, some 15 ms. Those
    // who wait at the same time wait together.
    thread::scope(|scope| {
        let put = |(index, ring)| {
            let put = thread::Builder::new().spawn_scoped(scope, move || put(places, index, ring));
            put.map_err(MapError::IoError)
        };
        let put = (0..).zip(&made).map(put).collect::<Result<Vec<_>, _>>()?;
        put.into_iter().try_for_each(|put| put.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })?;
    Ok(made)
}

fn make(size: BufferSize) -> Result<MapData, MapError> {
    let definition = aya_obj::Map::new_from_params(BPF_MAP_TYPE_RINGBUF as u32, 0, 0, size.bytes(), 0);
    MapData::create(definition, "EVENTS", None)
}

fn put(places: BorrowedFd<'_>, index: u32, ring: &MapData) -> Result<(), MapError> {
    let places = places.try_clone_to_owned().map_err(MapError::IoError)?;
    let mut places: ArrayOfMaps<_, MapData> = Map::ArrayOfMaps(MapData::from_fd(places)?).try_into()?;
    places.set(index, ring, 0)
}
