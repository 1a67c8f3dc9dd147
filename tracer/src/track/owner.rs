//! Whose socket it is, and how that is known.

use tracer_common::event::COMM_LEN;

use crate::text::escape::name;

/// How an owner is known, from the vaguest to the surest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Evidence {
    /// Not at all.
    #[default]
    Unknown,
    /// The socket came out of this process's listener; whoever accepts it may be another one.
    Listener,
    /// The process was found holding it.
    Snapshot,
    /// The process has accepted it.
    Accept,
    /// The process was working on it at the moment of an event.
    Own,
}

impl Evidence {
    /// As the interface spells it.
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

/// A process, as the owner of a socket. It keeps its name when it is gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// Name, zero-padded, any bytes.
    pub comm: [u8; COMM_LEN],
    /// Process.
    pub pid: u32,
    /// Thread that was last seen working on the socket.
    pub tid: u32,
    /// How it is known.
    pub evidence: Evidence,
}

impl Owner {
    /// The name without its padding.
    #[must_use]
    pub fn comm(&self) -> &[u8] {
        name(&self.comm)
    }

    /// Whether anything is known.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.evidence != Evidence::Unknown
    }

    /// Believes `other` if it is known more surely; or if it has worked on the socket since. Of
    /// several that are found holding it, the first one stays: the others have inherited it.
    pub fn learn(&mut self, other: Self) {
        if other.evidence > self.evidence || other.evidence == Evidence::Own {
            *self = other;
        }
    }

    /// The same process, as what a connection inherits from its listener.
    #[must_use]
    pub fn inherited(mut self) -> Self {
        if self.is_known() {
            self.evidence = Evidence::Listener;
        }
        self
    }
}
