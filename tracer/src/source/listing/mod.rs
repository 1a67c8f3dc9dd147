//! The sockets that are there now, from netlink and `/proc`: without BPF, and without privileges.
//!
//! # Layout
//! - here: [`list`] visits the network namespaces that are asked for
//! - `inet`: sockets of TCP and UDP; `unix`: those of this host
//! - `owners`: which processes hold them

mod inet;
mod owners;
mod unix;

use std::{
    cell::OnceCell,
    collections::{HashMap, HashSet},
    io,
    path::PathBuf,
    thread,
};

use netlink_sys::protocols::NETLINK_SOCK_DIAG;
use tracer_common::{filter::family, state};

use crate::{
    facts::{
        interfaces::{DeviceKey, Interfaces},
        listing::{KnownSince, ListedSocket, Listing, Protocol},
    },
    source::{
        inet_diag,
        kernel::{ages::KnownAges, clock, devices, namespaces},
        listing::{inet::Wanted, owners::Owners},
        netlink::Netlink,
    },
    tcp::{
        endpoint::Tuple,
        netns::{NetnsFilter, NetnsId},
    },
};

/// Why sockets cannot be listed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel does not answer.
    #[error("asking the kernel for its sockets: {0}")]
    Netlink(#[source] io::Error),
    /// There can be no thread to enter namespaces with.
    #[error("starting a thread: {0}")]
    Thread(#[source] io::Error),
    /// None of the namespaces that are asked for could be entered.
    #[error("none of the network namespaces can be entered: run as root, or with CAP_SYS_ADMIN")]
    NoNetns,
}

/// Where to look.
#[derive(Clone, Debug, Default)]
pub enum Where {
    /// In this process's own network namespace.
    #[default]
    Here,
    /// In all that pass.
    Namespaces(NetnsFilter),
}

/// What to list.
#[derive(Clone, Debug)]
pub struct ListingOptions {
    /// The kinds of sockets.
    pub protocols: Vec<Protocol>,
    /// A bit for each state of TCP, by the kernel's number.
    pub states: u32,
    /// Address families, as bits of [`family`].
    pub families: u8,
    /// Whether what the kernel knows of each connection is wanted, which takes time.
    pub info: bool,
    /// Whether holders are wanted.
    pub owners: bool,
    /// Network namespaces.
    pub place: Where,
    /// Since when sockets are in their states, as far as somebody knows who has seen that, by cookie.
    pub known: HashMap<u64, KnownSince>,
    /// Paths of namespaces that the user gave.
    pub given: Vec<PathBuf>,
}

/// Lists the sockets that `selects` selects, and the names of the devices that they are bound to. It is asked before holders
/// are known.
pub fn list(
    options: &ListingOptions,
    selects: &(dyn Fn(&ListedSocket) -> bool + Sync),
) -> Result<(Listing, Interfaces), Error> {
    let mut found = Visit::new(selects);
    match &options.place {
        Where::Here => found.list_here(options, namespaces::current().unwrap_or_default())?,
        // Entering a namespace moves the whole thread.
        Where::Namespaces(filter) => {
            let visit = || found.visit(options, filter);
            thread::scope(|scope| {
                let visitor = thread::Builder::new().name("tracer-list".into()).spawn_scoped(scope, visit);
                visitor.map_err(Error::Thread)?.join().unwrap_or(Err(Error::NoNetns))
            })?;
        }
    }
    if options.owners {
        Owners::search(&found.listing.sockets).give(&mut found.listing);
    }
    Ok((found.listing, found.interfaces))
}

/// What was found so far.
struct Visit<'a> {
    selects: &'a (dyn Fn(&ListedSocket) -> bool + Sync),
    listing: Listing,
    interfaces: Interfaces,
    seen: HashSet<u64>,
    /// Loaded when they are first needed, if that is allowed.
    ages: OnceCell<Option<KnownAges>>,
}

impl<'a> Visit<'a> {
    fn new(selects: &'a (dyn Fn(&ListedSocket) -> bool + Sync)) -> Self {
        Self {
            selects,
            listing: Listing::begun(clock::anchor()),
            interfaces: Interfaces::default(),
            seen: HashSet::new(),
            ages: OnceCell::new(),
        }
    }

