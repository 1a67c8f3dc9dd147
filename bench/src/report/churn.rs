//! What contestants do to the load of connections that come and go.

use serde::{Deserialize, Serialize};

use crate::programs::RunStats;

/// A contestant in a round.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Sample {
    /// Which round, from 1.
    pub round: u32,
    /// Who.
    pub contestant: String,
    /// Connections per second while it traced.
    pub connections_per_s: f64,
    /// The mean of what they were right before and right after.
    pub untraced_per_s: f64,
    /// Connects that failed meanwhile.
    pub failures: u64,
    /// Events that the load made while it traced.
    pub expected: u64,
    /// Events that it saw, if it says so.
    pub seen: Option<u64>,
    /// Events that it knows to have lost.
    pub lost: Option<u64>,
    /// CPU time of its process.
    pub cpu_s: f64,
    /// Runs of its programs during a second window, and that window's events.
    pub ran: RunStats,
    /// Events of that window.
    pub ran_events: u64,
    /// How often its threads went to sleep.
    pub wakeups_per_s: f64,
    /// Memory at the most.
    pub peak_mib: f64,
    /// The same without the ring buffer's mapping.
    pub peak_beside_ring_mib: f64,
    /// From its start until it was attached.
    pub ready_ms: f64,
}

/// Medians of a contestant.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Row {
    /// Who.
    pub contestant: String,
    /// Connections per second.
    pub connections_per_s: f64,
    /// Of the untraced ones measured next to it; the median of ratios.
    pub ratio: f64,
    /// The least and the most of those ratios: on a noisy host, how little the median says.
    pub ratio_range: Option<(f64, f64)>,
    /// Events.
    pub seen: Option<f64>,
    /// Lost, in the round with the most.
    pub lost_most: Option<u64>,
    /// Events seen and lost beyond those expected, in the round where they differ most.
    pub surplus: Option<i64>,
    /// CPU time for a million events that it saw.
    pub cpu_s_per_million: Option<f64>,
    /// Time in its programs for an event, net of as many empty ones.
    pub kernel_ns: Option<f64>,
    /// The same, with the cost of being there.
    pub kernel_gross_ns: Option<f64>,
    /// How often its threads were woken.
    pub wakeups_per_s: Option<f64>,
    /// Memory at the most.
    pub peak_mib: Option<f64>,
    /// The same without the ring buffer's mapping.
    pub peak_beside_ring_mib: Option<f64>,
    /// From its start until it was attached.
    pub ready_ms: Option<f64>,
}
