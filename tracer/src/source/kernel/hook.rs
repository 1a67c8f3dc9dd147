//! Loading and attaching an object's programs on the tracepoint: what both objects (events, aggregates) need.

use std::path::Path;

use aya::{
    Ebpf, EbpfLoader, Endianness,
    maps::{Array, HashMap, LpmTrie, Map, MapError, lpm_trie::Key},
    programs::{BtfTracePoint, ProgramError},
};
use tracer_common::{
    filter::{Active, PORTS},
    member::Member,
};
use zerocopy::IntoBytes as _;

use crate::{
    filter::{Filter, addrs, ports},
    source::kernel::{
        HOOK, Link,
        error::Error,
        layout::Layout,
        limits,
        optional::{Hooks, OptionalHooks},
        preflight, surroundings, uninterrupted,
    },
};

/// The programs on the tracepoint: the main one, and one for events that occur on a CPU while the main one
/// is running there.
pub(super) const PROGRAMS: [&str; 2] = [HOOK, "inet_sock_set_state_nested"];

/// `Key<[u8; 16]>` has the size and alignment of the kernel program's `Key<[u32; 4]>`.
type AddrKey = [u8; 16];

/// What is known before an object is loaded: the kernel's facts and the user's filter.
pub(super) struct HookSetup<'a> {
    pub(super) layout: Layout,
    pub(super) kernel_types: aya::Btf,
    /// The optional hooks that this kernel has.
    pub(super) optional: OptionalHooks,
    filter: &'a Filter,
    active: Active,
    /// What takes the most memory, and what to do if it is not available: part of an error's text.
    memory: String,
}

impl<'a> HookSetup<'a> {
    /// Runs all checks that are possible before anything is loaded.
    pub(super) fn check(
        btf: Option<&Path>,
        filter: &'a Filter,
        hooks: Hooks,
        memory: String,
    ) -> Result<Self, Error> {
        preflight::kernel()?;
        preflight::privileges()?;
        preflight::lockdown()?;
        limits::locked_memory().map_err(preflight::Error::from)?;
        for hidden in surroundings::hidden() {
            log::warn!("{hidden}");
        }
        let kernel = preflight::btf(btf)?;
        if preflight::are_foreign(btf) {
            log::warn!(
                "the types from --btf are not those that this kernel shows: if they do not fit it, it refuses, or what is told is wrong"
            );
        }
        let layout = preflight::hook(&kernel)?;
        if !filter.netns.is_open() && layout.absent().contains(&Member::NetInum) {
            return Err(Error::Absent("network namespaces", "--netns"));
        }
        let optional = OptionalHooks::find(&kernel, &layout, hooks);
        Ok(Self {
            layout,
            kernel_types: kernel_types(btf)?,
            optional,
            filter,
            active: filter.active(),
            memory,
        })
    }

    /// A loader with the globals and map sizes for this kernel and filter.
    pub(super) fn loader(&self) -> EbpfLoader<'_> {
        let mut loader = EbpfLoader::new();
        loader
            .btf(Some(&self.kernel_types))
            .override_global("OFFSETS", &self.layout.offsets[..], true)
            .override_global("FLAG_BITS", &self.layout.flag_bits[..], true)
            .override_global("HELPERS", &self.layout.helpers[..], true)
            .override_global("ACTIVE", self.active.as_bytes(), true)
            .map_max_entries("ADDR_MARKS", map_size(addrs::marks(&self.filter.addrs).len()))
            .map_max_entries("NETNS", map_size(self.filter.netns.listed().count()));
        self.optional.set_globals(&mut loader);
        loader
    }

    /// Loads the object, fills the filter's tables, and loads the programs on the tracepoint.
    pub(super) fn load(&self, loader: &mut EbpfLoader<'_>, object: &[u8]) -> Result<Ebpf, Error> {
        let mut ebpf = loader.load(object).map_err(|error| Error::object(&self.memory, &error))?;
        self.fill_filter(&mut ebpf).map_err(Error::map("filling the filter's tables"))?;
        for name in PROGRAMS {
            let loaded = program(&mut ebpf, name)
                .and_then(|program| uninterrupted::load(|| program.load(HOOK, &self.kernel_types)));
            loaded.map_err(|error| Error::program("loading the program", &self.memory, &error))?;
        }
        Ok(ebpf)
    }

    /// Attaches the programs on the tracepoint, the main one first. After that nothing may fail.
    pub(super) fn attach(&self, ebpf: &mut Ebpf) -> Result<Vec<Link>, Error> {
        let attach = |name| {
            let program = program(ebpf, name)?;
            let link = program.attach().and_then(|id| program.take_link(id))?;
            Ok(Box::new(link) as Link)
        };
        let links: Result<_, ProgramError> = PROGRAMS.into_iter().map(attach).collect();
        links.map_err(|error| Error::program("attaching the program", &self.memory, &error))
    }

    /// The error for maps that could not be created.
    pub(super) fn map_error(&self, what: &'static str, error: &MapError) -> Error {
        Error::maps(what, &self.memory, error)
    }

    fn fill_filter(&self, ebpf: &mut Ebpf) -> Result<(), MapError> {
        if self.active.ports != 0 {
            let marks = ports::PortMarks::new(&self.filter.ports);
            let mut table: Array<_, [u8; PORTS]> = Array::try_from(map_named(ebpf, "PORT_MARKS")?)?;
            table.set(0, marks.table(), 0)?;
        }
        if self.active.addrs != 0 {
            let mut table: LpmTrie<_, AddrKey, u32> = LpmTrie::try_from(map_named(ebpf, "ADDR_MARKS")?)?;
            for (prefix, marks) in addrs::marks(&self.filter.addrs) {
                table.insert(&Key::new(u32::from(prefix.len), prefix.octets()), u32::from(marks), 0)?;
            }
        }
        if self.active.netns != 0 {
            let mut table: HashMap<_, u32, u64> = HashMap::try_from(map_named(ebpf, "NETNS")?)?;
            for netns in self.filter.netns.listed() {
                table.insert(netns.inum, u64::from(netns.cookie), 0)?;
            }
        }
        Ok(())
    }
}

/// The size of a map for so many entries: at least 1, because the kernel refuses empty maps.
fn map_size(entries: usize) -> u32 {
    u32::try_from(entries.max(1)).unwrap_or(u32::MAX)
}

fn program<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut BtfTracePoint, ProgramError> {
    ebpf.program_mut(name).ok_or(ProgramError::UnexpectedProgramType)?.try_into()
}

pub(super) fn map_named<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut Map, MapError> {
    ebpf.map_mut(name).ok_or_else(|| MapError::InvalidName { name: name.to_owned() })
}

/// Takes a map out of the object, to keep it.
pub(super) fn take_map(ebpf: &mut Ebpf, name: &str) -> Result<Map, MapError> {
    ebpf.take_map(name).ok_or_else(|| MapError::InvalidName { name: name.to_owned() })
}

fn kernel_types(path: Option<&Path>) -> Result<aya::Btf, Error> {
    let path = path.unwrap_or(Path::new(preflight::KERNEL_BTF));
    aya::Btf::parse_file(path, Endianness::default())
        .map_err(|error| Error::aya("reading the kernel's types", &error))
}
