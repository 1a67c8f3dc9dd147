//! Names of network devices.

use std::collections::HashMap;

use crate::tcp::{
    device::{Device, DeviceName},
    endpoint::Tuple,
    netns::NetnsId,
};

/// What identifies a device: its network namespace, by inode number and cookie, and its index there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct DeviceKey {
    /// Inode number of the namespace.
    pub netns: u32,
    /// Cookie of the namespace, which no other gets; 0 if the kernel has none.
    pub netns_cookie: u32,
    /// Index of the device; 0 for none.
    pub ifindex: u32,
}

impl DeviceKey {
    /// Its network namespace.
    #[must_use]
    pub fn netns_id(&self) -> NetnsId {
        NetnsId { inum: self.netns, cookie: self.netns_cookie }
    }

    /// The device that a connection is bound to.
    #[must_use]
    pub fn of(tuple: &Tuple) -> Self {
        Self { netns: tuple.netns, netns_cookie: tuple.netns_cookie, ifindex: tuple.ifindex }
    }
}

/// The names that are known.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Interfaces(HashMap<DeviceKey, DeviceName>);

impl Interfaces {
    /// Adds a name.
    pub fn insert(&mut self, device: DeviceKey, name: DeviceName) {
        self.0.insert(device, name);
    }

    /// Adds names; later ones replace earlier ones. So many devices that they fill the table come from namespaces that
    /// are gone, and are forgotten.
    pub fn extend(&mut self, others: Self) {
        if self.0.len() > MOST {
            self.0.clear();
        }
        self.0.extend(others.0);
    }

    /// Keeps some of them, which may be changed.
    pub fn edit(&mut self, mut keeps: impl FnMut(&DeviceKey, &mut DeviceName) -> bool) {
        self.0.retain(&mut keeps);
    }

    /// The device that a connection is bound to, with its name if that is known; `None` if it is not bound.
    #[must_use]
    pub fn device(&self, tuple: &Tuple) -> Option<Device> {
        if tuple.ifindex == 0 {
            return None;
        }
        let name = self.0.get(&DeviceKey::of(tuple));
        Some(name.map_or(Device::Numbered(tuple.ifindex), |name| Device::Named(*name)))
    }
}

/// Devices that are kept.
const MOST: usize = 65_536;
