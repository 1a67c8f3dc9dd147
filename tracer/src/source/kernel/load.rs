//! Loading the kernel program with what it has to know, and attaching it.

use std::{
    io,
    path::{Path, PathBuf},
};

use aya::{
    Ebpf, EbpfError, EbpfLoader, Endianness,
    maps::{Array, HashMap, LpmTrie, MapError, lpm_trie::Key},
    programs::{BtfTracePoint, ProgramError, tp_btf::BtfTracePointLink},
};
use tracer_common::{filter::PORTS, member::Member};
use zerocopy::IntoBytes as _;

use crate::{
    buffer::BufferSize,
    filter::{Filter, addrs, ports},
    source::kernel::{
        HOOK,
        layout::Layout,
        preflight,
        sockets::{self, Sockets},
        verdict::verdict,
    },
};

/// The kernel program, built by `cargo xtask ebpf`.
static OBJECT: &[u8] = aya::include_bytes_aligned!("../../../bpf/transitions.bpf.o");
/// The same with diagnostics of its own.
static DEBUG_OBJECT: &[u8] = aya::include_bytes_aligned!("../../../bpf/transitions-debug.bpf.o");

/// The programs on the tracepoint: the one that reports, and the one that does while the first is
/// interrupted.
const PROGRAMS: [&str; 2] = [HOOK, "inet_sock_set_state_nested"];

/// What the kernel program is to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// Size of the ring buffer.
    pub buffer: BufferSize,
    /// What to report.
    pub filter: Filter,
    /// Whether somebody will ask which sockets there are.
    pub asks_for_sockets: bool,
    /// Load the object with diagnostics.
    pub debug: bool,
    /// Other type information than the kernel's own.
    pub btf: Option<PathBuf>,
}

/// Why the kernel program does not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Seen before loading.
    #[error(transparent)]
    Preflight(#[from] preflight::Error),
    /// Not enough memory for the ring buffer.
    #[error("no memory for a ring buffer of {0}: give a smaller one with --buffer")]
    NoMemory(BufferSize),
    /// Refused although the capabilities are there.
    #[error(
        "the kernel refused ({what}: operation not permitted): a security module, seccomp, a container or a user namespace forbids BPF here; run tracer as root on the host itself"
    )]
    Refused {
        /// What was tried.
        what: &'static str,
    },
    /// The verifier's verdict.
    #[error(
        "the kernel's verifier refused the program; please report this with your kernel's version ({release}) and these last lines:\n{log}"
    )]
    Verifier {
        /// Kernel release.
        release: String,
        /// The end of its log.
        log: String,
    },
    /// The kernel lacks what a filter needs.
    #[error("this kernel does not tell {0}, so {1} cannot work here")]
    Absent(&'static str, &'static str),
    /// The iterators.
    #[error(transparent)]
    Sockets(#[from] Box<sockets::Error>),
    /// Anything else that aya says.
    #[error("{what}: {cause}")]
    Aya {
        /// What was tried.
        what: &'static str,
        /// What came back.
        cause: String,
    },
}

/// `Key<[u8; 16]>` has the size and alignment of the kernel program's `Key<[u32; 4]>`.
type AddrKey = [u8; 16];

/// The programs in the kernel. Dropping `links` detaches them.
pub struct Attached {
    /// Where the kernel keeps what.
    pub layout: Layout,
    /// The iterators over sockets.
    pub sockets: Option<Sockets>,
    /// Maps and program.
    pub ebpf: Ebpf,
    /// What ties the programs to the tracepoint.
    pub links: Vec<BtfTracePointLink>,
}

/// Loads and attaches; from here on events collect in the ring buffer.
pub fn load(options: &Options) -> Result<Attached, Error> {
    preflight::kernel()?;
    preflight::privileges()?;
    preflight::lockdown()?;
    preflight::descriptors()?;
    let layout = preflight::hook(&preflight::btf(options.btf.as_deref())?)?;
    let absent = layout.absent();
    if !options.filter.netns.is_empty() && absent.contains(&Member::NetInum) {
        return Err(Error::Absent("network namespaces", "--netns"));
    }
    let types = types(options.btf.as_deref())?;

    let mut ebpf = create(options, &layout, &types)?;
    fill_filter(&mut ebpf, options).map_err(|error| map_error("filling the filter's tables", &error))?;

    for name in PROGRAMS {
        let program = program(&mut ebpf, name, options)?;
        program.load(HOOK, &types).map_err(|error| program_error("loading the program", options, &error))?;
    }
    let sockets =
        if options.asks_for_sockets { Some(Sockets::load(&layout, &types).map_err(Box::new)?) } else { None };
    // Last: from here on events collect, and nothing may fail. The first program comes first on
    // the hook too.
    let mut links = Vec::new();
    for name in PROGRAMS {
        let program = program(&mut ebpf, name, options)?;
        let link = program.attach().and_then(|id| program.take_link(id));
        links.push(link.map_err(|error| program_error("attaching the program", options, &error))?);
    }
    Ok(Attached { layout, sockets, ebpf, links })
}

