//! Listing the sockets that exist, with BPF iterators of our own. They give cookies, the processes that hold
//! a socket, and timewait sockets, in one pass each. Where the kernel's iterator over the sockets of a namespace has a fault,
//! `sock_diag` lists those.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io::{self, ErrorKind, Read},
};

use aya::{
    Ebpf, EbpfLoader,
    programs::{Iter, ProgramError, links::LinkError},
};
use rustix::io::Errno;
use tracer_common::{
    Event,
    event::{Holder, TimewaitSocket, flag},
    helper::Helper,
    state,
};
use zerocopy::{FromBytes, Immutable, KnownLayout};

use crate::source::kernel::{
    clock::tick_ns, faults, layout::Layout, namespaces, sock_diag, uninterrupted, verdict::verdict,
};

/// The iterators, built by `cargo xtask ebpf`.
static OBJECT: &[u8] = aya::include_bytes_aligned!("../../../bpf/sockets.bpf.o");

/// Iterates over all file descriptors of all processes, in all namespaces.
const HOLDERS: &str = "holders";
/// The same, but only who holds what.
const HOLDING: &str = "holding";
/// Iterates over all sockets of the thread's network namespace.
const SOCKETS: &str = "sockets";
/// The same, for full sockets only.
const LIVE: &str = "live";
/// The same, for listeners only.
const LISTENING: &str = "listening";
/// The same, for timewait sockets only.
const TIMEWAIT: &str = "waiting";

/// The most bytes that are read of listeners: as many as a hundred thousand have.
const MOST_LISTENING: u64 = 16 << 20;
/// How much is read at once: the kernel's own buffer for an iterator has 8 pages.
const PIECE: usize = 32 << 10;

/// What an iterator has given.
pub struct Records<T> {
    /// The records.
    pub records: Vec<T>,
    /// There are more, which were not waited for.
    pub is_cut_off: bool,
}

/// Ages of sockets.
pub struct Ages {
    /// In milliseconds, by cookie.
    pub by_cookie: HashMap<u64, u32>,
    /// They are those of all network namespaces.
    pub are_of_all: bool,
}

