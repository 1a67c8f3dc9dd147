//! Names of services and hosts, as text shows them if they are asked for (`list --names`).

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use crate::facts::listing::Protocol;

/// Names of services, by protocol and port.
pub type ServiceNames = HashMap<(Protocol, u16), Box<str>>;

/// Which names are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamedEnds {
    /// Those of services.
    Services,
    /// Those of services and hosts.
    Hosts,
}

/// The names that are known: none if they are not asked for.
#[derive(Clone, Debug, Default)]
pub struct EndNames {
    /// Those of services.
    pub services: Arc<ServiceNames>,
    /// Those of hosts.
    pub hosts: HashMap<IpAddr, Box<str>>,
}

impl EndNames {
    /// The name of the service with this port.
    #[must_use]
    pub fn service(&self, protocol: Protocol, port: u16) -> Option<&str> {
        self.services.get(&(protocol, port)).map(Box::as_ref)
    }

    /// The name of the host with this address.
    #[must_use]
    pub fn host(&self, addr: IpAddr) -> Option<&str> {
        self.hosts.get(&addr).map(Box::as_ref)
    }
}
