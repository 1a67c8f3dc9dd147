//! The process that owns a socket, and how it is known.

use tracer_common::event::COMM_LEN;

use crate::text::escape::name;

/// How an owner is known, from the weakest evidence to the strongest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Evidence {
    /// The owner is not known.
    #[default]
    Unknown,
    /// The process owns the listener that the socket came from. Another process may accept it.
    Listener,
    /// The process had a file descriptor of it in a snapshot.
    Snapshot,
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
            Self::Accept => Some("accept"),
            Self::Own => Some("own"),
        }
    }
}

/// The process that owns a socket. The name is kept after the process has exited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// Process name (`comm`), any bytes, zero-padded.
    pub comm: [u8; COMM_LEN],
    /// Process id.
    pub pid: u32,
    /// Id of the thread that last worked on the socket.
    pub tid: u32,
    /// How the owner is known.
    pub evidence: Evidence,
}

impl Owner {
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
            *self = other;
        }
    }

    /// The owner of a listener as the owner of a connection that comes from it.
    #[must_use]
    pub fn inherited(mut self) -> Self {
        if self.is_known() {
            self.evidence = Evidence::Listener;
        }
        self
    }
}