/// Why the sockets cannot be listed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The object cannot be loaded.
    #[error("loading the iterators over sockets: {0}")]
    Load(#[from] aya::EbpfError),
    /// A program cannot be loaded or attached.
    #[error("loading the iterators over sockets: {}", error_text(.0))]
    Program(#[from] ProgramError),
    /// An iterator cannot be started.
    #[error("starting an iterator over sockets: {0}")]
    Link(#[from] LinkError),
    /// An iterator cannot be read.
    #[error("reading an iterator over sockets: {0}")]
    Read(#[from] io::Error),
    /// The kernel does not list its sockets.
    #[error("asking the kernel for its sockets: {error}{}", remedy(.error))]
    Diag {
        /// ENOENT if it cannot.
        error: io::Error,
    },
}

fn remedy(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::ENOENT) => " (load the kernel's module tcp_diag)",
        _ => "",
    }
}

/// A program's error, with only the end of the verifier's log.
fn error_text(error: &ProgramError) -> String {
    match error {
        ProgramError::LoadError { io_error, verifier_log } => {
            format!("{io_error}: {}", verdict(&verifier_log.to_string()))
        }
        error => error.to_string(),
    }
}

/// The loaded iterators.
pub struct Sockets {
    ebpf: Ebpf,
    /// The iterator over holders gives only the cookie of a socket, not its other facts.
    holders_lack_facts: bool,
    /// The kernel's iterator over the sockets of a namespace has a fault.
    uses_sock_diag: bool,
}

impl Sockets {
    /// Loads the iterators.
    pub fn load(layout: &Layout, types: &aya::Btf) -> Result<Self, Error> {
        let mut ebpf = EbpfLoader::new()
            .btf(Some(types))
            .override_global("OFFSETS", &layout.offsets[..], true)
            .override_global("FLAG_BITS", &layout.flag_bits[..], true)
            .override_global("HELPERS", &layout.helpers[..], true)
            .override_global("TICK_NS", &tick_ns(), true)
            .load(OBJECT)?;
        // Where programs cannot read cookies, the kernel is older than the fault, and sockets have numbers by their addresses,
        // which sock_diag does not tell.
        let uses_sock_diag = layout.has(Helper::SocketCookie) && faults::has_faulty_iterator(types);
        let over_namespace: &[_] = if uses_sock_diag {
            &[]
        } else {
            &[SOCKETS, LIVE, LISTENING, TIMEWAIT].map(|name| (name, "tcp"))
        };
        for (name, kind) in [(HOLDERS, "task_file"), (HOLDING, "task_file")].iter().chain(over_namespace) {
            let program = program(&mut ebpf, name)?;
            uninterrupted::load(|| program.load(kind, types))?;
        }
        Ok(Self { ebpf, holders_lack_facts: !layout.has(Helper::SocketOfFile), uses_sock_diag })
    }

    /// All TCP sockets that a process holds, once for each holder. If the kernel's iterator gives only
    /// cookies, they are to be [completed](Self::complete). `may_go_on` is asked every now and then.
    pub fn holders(&mut self, may_go_on: impl Fn() -> bool) -> Result<Records<Event>, Error> {
        records(self.start(HOLDERS)?, may_go_on)
    }

    /// Adds what the iterator over holders could not tell, where `sockets` have it, and the other way round.
    pub fn complete(&self, holders: &mut Vec<Event>, sockets: &mut [Event]) {
        if holders.iter().any(|holder| holder.flags & flag::BARE != 0) {
            join_holders(holders, sockets);
        }
        if self.holders_lack_facts {
            // Sockets of any kind.
            holders.retain(|holder| holder.flags & flag::BARE == 0);
        }
        if self.uses_sock_diag {
            join_sockets(sockets, holders);
        }
    }

    /// Who holds which sockets, once for each file descriptor. Before 5.11 sockets of any kind are among them.
    pub fn holding(&mut self, may_go_on: impl Fn() -> bool) -> Result<Records<Holder>, Error> {
        records(self.start(HOLDING)?, may_go_on)
    }

    /// All TCP sockets of this thread's network namespace, without holders. `inum` is the number of that namespace.
    pub fn sockets(&mut self, inum: u32) -> Result<Vec<Event>, Error> {
        self.list(SOCKETS, || sock_diag::sockets(namespaces::here(inum)))
    }

    /// All full TCP sockets of this thread's network namespace, without holders.
    pub fn live(&mut self, inum: u32) -> Result<Vec<Event>, Error> {
        self.list(LIVE, || sock_diag::live(namespaces::here(inum)))
    }

    /// All listeners of this thread's network namespace. It takes little time, however many other sockets there are. Half-open
    /// connections may not be counted.
    pub fn listening(&mut self, inum: u32) -> Result<Vec<Event>, Error> {
        let mut listeners = self.list(LISTENING, || sock_diag::listeners(namespaces::here(inum)))?;
        // The filler behind them, where the kernel's buffer has room for it.
        listeners.truncate(listeners.iter().take_while(|listener| listener.cookie != 0).count());
        Ok(listeners)
    }

    /// All timewait sockets of this thread's network namespace.
    pub fn timewait(&mut self) -> Result<Vec<TimewaitSocket>, Error> {
        self.list(TIMEWAIT, sock_diag::timewait)
    }

    /// How long full sockets have been in their states at least, in milliseconds, by cookie: those of this thread's network
    /// namespace, or those of all.
    pub fn ages_ms(&mut self) -> Result<Ages, Error> {
        let found = if self.uses_sock_diag { self.holders(|| true)?.records } else { self.run(LIVE)? };
        let known = found.iter().filter(|event| event.in_state_at_least_ms() > 0);
        let by_cookie = known.map(|event| (event.cookie, event.in_state_at_least_ms())).collect();
        Ok(Ages { by_cookie, are_of_all: self.uses_sock_diag })
    }

    /// Lists sockets of this thread's network namespace in the way that is safe on this kernel.
    fn list<T: FromBytes + Immutable + KnownLayout>(
        &mut self,
        iterator: &str,
        diag: impl FnOnce() -> io::Result<Vec<T>>,
    ) -> Result<Vec<T>, Error> {
        if self.uses_sock_diag { diag().map_err(|error| Error::Diag { error }) } else { self.run(iterator) }
    }

    fn run<T: FromBytes + Immutable + KnownLayout>(&mut self, name: &str) -> Result<Vec<T>, Error> {
        let file = self.start(name)?;
        let found = if name == LISTENING {
            records(file.take(MOST_LISTENING), || true)
        } else {
            records(file, || true)
        };
        Ok(found?.records)
    }

    fn start(&mut self, name: &str) -> Result<File, Error> {
        let program = program(&mut self.ebpf, name)?;
        let link = program.attach()?;
        Ok(program.take_link(link)?.into_file()?)
    }
}

/// Replaces holders of which only the cookie of their socket is known.
fn join_holders(holders: &mut [Event], sockets: &[Event]) {
    let sockets: HashMap<_, _> = sockets.iter().map(|socket| (socket.cookie, socket)).collect();
    for holder in holders.iter_mut().filter(|holder| holder.flags & flag::BARE != 0) {
        if let Some(socket) = sockets.get(&holder.cookie) {
            *holder = Event { pid: holder.pid, tid: holder.tid, comm: holder.comm, ..**socket };
        }
    }
}

/// What a process sets on its socket, or where it comes from, which sock_diag does not tell.
const ONLY_OF_HOLDERS: u16 = flag::CONNECTED
    | flag::ACCEPTED
    | flag::TRANSPARENT
    | flag::LINGER_ZERO
    | flag::KEEPALIVE
    | flag::FASTOPEN_CONNECT;

/// Adds to sockets what only the iterator over holders tells of them.
fn join_sockets(sockets: &mut [Event], holders: &[Event]) {
    let full = || holders.iter().filter(|holder| holder.flags & flag::BARE == 0);
    let by_cookie: HashMap<_, _> = full().map(|holder| (holder.cookie, holder)).collect();
    let with_lookup: HashSet<_> =
        full().filter(|holder| holder.flags & flag::LOOKUP != 0).map(|holder| holder.netns).collect();
    for socket in sockets {
        if with_lookup.contains(&socket.netns) {
            socket.flags |= flag::LOOKUP;
        }
        let Some(holder) = by_cookie.get(&socket.cookie) else {
            continue;
        };
        socket.flags |= holder.flags & ONLY_OF_HOLDERS;
        if holder.new_state == state::LISTEN && socket.new_state == state::LISTEN {
            socket.linger2 = holder.linger2;
        } else if holder.new_state == socket.new_state && socket.flags & flag::TIME_WAIT == 0 {
            // It was in the same state before, so this holds now, too.
            socket.idle_jiffies = socket.idle_jiffies.max(holder.idle_jiffies);
        }
    }
}

fn program<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut Iter, ProgramError> {
    ebpf.program_mut(name).ok_or(ProgramError::UnexpectedProgramType)?.try_into()
}

/// Reads the records of an iterator until `may_go_on`, which is asked before each read, says no. The kernel writes whole
/// records, but a read may end within one. An iterator that ends itself does so with E2BIG.
fn records<T: FromBytes + Immutable + KnownLayout>(
    mut file: impl Read,
    may_go_on: impl Fn() -> bool,
) -> Result<Records<T>, Error> {
    let (mut bytes, mut piece) = (Vec::new(), vec![0; PIECE]);
    let is_cut_off = loop {
        if !may_go_on() {
            break true;
        }
        match file.read(&mut piece) {
            Ok(0) => break false,
            Ok(len) => bytes.extend_from_slice(&piece[..len]),
            // After a million objects without a record (`MAX_ITER_OBJECTS`) the kernel wants to be asked again.
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) if error.raw_os_error() == Some(Errno::TOOBIG.raw_os_error()) => break false,
            Err(error) => return Err(error.into()),
        }
    };
    let chunks = bytes.chunks_exact(size_of::<T>());
    Ok(Records { records: chunks.filter_map(|chunk| T::read_from_bytes(chunk).ok()).collect(), is_cut_off })
}
