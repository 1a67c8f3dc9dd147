//! What was known of connections at a moment of a recording. With it, a part of the recording can do without those
//! before it.

use std::fmt;

use serde::{Serialize, de::DeserializeOwned};

use crate::facts::packed_bytes;

/// What was known at a moment.
#[derive(Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Checkpoint {
    /// When, in nanoseconds of the kernel's monotonic clock.
    pub at_ns: u64,
    /// What the tracker knew, as MessagePack without names. Fields are only ever added at the end of a structure, and
    /// those that an older version did not have get their defaults: each structure in it has `serde(default)`.
    #[serde(with = "packed_bytes")]
    state: Vec<u8>,
}

/// It is not a checkpoint of this version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a checkpoint cannot be read: what began before it is not known")]
pub struct BadCheckpoint;

impl Checkpoint {
    /// A checkpoint of this state.
    #[must_use]
    pub fn of(at_ns: u64, state: &impl Serialize) -> Self {
        // Nothing in it can fail, but a state that is empty is refused when it is read.
        Self { at_ns, state: rmp_serde::to_vec(state).unwrap_or_default() }
    }

    /// The state.
    ///
    /// # Errors
    /// It is not one of this version.
    pub fn state<S: DeserializeOwned>(&self) -> Result<S, BadCheckpoint> {
        rmp_serde::from_slice(&self.state).map_err(|_| BadCheckpoint)
    }
}

impl fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at_ns, state } = self;
        write!(f, "Checkpoint at {at_ns} of {} bytes", state.len())
    }
}
