//! Whose a finding is.

use std::net::IpAddr;

use serde::Serialize;

use crate::{
    tcp::{
        endpoint::{Endpoint, Task},
        netns::Inum,
    },
    text::escape::escaped,
    track::connection::{Connection, Role},
};

/// What the sockets of a finding have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// The process that owns them, by its pid; `None` if it is not known or has gone.
    Process(Option<u32>),
    /// The remote address and port that they go to.
    Target(Inum, [u8; 16], u16),
    /// The local address and port of a listener.
    Listener(Inum, [u8; 16], u16),
    /// The local port of servers.
    Served(Inum, u16),
    /// The remote port of clients.
    Used(Inum, u16),
    /// The network namespace.
    Netns(Inum),
    /// All of them.
    Host,
}

impl Place {
    /// Its owner.
    pub(super) fn process(connection: &Connection) -> Self {
        Self::Process(task(connection).map(|task| task.pid))
    }

    /// Where it goes to.
    pub(super) fn target(connection: &Connection) -> Self {
        let tuple = &connection.tuple;
        Self::Target(tuple.netns, tuple.remote_addr, tuple.remote_port)
    }

    /// Where a client goes to; of a server its service, because each of its peers has another port.
    pub(super) fn peer(connection: &Connection) -> Self {
        match connection.role {
            Role::Client => Self::target(connection),
            Role::Server | Role::Listener => Self::service(connection),
            Role::Unknown => Self::process(connection),
        }
    }

    /// The address and port that it listens on.
    pub(super) fn listener(connection: &Connection) -> Self {
        let tuple = &connection.tuple;
        Self::Listener(tuple.netns, tuple.local_addr, tuple.local_port)
    }

    /// Its service. Where the role is not known, the target stands for it.
    pub(super) fn service(connection: &Connection) -> Self {
        let tuple = &connection.tuple;
        match connection.role {
            Role::Server | Role::Listener => Self::Served(tuple.netns, tuple.local_port),
            Role::Client => Self::Used(tuple.netns, tuple.remote_port),
            Role::Unknown => Self::target(connection),
        }
    }
}

/// The owner of a connection, if it is known.
pub(super) fn task(connection: &Connection) -> Option<Task> {
    let owner = &connection.owner;
    owner.is_known().then_some(Task { pid: owner.pid, tid: owner.tid, comm: owner.comm })
}

/// Whose a finding is, as users see it. What it does not tell is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Whom {
    /// A process: the owner, or one of the owners.
    pub pid: Option<u32>,
    /// Its name, escaped.
    pub comm: Option<String>,
    /// A local address.
    pub local_addr: Option<IpAddr>,
    /// A local port.
    pub local_port: Option<u16>,
    /// A remote address.
    pub remote_addr: Option<IpAddr>,
    /// A remote port.
    pub remote_port: Option<u16>,
    /// A network namespace.
    pub netns: Option<Inum>,
}

impl Whom {
    /// A place, with a process as an example.
    pub(super) fn new(place: Place, task: Option<Task>) -> Self {
        let addr = |addr: [u8; 16]| Some(Endpoint::of(addr, 0).addr);
        let mut whom = match place {
            Place::Process(_) | Place::Host => Self::default(),
            Place::Target(netns, remote, port) => Self {
                remote_addr: addr(remote),
                remote_port: Some(port),
                netns: Some(netns),
                ..Self::default()
            },
            Place::Listener(netns, local, port) => Self {
                local_addr: addr(local),
                local_port: Some(port),
                netns: Some(netns),
                ..Self::default()
            },
            Place::Served(netns, port) => {
                Self { local_port: Some(port), netns: Some(netns), ..Self::default() }
            }
            Place::Used(netns, port) => {
                Self { remote_port: Some(port), netns: Some(netns), ..Self::default() }
            }
            Place::Netns(netns) => Self { netns: Some(netns), ..Self::default() },
        };
        if let Some(task) = task {
            (whom.pid, whom.comm) = (Some(task.pid), Some(escaped(task.comm())));
        }
        whom
    }

    /// The process, as `nginx (4711)`.
    #[must_use]
    pub fn process(&self) -> Option<String> {
        Some(format!("{} ({})", self.comm.as_deref()?, self.pid?))
    }

    /// The addresses and ports, or the namespace.
    #[must_use]
    pub fn place(&self) -> Option<String> {
        let end = |addr: Option<IpAddr>, port: Option<u16>| {
            Some(Endpoint { addr: addr?, device: None, port: port.filter(|port| *port != 0) }.to_string())
        };
        end(self.remote_addr, self.remote_port)
            .map(|end| format!("to {end}"))
            .or_else(|| end(self.local_addr, self.local_port))
            .or_else(|| Some(format!("port {}", self.local_port?)))
            .or_else(|| Some(format!("to port {}", self.remote_port?)))
            .or_else(|| Some(format!("netns {}", self.netns?)))
    }

    /// The filters that select it: names of options, without the dashes, and their values. Where there are several
    /// namespaces, the same address and port may be in another one, too.
    pub(super) fn filters(&self, has_namespaces: bool) -> Vec<(&'static str, String)> {
        let mut filters = Vec::new();
        let mut put = |name, value: Option<String>| filters.extend(value.map(|value| (name, value)));
        put("remote-addr", self.remote_addr.map(|addr| addr.to_string()));
        put("remote-port", self.remote_port.filter(|port| *port != 0).map(|port| port.to_string()));
        put("local-port", self.local_port.filter(|port| *port != 0).map(|port| port.to_string()));
        if filters.is_empty() {
            filters.extend(self.pid.map(|pid| ("pid", pid.to_string())));
        }
        let is_in_one = has_namespaces && filters.iter().any(|(name, _)| *name != "pid");
        if filters.is_empty() || is_in_one {
            filters.extend(self.netns.map(|netns| ("netns", netns.to_string())));
        }
        filters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_words_and_filters() {
        let addr = "::ffff:10.0.0.9".parse::<std::net::Ipv6Addr>().unwrap().octets();
        let whom = Whom::new(Place::Target(7, addr, 5432), None);
        assert_eq!((whom.place(), whom.process()), (Some("to 10.0.0.9:5432".into()), None));
        let words = |whom: &Whom| {
            whom.filters(false)
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(words(&whom), "remote-addr=10.0.0.9 remote-port=5432");
        assert_eq!(whom.filters(true).last(), Some(&("netns", "7".to_owned())));
        let task = Task { pid: 9, tid: 9, comm: *b"a\x1b\0\0\0\0\0\0\0\0\0\0\0\0\0\0" };
        let whom = Whom::new(Place::Process(Some(9)), Some(task));
        assert_eq!((whom.process(), words(&whom)), (Some("a\\x1b (9)".into()), "pid=9".into()));
        assert_eq!(words(&Whom::new(Place::Netns(7), None)), "netns=7");
    }
}
