//! Pages that somebody may ask a view for while it runs.

use crate::facts::{client_counts::ClientCounts, losses::Losses, recording_counts::RecordingCounts};

/// A page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServedPage {
    /// Metrics in OpenMetrics' text format.
    OpenMetrics,
    /// Metrics in Prometheus's text format, version 0.0.4.
    Metrics,
    /// A page for people.
    Front,
}

/// What is known of tracer itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Itself {
    /// Events that it has read.
    pub events: u64,
    /// Events that it has lost.
    pub losses: Losses,
    /// Those who get the same facts over a socket.
    pub clients: Option<ClientCounts>,
    /// How often options were read again, and how often they were faulty; `None` if that cannot be.
    pub reloads: Option<(u64, u64)>,
    /// Lines that nobody has waited for, and that were lost.
    pub lost_lines: u64,
    /// The recording that it makes.
    pub recording: Option<RecordingCounts>,
    /// Processor time that it has used, in microseconds.
    pub cpu_us: u64,
    /// Memory that it uses, in bytes; `None` if that cannot be read.
    pub memory: Option<u64>,
}
