//! The sockets that exist at a moment.

use std::collections::{HashMap, HashSet};

use tracer_common::{Event, event::TimewaitSocket};

use crate::{
    facts::{columns, interfaces::Interfaces},
    tcp::netns::NetnsId,
};

/// All sockets of all network namespaces that can be entered.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Snapshot {
    /// Start and end of the snapshot, in nanoseconds of the kernel's monotonic clock.
    pub during_ns: (u64, u64),
    /// The sockets, as events whose old and new state are the same.
    #[serde(with = "columns")]
    pub sockets: Vec<Event>,
    /// Sockets that processes hold, in any namespace: one entry for each holder.
    #[serde(with = "columns")]
    pub holders: Vec<Event>,
    /// Start and end of the search for holders, on the same clock.
    pub holders_ns: (u64, u64),
    /// There was no time to search all processes.
    pub holders_are_cut_off: bool,
    /// Whether the search sees all processes.
    pub knows_all_holders: bool,
    /// Names of the devices that sockets are bound to.
    pub interfaces: Interfaces,
    /// The inode numbers of the namespaces that were entered.
    pub netns: HashSet<u32>,
    /// The inode numbers of the namespaces that could not be entered.
    pub unreached: HashSet<u32>,
    /// How many namespaces there was no time for: a later snapshot has them.
    pub unvisited: usize,
    /// Whether there was no time for some of the namespaces, now or before.
    pub is_part: bool,
}

impl Snapshot {
    /// Whether a socket of this namespace that is not in the snapshot no longer exists: the namespace was
    /// entered, or it is gone. A namespace that was not entered counts as gone only if all visible ones were
    /// entered, because a process that cannot enter namespaces may not see them all. If another one with its number was
    /// entered, it is gone, too.
    #[must_use]
    pub fn covers(&self, netns: u32) -> bool {
        let has_all = self.unreached.is_empty() && !self.is_part;
        self.netns.contains(&netns) || (!self.netns.is_empty() && has_all)
    }
}

/// A poll of the timewait sockets of some namespaces.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct TimewaitSample {
    /// When the poll began, in nanoseconds of the kernel's monotonic clock.
    pub from_ns: u64,
    /// The sockets, each with its identity and substate (TIME_WAIT or FIN_WAIT2).
    #[serde(with = "columns")]
    pub sockets: Vec<TimewaitSocket>,
    /// The namespaces that were polled.
    pub netns: HashSet<NetnsId>,
    /// The namespaces that no longer exist or cannot be entered.
    pub gone: HashSet<NetnsId>,
    /// How long each namespace keeps an orphan in FIN_WAIT2 (`net.ipv4.tcp_fin_timeout`), in nanoseconds.
    pub fin_timeout_ns: HashMap<NetnsId, u64>,
}

/// Number of tracked timewait sockets in each network namespace.
pub type TimewaitByNetns = hashbrown::HashMap<NetnsId, usize>;

#[cfg(test)]
mod tests {
    use super::*;

    /// The last of several snapshots that each have some namespaces says nothing about the others.
    #[test]
    fn a_part_covers_only_its_namespaces() {
        let netns = [1].into();
        let part = Snapshot { netns, is_part: true, ..Snapshot::default() };
        assert_eq!((part.covers(1), part.covers(2)), (true, false));
        let whole = Snapshot { is_part: false, ..part };
        assert!(whole.covers(2), "it is gone");
    }
}
