//! The sockets that are there at a moment.

use std::collections::{HashMap, HashSet};

use tracer_common::{Event, event::TimewaitSocket};

/// All sockets of all network namespaces that can be entered.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// When it began and ended, in nanoseconds of the kernel's monotonic clock.
    pub during_ns: (u64, u64),
    /// The sockets, as events whose two states are the same.
    pub sockets: Vec<Event>,
    /// Sockets that processes hold, once for each holder, in whichever namespace.
    pub holders: Vec<Event>,
    /// The namespaces that were entered, by inode number.
    pub netns: HashSet<u32>,
    /// Those that could not be entered.
    pub unreached: HashSet<u32>,
}

impl Snapshot {
    /// Whether a socket of this namespace that is not in the snapshot does not exist: the namespace was
    /// entered, or it is gone. Whoever cannot enter namespaces may not see them all.
    #[must_use]
    pub fn covers(&self, netns: u32) -> bool {
        self.netns.contains(&netns) || (!self.netns.is_empty() && self.unreached.is_empty())
    }
}

/// The timewait sockets of some namespaces.
#[derive(Clone, Debug, Default)]
pub struct TimewaitSample {
    /// When the poll began, in nanoseconds of the kernel's monotonic clock.
    pub from_ns: u64,
    /// The sockets: identity and substate (TIME_WAIT or FIN_WAIT2).
    pub sockets: Vec<TimewaitSocket>,
    /// The namespaces that were polled.
    pub netns: HashSet<u32>,
    /// The namespaces that do not exist any more, or cannot be entered.
    pub gone: HashSet<u32>,
    /// How long each namespace leaves an orphan in FIN_WAIT2 (`net.ipv4.tcp_fin_timeout`).
    pub fin_timeout_ns: HashMap<u32, u64>,
}

/// How many timewait sockets are followed in each network namespace.
pub type TimewaitByNetns = hashbrown::HashMap<u32, usize>;
