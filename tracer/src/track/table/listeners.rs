//! Listeners by address and port: the first owner of an accepted connection is that of its listener.

use std::collections::HashMap;

use crate::{
    tcp::endpoint::Tuple,
    track::{connection::Connection, owner::Owner},
};

/// All listeners, by network namespace and port. A port can have one per address, or several that share it
/// with `SO_REUSEPORT`.
#[derive(Debug, Default)]
pub struct Listeners {
    by_port: HashMap<(u32, u16), Vec<Listener>>,
}

#[derive(Debug)]
struct Listener {
    cookie: u64,
    addr: [u8; 16],
    owner: Owner,
}

/// `0.0.0.0`, v4-mapped.
const ANY_V4: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0];
/// `::`
const ANY_V6: [u8; 16] = [0; 16];

impl Listeners {
    /// Adds a listener, or updates it.
    pub fn add(&mut self, listener: &Connection) {
        self.remove(listener);
        let Tuple { netns, local_port, local_addr: addr, .. } = listener.tuple;
        let listeners = self.by_port.entry((netns, local_port)).or_default();
        listeners.push(Listener { cookie: listener.cookie, addr, owner: listener.owner });
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
        let port = (listener.tuple.netns, listener.tuple.local_port);
        if let Some(listeners) = self.by_port.get_mut(&port) {
            listeners.retain(|other| other.cookie != listener.cookie);
            if listeners.is_empty() {
                self.by_port.remove(&port);
            }
        }
    }

    /// The owner of the listener that a connection with this tuple comes from. That is the listener on
    /// exactly its address, else on the wildcard of its family, else on the IPv6 wildcard, which can accept
    /// IPv4, too. If several processes listen there, the owner is unknown.
    #[must_use]
    pub fn owner_of(&self, tuple: &Tuple) -> Option<Owner> {
        let listeners = self.by_port.get(&(tuple.netns, tuple.local_port))?;
        let is_v4 = tuple.local_addr.starts_with(&ANY_V4[..12]);
        let wildcards: &[[u8; 16]] = if is_v4 { &[ANY_V4, ANY_V6] } else { &[ANY_V6] };
        std::iter::once(&tuple.local_addr).chain(wildcards).find_map(|addr| {
            let mut owners =
                listeners.iter().filter(|listener| listener.addr == *addr).map(|listener| listener.owner);
            let first = owners.next()?;
            Some(if owners.all(|owner| owner.pid == first.pid) { first } else { Owner::default() })
        })
    }
}
