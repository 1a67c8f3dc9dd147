//! Bytes in a recording as bytes, and not as a list of numbers.

use serde::{Deserialize as _, Deserializer, Serializer};

/// Serializes bytes.
///
/// # Errors
/// The serializer's own.
pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

/// Reads bytes.
///
/// # Errors
/// They are something else.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    <&[u8]>::deserialize(deserializer).map(<[u8]>::to_vec)
}
