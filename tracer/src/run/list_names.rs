//! The names that `tracer list --names` shows.

use std::{collections::HashSet, net::IpAddr, sync::Arc};

use crate::{
    facts::{
        end_names::{EndNames, NamedEnds, ServiceNames},
        listing::{Listing, Protocol},
    },
    filter::services,
    source::kernel::hosts::Hosts,
    tcp::endpoint::Endpoint,
};

/// Services, and the hosts that are known so far.
pub(super) struct ListedNames {
    services: Arc<ServiceNames>,
    hosts: Option<Hosts>,
    /// Why there are no names of services.
    missing: Option<String>,
}

impl ListedNames {
    pub(super) fn new(which: NamedEnds) -> Self {
        let (services, missing) = match services::names() {
            Ok(names) => (of_protocols(names), None),
            Err(error) => (ServiceNames::new(), Some(format!("no names of services: {error}"))),
        };
        let hosts = (which == NamedEnds::Hosts).then(Hosts::default);
        Self { services: services.into(), hosts, missing }
    }

    /// The names for what is listed; adds what is missing.
    pub(super) fn of(&mut self, listing: &mut Listing) -> EndNames {
        listing.missing.extend(self.missing.take());
        let mut names = EndNames { services: Arc::clone(&self.services), ..EndNames::default() };
        if let Some(hosts) = &mut self.hosts {
            let (found, unanswered) = hosts.names(addrs(listing));
            names.hosts = found;
            if unanswered > 0 {
                let addresses =
                    if unanswered == 1 { "address stays a number" } else { "addresses stay numbers" };
                listing.missing.push(format!("{unanswered} {addresses}: the resolver has not answered"));
            }
        }
        names
    }
}

fn addrs(listing: &Listing) -> HashSet<IpAddr> {
    let inet = listing.sockets.iter().filter(|socket| socket.protocol != Protocol::Unix);
    let ends = inet.flat_map(|socket| [socket.tuple.local_addr, socket.tuple.remote_addr]);
    ends.map(|addr| Endpoint::of(addr, 0).addr).collect()
}

/// Of several names the first one counts.
fn of_protocols(names: Vec<(String, u16, String)>) -> ServiceNames {
    let mut services = ServiceNames::new();
    for (protocol, port, name) in names {
        let protocol = [Protocol::Tcp, Protocol::Udp].into_iter().find(|known| known.name() == protocol);
        if let Some(protocol) = protocol {
            services.entry((protocol, port)).or_insert_with(|| name.into());
        }
    }
    services
}
