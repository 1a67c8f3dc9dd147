//! Pages that somebody may ask a view for while it runs.

use crate::facts::{losses::Losses, source_counts::SourceCounts};

/// A page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServedPage {
    /// Metrics in OpenMetrics' text format.
    OpenMetrics,
    /// Metrics in Prometheus's text format, version 0.0.4.
    Metrics,
    /// A page for people.
    Front,
    /// Metrics as OTLP has them.
    OtlpMetrics,
    /// The next log records as OTLP has them; nothing if there are none.
    OtlpLogs,
}

/// What is known of tracer itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Itself {
    /// Events that it has read.
    pub events: u64,
    /// Events that it has lost.
    pub losses: Losses,
    /// What its source counts.
    pub source: SourceCounts,
    /// How often options were read again, and how often they were faulty; `None` if that cannot be.
    pub reloads: Option<(u64, u64)>,
    /// Lines that nobody has waited for, and that were lost.
    pub lost_lines: u64,
    /// Processor time that it has used, in microseconds.
    pub cpu_us: u64,
    /// Memory that it uses, in bytes; `None` if that cannot be read.
    pub memory: Option<u64>,
    /// What it has exported, if it does.
    pub exports: Option<Exports>,
}

/// What has been exported with OTLP.
#[derive(Clone, Copy, Debug)]
pub struct Exports {
    /// Metrics, whose items are data points.
    pub metrics: SignalExports,
    /// Log records, if they are exported.
    pub logs: Option<SignalExports>,
}

/// Requests of one kind, and what was in them.
#[derive(Clone, Copy, Debug, Default)]
pub struct SignalExports {
    /// Requests that were accepted.
    pub accepted: u64,
    /// Requests that failed, and were or will be sent again.
    pub failed: u64,
    /// Requests that the receiver does not want.
    pub refused: u64,
    /// Items that the receiver has accepted, as far as they were counted.
    pub items: u64,
    /// Items that it has not: in refused requests, and of partial successes.
    pub rejected_items: u64,
}
