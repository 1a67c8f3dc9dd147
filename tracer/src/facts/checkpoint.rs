//! What was known of connections at a moment of a recording. With it, a part of the recording can do without those
//! before it.

use std::fmt;

use serde::{Serialize, de::DeserializeOwned};

/// What was known at a moment.
#[derive(Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Checkpoint {
    /// When, in nanoseconds of the kernel's monotonic clock.
    pub at_ns: u64,
    /// What the tracker knew, as MessagePack without names: fields are only ever added at the end.
    #[serde(with = "bytes")]
    state: Vec<u8>,
}

/// It is not a checkpoint of this version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a checkpoint cannot be read: what began before it is not known")]
pub struct Malformed;

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
    pub fn state<S: DeserializeOwned>(&self) -> Result<S, Malformed> {
        rmp_serde::from_slice(&self.state).map_err(|_| Malformed)
    }
}

impl fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at_ns, state } = self;
        write!(f, "Checkpoint at {at_ns} of {} bytes", state.len())
    }
}

/// Bytes as bytes, and not as a list of numbers.
mod bytes {
    use std::fmt;

    use serde::{Deserializer, Serializer, de::Visitor};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        deserializer.deserialize_byte_buf(Bytes)
    }

    struct Bytes;

    impl Visitor<'_> for Bytes {
        type Value = Vec<u8>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("bytes")
        }

        fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
            Ok(bytes.to_vec())
        }

        fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
            Ok(bytes)
        }
    }
}
