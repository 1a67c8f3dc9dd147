//! The process that owns a socket, and how it is known.

use tracer_common::{
    Event,
    event::{COMM_LEN, Holder},
};

use crate::text::escape::name;

/// How an owner is known, from the weakest evidence to the strongest.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[repr(u8)]
pub enum Evidence {
    /// The owner is not known.
    #[default]
    Unknown,
    /// The process owns the listener that the socket came from. Another process may accept it.
    Listener,
    /// The process had a file descriptor of it in a snapshot.
    Snapshot,
    /// The process was found with a file descriptor of it when its holders were searched again.
    Holder,
    /// The process accepted it.
    Accept,
    /// The process was working on it during an event (`sk_lock.owned`).
    Own,
}

impl Evidence {
    /// The name in output; `None` if the owner is not known.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::Unknown => None,
            Self::Listener => Some("listener"),
            Self::Snapshot => Some("snapshot"),
            Self::Holder => Some("holder"),
            Self::Accept => Some("accept"),
            Self::Own => Some("own"),
        }
    }
}

/// The process that owns a socket. The name is kept after the process has exited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Owner {
    /// Process name (`comm`), any bytes, zero-padded.
    pub comm: [u8; COMM_LEN],
    /// Process id.
    pub pid: u32,
    /// Id of the thread that last worked on the socket.
    pub tid: u32,
    /// How many processes held the socket when that was last searched, or [`NOT_SEARCHED`].
    holders: u16,
    /// How the owner is known.
    pub evidence: Evidence,
    /// The number of the last search that found a holder.
    pub(super) search: u8,
}

const NOT_SEARCHED: u16 = u16::MAX;

impl Default for Owner {
    fn default() -> Self {
        Self {
            comm: [0; COMM_LEN],
            pid: 0,
            tid: 0,
            holders: NOT_SEARCHED,
            evidence: Evidence::Unknown,
            search: 0,
        }
    }
}

impl Owner {
    /// The task of an event.
    #[must_use]
    pub fn of(event: &Event, evidence: Evidence) -> Self {
        Self { comm: event.comm, pid: event.pid, tid: event.tid, evidence, ..Self::default() }
    }

    /// A process that was found with a file descriptor.
    #[must_use]
    pub fn holder(holder: &Holder, evidence: Evidence) -> Self {
        Self { comm: holder.comm, pid: holder.pid, tid: holder.pid, evidence, ..Self::default() }
    }

    /// The name without its padding.
    #[must_use]
    pub fn comm(&self) -> &[u8] {
        name(&self.comm)
    }

    /// Whether the owner is known.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.evidence != Evidence::Unknown
    }

    /// Takes `other` if its evidence is stronger, or if it has worked on the socket. Of several processes
    /// with a file descriptor of the socket, the first one stays: the others have inherited theirs.
    pub fn learn(&mut self, other: Self) {
        if other.evidence > self.evidence || other.evidence == Evidence::Own {
            // Another process has it now, or somebody after all.
            let is_counted = other.pid == self.pid && self.holders != 0;
            let holders = if is_counted { self.holders } else { NOT_SEARCHED };
            *self = Self { holders, search: self.search, ..other };
        }
    }

    /// Corrects it by the processes that hold the socket now, of which there is at least one. An owner that is
    /// one of them stays, perhaps with another name.
    pub(super) fn correct(&mut self, holders: &[Holder]) {
        self.set_holders(holders.len());
        match holders.iter().find(|holder| holder.pid == self.pid) {
            Some(same) => {
                self.comm = same.comm;
                self.evidence =
                    if self.evidence == Evidence::Listener { Evidence::Holder } else { self.evidence };
            }
            None => {
                if let [first, ..] = holders {
                    let holder = Self::holder(first, Evidence::Holder);
                    *self = Self { holders: self.holders, search: self.search, ..holder };
                }
            }
        }
    }

    /// Notes how many processes hold the socket.
    pub(super) fn set_holders(&mut self, count: usize) {
        self.holders = u16::try_from(count).map_or(NOT_SEARCHED - 1, |count| count.min(NOT_SEARCHED - 1));
    }

    /// How many processes held the socket when that was last searched; `None` if it was not.
    #[must_use]
    pub fn holders(&self) -> Option<u16> {
        (self.holders != NOT_SEARCHED).then_some(self.holders)
    }

    /// The owner of a listener as the owner of a connection that comes from it.
    #[must_use]
    pub fn inherited(mut self) -> Self {
        self.holders = NOT_SEARCHED;
        if self.is_known() {
            self.evidence = Evidence::Listener;
        }
        self
    }
}
