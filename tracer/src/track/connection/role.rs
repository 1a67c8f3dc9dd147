//! Client, server or listener; and which side closed first.

/// The role of a socket.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[repr(u8)]
pub enum Role {
    /// Its birth was not seen, and nothing else shows the role.
    #[default]
    Unknown,
    /// It connected.
    Client,
    /// It came out of a listener.
    Server,
    /// It listens.
    Listener,
}

impl Role {
    /// The name in output and filters; `None` if unknown.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::Unknown => None,
            Self::Client => Some("client"),
            Self::Server => Some("server"),
            Self::Listener => Some("listener"),
        }
    }
}

/// Which side sent the first FIN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[repr(u8)]
pub enum FirstFin {
    /// None so far.
    #[default]
    Nobody,
    /// This side.
    Local,
    /// The peer.
    Remote,
    /// Both at once: a simultaneous close.
    Both,
}

impl FirstFin {
    /// The name in output; `None` for nobody.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::Nobody => None,
            Self::Local => Some("local"),
            Self::Remote => Some("remote"),
            Self::Both => Some("both"),
        }
    }
}
