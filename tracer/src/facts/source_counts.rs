//! What a source counts besides the facts, which is no fact of the host: `tracer serve` shows it.

use crate::facts::{client_counts::ClientCounts, recording_counts::RecordingCounts};

/// Counts of a source, and of those that facts pass on their way from it.
#[derive(Clone, Copy, Debug, Default)]
pub struct SourceCounts {
    /// How full the buffer between the kernel and tracer is.
    pub buffer: Option<BufferUse>,
    /// Those who get the same facts over a socket.
    pub clients: Option<ClientCounts>,
    /// The recording that is being made.
    pub recording: Option<RecordingCounts>,
}

/// How full the buffer between the kernel and tracer is. It consists of a ring for each CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BufferUse {
    /// The size of all rings, in bytes.
    pub bytes: u64,
    /// How much of the fullest ring was in use at most in the last minute, or in the last two: from 0 to 1.
    pub peak: f64,
}
