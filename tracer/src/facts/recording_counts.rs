//! What is known of a recording that is being made.

/// Counts of a recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordingCounts {
    /// Events in it.
    pub events: u64,
    /// Bytes of all parts.
    pub bytes: u64,
    /// How many parts there are.
    pub parts: u32,
    /// Facts that are not in it, because they are too large.
    pub left_out: u64,
    /// How often it could not be written.
    pub errors: u64,
    /// Events that are not in it, because it could not be written.
    pub missed: u64,
    /// It cannot be written now.
    pub has_failed: bool,
}
