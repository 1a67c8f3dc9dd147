//! Names of network devices.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use rustix::net::{AddressFamily, SocketType, netdevice, socket};

use crate::{
    facts::interfaces::{DeviceKey, Interfaces},
    source::kernel::namespaces,
    tcp::device::DeviceName,
};

/// Devices are forgotten when there are so many, and asked for again.
const MOST: usize = 4096;

/// A device may get another name, so it is asked for again after this time.
const RENEWAL: Duration = Duration::from_secs(2);

/// The devices whose names were looked up or asked for.
#[derive(Debug)]
pub(super) struct Devices {
    asked: HashMap<DeviceKey, Instant>,
    /// This thread's network namespace.
    home: Option<u32>,
}

impl Default for Devices {
    fn default() -> Self {
        Self { asked: HashMap::new(), home: namespaces::current() }
    }
}

/// What became of a lookup.
pub(super) enum Lookup {
    /// The device was looked up a moment ago.
    Known,
    /// This is its name.
    Found(Interfaces),
    /// It is in another namespace, or gone.
    Elsewhere,
}

impl Devices {
    /// Looks up the name of a device.
    pub(super) fn find(&mut self, device: DeviceKey) -> Lookup {
        if self.asked.get(&device).is_some_and(|asked| asked.elapsed() < RENEWAL) {
            return Lookup::Known;
        }
        if self.asked.len() >= MOST {
            self.asked.clear();
        }
        self.asked.insert(device, Instant::now());
        if self.home != Some(device.netns) {
            return Lookup::Elsewhere;
        }
        let Some(name) = name(device.ifindex) else {
            return Lookup::Elsewhere;
        };
        let mut found = Interfaces::default();
        found.insert(device, name);
        Lookup::Found(found)
    }
}

/// The name of a device in this thread's network namespace (`SIOCGIFNAME`, netdevice(7)); `None` if there is
/// none, or if it cannot be shown.
pub(in crate::source) fn name(ifindex: u32) -> Option<DeviceName> {
    let socket = socket(AddressFamily::INET, SocketType::DGRAM, None).ok()?;
    DeviceName::new(&netdevice::index_to_name(&socket, ifindex).ok()?)
}
