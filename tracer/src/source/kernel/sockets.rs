//! Asking the kernel which sockets there are: iterators of our own, because they tell cookies,
//! holders and timewait sockets in one pass each.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read as _},
};

use aya::{
    Ebpf, EbpfLoader,
    programs::{Iter, ProgramError, links::LinkError},
};
use tracer_common::{Event, event::Waiting as TimewaitSocket, helper::Helper};
use zerocopy::{FromBytes, Immutable, KnownLayout};

use crate::source::kernel::{layout::Layout, verdict::verdict};

/// The iterators, built by `cargo xtask ebpf`.
static OBJECT: &[u8] = aya::include_bytes_aligned!("../../../bpf/sockets.bpf.o");

/// Every descriptor of every process, in all namespaces.
const HOLDERS: &str = "holders";
/// Every socket of the thread's network namespace.
const SOCKETS: &str = "sockets";
/// Those of them that are full sockets.
const LIVE: &str = "live";
/// Every timewait socket of the thread's network namespace.
const TIMEWAIT: &str = "waiting";

/// Why the kernel does not answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The object.
    #[error("loading the iterators over sockets: {0}")]
    Load(#[from] aya::EbpfError),
    /// A program.
    #[error("loading the iterators over sockets: {}", told(.0))]
    Program(#[from] ProgramError),
    /// Its link.
    #[error("starting an iterator over sockets: {0}")]
    Link(#[from] LinkError),
    /// Its output.
    #[error("reading an iterator over sockets: {0}")]
    Read(#[from] io::Error),
}

/// A program's error, without the verifier's whole log.
fn told(error: &ProgramError) -> String {
    match error {
        ProgramError::LoadError { io_error, verifier_log } => {
            format!("{io_error}\n{}", verdict(&verifier_log.to_string()))
        }
        error => error.to_string(),
    }
}

/// The loaded iterators.
pub struct Sockets {
    ebpf: Ebpf,
    /// Holders come with no more than the socket's identity.
    names_holders_only: bool,
}

impl Sockets {
    /// Loads them.
    pub fn load(layout: &Layout, types: &aya::Btf) -> Result<Self, Error> {
        let mut ebpf = EbpfLoader::new()
            .btf(Some(types))
            .override_global("OFFSETS", &layout.offsets[..], true)
            .override_global("FLAG_BITS", &layout.flag_bits[..], true)
            .override_global("HELPERS", &layout.helpers[..], true)
            .load(OBJECT)?;
        for (name, kind) in [(HOLDERS, "task_file"), (SOCKETS, "tcp"), (LIVE, "tcp"), (TIMEWAIT, "tcp")] {
            program(&mut ebpf, name)?.load(kind, types)?;
        }
        Ok(Self { ebpf, names_holders_only: !layout.has(Helper::SocketOfFile) })
    }

    /// Every TCP socket that a process holds, once for each holder. `known`: where the kernel names only
    /// the holders, those that there are.
    pub fn holders(&mut self, known: &[Event]) -> Result<Vec<Event>, Error> {
        let holders = self.pass(HOLDERS)?;
        Ok(if self.names_holders_only { joined(&holders, known) } else { holders })
    }

    /// Every TCP socket of the network namespace that this thread is in; without holders.
    pub fn sockets(&mut self) -> Result<Vec<Event>, Error> {
        self.pass(SOCKETS)
    }

    /// The same without those that are no full sockets any more.
    pub fn live(&mut self) -> Result<Vec<Event>, Error> {
        self.pass(LIVE)
    }

    /// Every timewait socket of the network namespace that this thread is in.
    pub fn timewait(&mut self) -> Result<Vec<TimewaitSocket>, Error> {
        self.pass(TIMEWAIT)
    }

    fn pass<T: FromBytes + Immutable + KnownLayout>(&mut self, name: &str) -> Result<Vec<T>, Error> {
        let program = program(&mut self.ebpf, name)?;
        let link = program.attach()?;
        records(program.take_link(link)?.into_file()?)
    }
}

/// The sockets with their holders; what is held and no such socket is left out.
fn joined(holders: &[Event], sockets: &[Event]) -> Vec<Event> {
    let sockets: HashMap<_, _> = sockets.iter().map(|socket| (socket.cookie, socket)).collect();
    let join = |holder: &Event| {
        let socket = *sockets.get(&holder.cookie)?;
        Some(Event { pid: holder.pid, tid: holder.tid, comm: holder.comm, ..*socket })
    };
    holders.iter().filter_map(join).collect()
}

fn program<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut Iter, ProgramError> {
    ebpf.program_mut(name).ok_or(ProgramError::UnexpectedProgramType)?.try_into()
}

/// The kernel fills whole records only, but ends reads where it likes.
fn records<T: FromBytes + Immutable + KnownLayout>(mut file: File) -> Result<Vec<T>, Error> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes.chunks_exact(size_of::<T>()).filter_map(|chunk| T::read_from_bytes(chunk).ok()).collect())
}