    fn visit(&mut self, options: &ListingOptions, filter: &NetnsFilter) -> Result<(), Error> {
        let (visited, refused) =
            namespaces::visit(&options.given, filter, |inum| self.list_here(options, inum))?;
        match (visited, refused) {
            (0, 1..) => Err(Error::NoNetns),
            (_, 0) => Ok(()),
            _ => {
                let text = format!("{refused} network namespaces cannot be entered: run as root");
                self.listing.missing.push(text);
                Ok(())
            }
        }
    }

    /// Lists the sockets of the namespace that this thread is in.
    fn list_here(&mut self, options: &ListingOptions, inum: u32) -> Result<(), Error> {
        let netns = namespaces::here(inum);
        let mut diag = Netlink::open(NETLINK_SOCK_DIAG).map_err(Error::Netlink)?;
        let first = self.listing.sockets.len();
        for protocol in &options.protocols {
            let listed = match protocol {
                Protocol::Unix => {
                    unix::list(&mut diag, netns, options.states, &mut |socket| self.add(socket))
                }
                inet => self.list_inet(&mut diag, *inet, netns, options),
            };
            match listed {
                // Kinds of sockets that a kernel does not have, or cannot list.
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {
                    self.listing.missing.push(format!("the kernel cannot list {} sockets", protocol.name()));
                }
                listed => listed.map_err(Error::Netlink)?,
            }
        }
        self.take_ages(first, &options.known);
        self.learn_ages(first, options.info);
        let bound = self.listing.sockets[first..].iter().filter(|socket| socket.tuple.ifindex != 0);
        for device in bound.map(|socket| DeviceKey::of(&socket.tuple)).collect::<HashSet<_>>() {
            if let Some(name) = devices::name(device.ifindex) {
                self.interfaces.insert(device, name);
            }
        }
        Ok(())
    }

    fn list_inet(
        &mut self,
        diag: &mut Netlink,
        protocol: Protocol,
        netns: NetnsId,
        options: &ListingOptions,
    ) -> io::Result<()> {
        // A socket of IPv6 may have mapped addresses.
        let wanted = [(inet_diag::V4, family::IPV4), (inet_diag::V6, family::IPV6 | family::MAPPED)];
        let families: Vec<_> = wanted
            .into_iter()
            .filter(|(_, bits)| options.families & bits != 0)
            .map(|(family, _)| family)
            .collect();
        let wanted = Wanted { protocol, families: &families, states: options.states, info: options.info };
        let place = Tuple { netns: netns.inum, netns_cookie: netns.cookie, ..Tuple::default() };
        wanted.list(diag, place, &mut |socket| self.add(socket))
    }

    /// Takes the ages that somebody knows who has seen when states began.
    fn take_ages(&mut self, first: usize, known: &HashMap<u64, KnownSince>) {
        let now_ns = self.listing.at.monotonic_ns;
        for socket in self.listing.sockets[first..].iter_mut().filter(|one| one.protocol == Protocol::Tcp) {
            if let Some(since) = known.get(&socket.cookie).filter(|since| since.state == socket.state) {
                socket.in_state_ns = Some(now_ns.saturating_sub(since.from_ns));
                socket.knows_age = since.is_exact;
            }
        }
    }

    /// Asks for what netlink does not tell, if there is a socket that it would be known of.
    fn learn_ages(&mut self, first: usize, is_wanted: bool) {
        let lacks_age = |socket: &ListedSocket| {
            let is_told = matches!(socket.state, state::CLOSE_WAIT | state::FIN_WAIT2 | state::SYN_SENT);
            socket.protocol == Protocol::Tcp && is_told && socket.in_state_ns.is_none()
        };
        let sockets = &mut self.listing.sockets[first..];
        if !is_wanted || !sockets.iter().any(lacks_age) {
            return;
        }
        self.ages.get_or_init(KnownAges::load);
        let ages = self.ages.get_mut().and_then(Option::as_mut).and_then(KnownAges::here);
        for socket in sockets.iter_mut().filter(|socket| lacks_age(socket)) {
            let age_ms = ages.and_then(|ages| ages.get(&socket.cookie));
            socket.in_state_ns = age_ms.map(|ms| u64::from(*ms) * 1_000_000);
        }
    }

    /// A table that changes while it is listed may give a socket twice.
    fn add(&mut self, socket: ListedSocket) {
        if (self.selects)(&socket) && (socket.cookie == 0 || self.seen.insert(socket.cookie)) {
            self.listing.sockets.push(socket);
        }
    }
}