fn program<'a>(ebpf: &'a mut Ebpf, name: &str, options: &Options) -> Result<&'a mut BtfTracePoint, Error> {
    ebpf.program_mut(name)
        .ok_or(ProgramError::UnexpectedProgramType)
        .and_then(TryInto::try_into)
        .map_err(|error| program_error("finding the program", options, &error))
}

fn types(path: Option<&Path>) -> Result<aya::Btf, Error> {
    let path = path.unwrap_or(Path::new(preflight::KERNEL_BTF));
    aya::Btf::parse_file(path, Endianness::default())
        .map_err(|error| Error::Aya { what: "reading the kernel's types", cause: chain(&error) })
}

fn create(options: &Options, layout: &Layout, types: &aya::Btf) -> Result<Ebpf, Error> {
    let active = options.filter.active();
    let wake_bytes = options.buffer.wake_bytes();
    // A map needs room for one entry even if it is not used.
    let size = |entries: usize| u32::try_from(entries.max(1)).unwrap_or(u32::MAX);
    let mut loader = EbpfLoader::new();
    loader
        .btf(Some(types))
        .override_global("OFFSETS", &layout.offsets[..], true)
        .override_global("FLAG_BITS", &layout.flag_bits[..], true)
        .override_global("ACTIVE", active.as_bytes(), true)
        .override_global("WAKE_BYTES", &wake_bytes, true)
        .map_max_entries("EVENTS", options.buffer.bytes())
        .map_max_entries("ADDR_MARKS", size(addrs::marks(&options.filter.addrs).len()))
        .map_max_entries("NETNS", size(options.filter.netns.len()));
    let object = if options.debug { DEBUG_OBJECT } else { OBJECT };
    loader.load(object).map_err(|error| match &error {
        EbpfError::MapError(error) => match errno(error) {
            Some(ENOMEM) => Error::NoMemory(options.buffer),
            _ => map_error("creating the maps", error),
        },
        error => Error::Aya { what: "loading the object", cause: chain(error) },
    })
}

fn fill_filter(ebpf: &mut Ebpf, options: &Options) -> Result<(), MapError> {
    let Options { filter, .. } = options;
    let active = filter.active();
    if active.ports != 0 {
        let marks = ports::Marks::new(&filter.ports);
        let mut table: Array<_, [u8; PORTS]> = Array::try_from(named(ebpf, "PORT_MARKS")?)?;
        table.set(0, marks.table(), 0)?;
    }
    if active.addrs != 0 {
        let mut table: LpmTrie<_, AddrKey, u32> = LpmTrie::try_from(named(ebpf, "ADDR_MARKS")?)?;
        for (prefix, marks) in addrs::marks(&filter.addrs) {
            table.insert(&Key::new(u32::from(prefix.len), prefix.octets()), u32::from(marks), 0)?;
        }
    }
    if active.netns != 0 {
        let mut table: HashMap<_, u32, u8> = HashMap::try_from(named(ebpf, "NETNS")?)?;
        for inum in &filter.netns {
            table.insert(inum, 1, 0)?;
        }
    }
    Ok(())
}

fn named<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut aya::maps::Map, MapError> {
    ebpf.map_mut(name).ok_or(MapError::InvalidName { name: name.to_owned() })
}

const EPERM: i32 = 1;
const E2BIG: i32 = 7;
const ENOMEM: i32 = 12;
const EACCES: i32 = 13;
const EINVAL: i32 = 22;

/// The system's error number somewhere down the chain of causes.
fn errno(error: &(dyn std::error::Error + 'static)) -> Option<i32> {
    std::iter::successors(Some(error), |error| error.source())
        .find_map(|error| error.downcast_ref::<io::Error>()?.raw_os_error())
}

/// An error with its causes, for those that do not print them themselves.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

fn map_error(what: &'static str, error: &MapError) -> Error {
    match errno(error) {
        Some(EPERM) => Error::Refused { what },
        _ => Error::Aya { what, cause: chain(error) },
    }
}

fn program_error(what: &'static str, options: &Options, error: &ProgramError) -> Error {
    match (errno(error), error) {
        (Some(EPERM), _) => Error::Refused { what },
        (Some(ENOMEM), _) => Error::NoMemory(options.buffer),
        (Some(EACCES | EINVAL | E2BIG), ProgramError::LoadError { verifier_log, .. }) => {
            Error::Verifier { release: preflight::release(), log: verdict(&verifier_log.to_string()) }
        }
        _ => Error::Aya { what, cause: chain(error) },
    }
}
