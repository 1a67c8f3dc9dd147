//! Network interfaces and routes, from netlink and `/proc`: without BPF, and without privileges.
//!
//! # Layout
//! - here: the namespaces that are asked for are visited, one after the other
//! - `links`: interfaces, and the labels of their addresses
//! - `routes`: routes of both families; `nexthops`: objects that they may refer to; `proc_routes`: what only `/proc` tells of those of IPv6

mod links;
mod nexthops;
mod proc_routes;
mod routes;

use std::{io, path::PathBuf, thread};

use netlink_sys::protocols::NETLINK_ROUTE;

use crate::{
    facts::network::{Network, NetworkInterface, NetworkRoute},
    source::{
        kernel::namespaces,
        netlink::{Dump, Netlink, until_whole},
    },
    tcp::{
        endpoint::Family,
        netns::{NetnsFilter, NetnsId},
    },
};

/// Why interfaces or routes cannot be listed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel does not answer.
    #[error("asking the kernel for its {0}: {1}")]
    Netlink(&'static str, #[source] io::Error),
    /// There can be no thread to enter namespaces with.
    #[error("starting a thread: {0}")]
    Thread(#[source] io::Error),
    /// None of the namespaces that are asked for could be entered.
    #[error("none of the network namespaces can be entered: run as root, or with CAP_SYS_ADMIN")]
    NoNetns,
}

/// Which network namespaces to look into.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// Those that pass; `None` for this process's own.
    pub filter: Option<NetnsFilter>,
    /// Paths of namespaces that the user gave.
    pub given: Vec<PathBuf>,
}

/// Lists the interfaces of network namespaces, in each in the order of their names.
pub fn interfaces(places: &Places) -> Result<Network<NetworkInterface>, Error> {
    visit(places, "interfaces", &|netns, netlink| {
        let (mut found, dump) = until_whole(|| links::list(netlink, netns))?;
        found.sort_by(|a, b| links::in_order(&a.name).cmp(&links::in_order(&b.name)));
        Ok((found, dump))
    })
}

/// Lists the routes of network namespaces, in the kernel's order: of IPv4 the main table, of IPv6 all tables.
pub fn routes(places: &Places, family: Family) -> Result<Network<NetworkRoute>, Error> {
    visit(places, "routes", &|netns, netlink| {
        let (found, dump) = until_whole(|| {
            let (names, links) = links::names(netlink)?;
            let (routes, dump) = routes::list(netlink, netns, family, &names)?;
            Ok((routes, dump.and(links)))
        })?;
        let found = match family {
            Family::Ipv4 => found,
            Family::Ipv6 => proc_routes::join(found, netns),
        };
        Ok((found, dump))
    })
}

/// What to list in the network namespace of the calling thread.
type Asking<'a, T> = &'a (dyn Fn(NetnsId, &mut Netlink) -> io::Result<(Vec<T>, Dump)> + Sync);

fn visit<T: Send>(places: &Places, what: &'static str, list: Asking<'_, T>) -> Result<Network<T>, Error> {
    let Some(filter) = &places.filter else {
        let mut network = Network::default();
        list_here(namespaces::current().unwrap_or_default(), what, list, &mut network)?;
        return Ok(network);
    };
    // Entering a namespace moves the whole thread.
    let all = || visit_all(filter, places, what, list);
    thread::scope(|scope| {
        let visitor = thread::Builder::new().name("tracer-list".into()).spawn_scoped(scope, all);
        visitor.map_err(Error::Thread)?.join().unwrap_or(Err(Error::NoNetns))
    })
}

fn visit_all<T>(
    filter: &NetnsFilter,
    places: &Places,
    what: &'static str,
    list: Asking<'_, T>,
) -> Result<Network<T>, Error> {
    let mut network = Network::default();
    let (visited, refused) =
        namespaces::visit(&places.given, filter, |inum| list_here(inum, what, list, &mut network))?;
    match (visited, refused) {
        (0, 1..) => return Err(Error::NoNetns),
        (_, 0) => {}
        _ => network.missing.push(format!("{refused} network namespaces cannot be entered: run as root")),
    }
    Ok(network)
}

fn list_here<T>(
    inum: u32,
    what: &'static str,
    list: Asking<'_, T>,
    network: &mut Network<T>,
) -> Result<(), Error> {
    let asking = |error| Error::Netlink(what, error);
    let mut netlink = Netlink::open(NETLINK_ROUTE).map_err(asking)?;
    let (found, dump) = list(namespaces::here(inum), &mut netlink).map_err(asking)?;
    network.found.extend(found);
    if dump == Dump::Interrupted {
        network.missing.push(format!(
            "{what} changed each time while the kernel listed them: some may be missing, or told twice"
        ));
    }
    Ok(())
}
