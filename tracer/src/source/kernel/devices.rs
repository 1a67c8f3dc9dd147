//! Names of network devices.

use std::collections::HashSet;

use rustix::net::{AddressFamily, SocketType, netdevice, socket};

use crate::{facts::interfaces::Interfaces, source::kernel::namespaces, tcp::device::DeviceName};

/// Devices are forgotten when there are so many, and asked for again.
const MOST: usize = 4096;

/// The devices whose names were looked up or asked for.
#[derive(Debug)]
pub(super) struct Devices {
    asked: HashSet<(u32, u32)>,
    /// This thread's network namespace.
    home: Option<u32>,
}

impl Default for Devices {
    fn default() -> Self {
        Self { asked: HashSet::new(), home: namespaces::current() }
    }
}

/// What became of a lookup.
pub(super) enum Lookup {
    /// The device was looked up before.
    Known,
    /// This is its name.
    Found(Interfaces),
    /// It is in another namespace, or gone.
    Elsewhere,
}

impl Devices {
    /// Looks up the name of a device that was not asked for before.
    pub(super) fn find(&mut self, netns: u32, ifindex: u32) -> Lookup {
        if self.asked.len() >= MOST {
            self.asked.clear();
        }
        if !self.asked.insert((netns, ifindex)) {
            return Lookup::Known;
        }
        let Some(name) = name(ifindex).filter(|_| self.home == Some(netns)) else {
            return Lookup::Elsewhere;
        };
        let mut found = Interfaces::default();
        found.insert(netns, ifindex, name);
        Lookup::Found(found)
    }
}

/// The name of a device in this thread's network namespace (`SIOCGIFNAME`, netdevice(7)); `None` if there is
/// none, or if it cannot be shown.
pub(super) fn name(ifindex: u32) -> Option<DeviceName> {
    let socket = socket(AddressFamily::INET, SocketType::DGRAM, None).ok()?;
    DeviceName::new(&netdevice::index_to_name(&socket, ifindex).ok()?)
}
