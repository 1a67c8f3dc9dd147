//! What the bench and its load share: messages, and how many events a connection makes.

use serde::{Deserialize, Serialize};

/// The line that the load prints when it has opened all connections that it was told to hold.
pub const READY: &str = "ready";

/// State transitions of a connection that is closed in order, at both ends together.
pub const EVENTS_CLOSED: u64 = 10;
/// State transitions of a connection that is reset, at both ends together.
pub const EVENTS_RESET: u64 = 6;
/// State transitions of a connect that fails: into SYN_SENT, and back.
pub const EVENTS_FAILED: u64 = 2;
/// State transitions of a listener: into LISTEN, and back.
pub const EVENTS_LISTENER: u64 = 2;

/// The result of a run of the load.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ChurnResult {
    /// Connections that were opened and closed.
    pub connections: u64,
    /// Connects that failed.
    pub failures: u64,
    /// How long the slowest thread took.
    pub elapsed_s: f64,
    /// Connections divided by that time.
    pub connections_per_s: f64,
    /// CPU time of the load, in user space and in the kernel.
    pub cpu_s: f64,
    /// State transitions of all these connections and listeners. The number is exact, so that losses show.
    pub events: u64,
}
