//! Results on the load of connections that are opened and closed.

use serde::{Deserialize, Serialize};

use crate::programs::RunStats;

/// A contestant in a round.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Sample {
    /// Which round, from 1.
    pub round: u32,
    /// Its name.
    pub contestant: String,
    /// Connections per second while it traced.
    pub connections_per_s: f64,
    /// The mean of the untraced rates right before and right after.
    pub untraced_per_s: f64,
    /// Connects that failed meanwhile.
    pub failures: u64,
    /// Events that the load made while it traced.
    pub expected: u64,
    /// Events that it saw, if it reports that.
    pub seen: Option<u64>,
    /// Events that it knows to have lost.
    pub lost: Option<u64>,
    /// CPU time of its process.
    pub cpu_s: f64,
    /// Runs of its BPF programs during the second window.
    pub ran: RunStats,
    /// Events of the second window.
    pub ran_events: u64,
    /// How often its threads were woken.
    pub wakeups_per_s: f64,
    /// Peak memory.
    pub peak_mib: f64,
    /// The same without the ring buffer's mapping.
    pub peak_beside_ring_mib: f64,
    /// From its start until it was attached.
    pub ready_ms: f64,
}

/// Medians of a contestant.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Row {
    /// Its name.
    pub contestant: String,
    /// Connections per second.
    pub connections_per_s: f64,
    /// Their ratio to the untraced ones right before and after; the median of ratios.
    pub ratio: f64,
    /// The smallest and the largest of those ratios. On a noisy host it shows how little the median says.
    pub ratio_range: Option<(f64, f64)>,
    /// Events that it saw.
    pub seen: Option<f64>,
    /// Events that it lost, in the round with the most.
    pub lost_most: Option<u64>,
    /// Events seen and lost beyond those expected, in the round with the largest difference.
    pub surplus: Option<i64>,
    /// CPU time per million events that it saw.
    pub cpu_s_per_million: Option<f64>,
    /// Time in its BPF programs per event, without the time of as many runs of the empty program.
    pub kernel_ns: Option<f64>,
    /// The same with that time.
    pub kernel_gross_ns: Option<f64>,
    /// How often its threads were woken.
    pub wakeups_per_s: Option<f64>,
    /// Peak memory.
    pub peak_mib: Option<f64>,
    /// The same without the ring buffer's mapping.
    pub peak_beside_ring_mib: Option<f64>,
    /// From its start until it was attached.
    pub ready_ms: Option<f64>,
}
