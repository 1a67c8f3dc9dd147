//! Listeners by port: the first owner of an accepted connection is that of its listener.

use std::collections::HashMap;

use tracer_common::event::UID_UNKNOWN;

use crate::{
    tcp::endpoint::Tuple,
    track::{connection::Connection, owner::Owner},
};

/// All listeners, by network namespace and port. A port can have one per address and device, or several that
/// share it with `SO_REUSEPORT`.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Listeners {
    by_port: HashMap<Port, Vec<Listener>>,
}

/// A port of a network namespace, by its inode number and cookie.
type Port = (u32, u32, u16);

#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(default)]
struct Listener {
    cookie: u64,
    addr: [u8; 16],
    traits: Traits,
    owner: Owner,
    /// When its accept queue was last read, in nanoseconds of the kernel's monotonic clock.
    read_ns: u64,
}

/// What a connection has from its listener.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
struct Traits {
    uid: u32,
    cgroup: u64,
    is_transparent: bool,
}

impl Traits {
    /// Whether a connection with these can come out of a listener with those. A snapshot may not know its user.
    fn may_have(self, connection: Self) -> bool {
        let uid = if connection.uid == UID_UNKNOWN { self.uid } else { connection.uid };
        self == Self { uid, ..connection }
    }

    fn of(connection: &Connection) -> Self {
        Self { uid: connection.uid, cgroup: connection.cgroup, is_transparent: connection.is_transparent() }
    }
}

/// `0.0.0.0`, v4-mapped.
const ANY_V4: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0];
/// `::`
const ANY_V6: [u8; 16] = [0; 16];

fn port(tuple: &Tuple) -> Port {
    (tuple.netns, tuple.netns_cookie, tuple.local_port)
}

impl Listeners {
    /// Adds a listener, or updates it.
    pub fn add(&mut self, listener: &Connection) {
        // A search for its holders reads no queue.
        let read_ns = listener.last_ns.max(self.read_ns(listener));
        self.remove(listener);
        let listeners = self.by_port.entry(port(&listener.tuple)).or_default();
        listeners.push(Listener {
            cookie: listener.cookie,
            addr: listener.tuple.local_addr,
            traits: Traits::of(listener),
            owner: listener.owner,
            read_ns,
        });
    }

    /// Notes when the accept queue of a listener was read.
    pub fn note_read(&mut self, listener: &Connection, at_ns: u64) {
        let listeners = self.by_port.get_mut(&port(&listener.tuple)).into_iter().flatten();
        for known in listeners.filter(|known| known.cookie == listener.cookie) {
            known.read_ns = known.read_ns.max(at_ns);
        }
    }

    /// When the accept queue of a listener was last read; 0 if it is not known.
    #[must_use]
    pub fn read_ns(&self, listener: &Connection) -> u64 {
        let mut listeners = self.by_port.get(&port(&listener.tuple)).into_iter().flatten();
        listeners.find(|known| known.cookie == listener.cookie).map_or(0, |known| known.read_ns)
    }

    /// Keeps some of them, by their cookies; their addresses and owners may be changed.
    pub(in crate::track) fn edit(&mut self, mut keeps: impl FnMut(u64, &mut [u8; 16], &mut Owner) -> bool) {
        for listeners in self.by_port.values_mut() {
            listeners.retain_mut(|listener| keeps(listener.cookie, &mut listener.addr, &mut listener.owner));
        }
        self.by_port.retain(|_, listeners| !listeners.is_empty());
    }

    /// How many listeners there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_port.values().map(Vec::len).sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_port.is_empty()
    }

    /// Removes a listener.
    pub fn remove(&mut self, listener: &Connection) {
        let port = port(&listener.tuple);
        if let Some(listeners) = self.by_port.get_mut(&port) {
            listeners.retain(|other| other.cookie != listener.cookie);
            if listeners.is_empty() {
                self.by_port.remove(&port);
            }
        }
    }

    /// The owner of the listener that a connection most likely comes from: the one on exactly its address, else on
    /// the wildcard of its family, else on the IPv6 wildcard, which can accept IPv4, too. If several processes
    /// listen there, the owner is unknown. A listener that differs in what its connections have from it
    /// (`sk_clone_lock`) is not the one: this one was redirected (TPROXY).
    #[must_use]
    pub fn owner_of(&self, connection: &Connection) -> Option<Owner> {
        let tuple = &connection.tuple;
        let listeners = self.by_port.get(&port(tuple))?;
        let is_v4 = tuple.local_addr.starts_with(&ANY_V4[..12]);
        let wildcards: &[[u8; 16]] = if is_v4 { &[ANY_V4, ANY_V6] } else { &[ANY_V6] };
        let traits = Traits::of(connection);
        std::iter::once(&tuple.local_addr).chain(wildcards).find_map(|addr| {
            let at_addr = listeners.iter().filter(|listener| listener.addr == *addr);
            let mut owners = at_addr
                .filter(|listener| connection.is_bare() || listener.traits.may_have(traits))
                .map(|listener| listener.owner);
            let first = owners.next()?;
            Some(if owners.all(|owner| owner.pid == first.pid) { first } else { Owner::default() })
        })
    }
}
