//! What is known of those who get facts over a socket.

/// Counts of clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientCounts {
    /// Those that are there now.
    pub now: u64,
    /// All that were let in.
    pub served: u64,
    /// Those that were not: another user's, or too many.
    pub refused: u64,
    /// Those that read too slowly.
    pub cut_off: u64,
}
