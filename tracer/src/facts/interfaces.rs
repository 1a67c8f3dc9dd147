//! Names of network devices.

use std::collections::HashMap;

use crate::tcp::device::{Device, DeviceName};

/// The names that are known, by the inode number of the network namespace and the device's index in it.
#[derive(Clone, Debug, Default)]
pub struct Interfaces(HashMap<(u32, u32), DeviceName>);

impl Interfaces {
    /// Adds a name.
    pub fn insert(&mut self, netns: u32, ifindex: u32, name: DeviceName) {
        self.0.insert((netns, ifindex), name);
    }

    /// Adds names; later ones replace earlier ones.
    pub fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// Whether the device's name is known.
    #[must_use]
    pub fn contains(&self, netns: u32, ifindex: u32) -> bool {
        self.0.contains_key(&(netns, ifindex))
    }

    /// Whether none is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A device, with its name if that is known; `None` for index 0, which is no device.
    #[must_use]
    pub fn device(&self, netns: u32, ifindex: u32) -> Option<Device> {
        if ifindex == 0 {
            return None;
        }
        let name = self.0.get(&(netns, ifindex));
        Some(name.map_or(Device::Numbered(ifindex), |name| Device::Named(*name)))
    }
}
