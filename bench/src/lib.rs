//! What the bench and its load say to one another.

use serde::{Deserialize, Serialize};

/// The line with which a program of the load says that it is where it was told to go.
pub const READY: &str = "ready";

/// State transitions of a connection that is closed in order, both ends together.
pub const EVENTS_CLOSED: u64 = 10;
/// The same of one that is reset.
pub const EVENTS_RESET: u64 = 6;
/// A connect that fails: into SYN_SENT, and back.
pub const EVENTS_FAILED: u64 = 2;
/// A listener: into LISTEN, and back.
pub const EVENTS_LISTENER: u64 = 2;

/// What a run of the load came to.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ChurnResult {
    /// Connections that were opened and closed.
    pub connections: u64,
    /// Connects that failed.
    pub failures: u64,
    /// How long the threads were at it.
    pub elapsed_s: f64,
    /// Connections by that time.
    pub connections_per_s: f64,
    /// CPU time of the load, in user space and in the kernel.
    pub cpu_s: f64,
    /// State transitions that all this made, listeners included: exact, so that it tells loss.
    pub events: u64,
}
