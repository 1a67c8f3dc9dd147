//! What a run came to: raw figures, medians of them, and what is made of both.

pub(crate) mod chart;
pub(crate) mod host;
pub(crate) mod median;
pub(crate) mod table;

use serde::{Deserialize, Serialize};

use crate::{programs::Ran, report::host::Host};

/// All of it; the JSON file is this.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Where it was measured.
    pub host: Host,
    /// Rounds.
    pub rounds: u32,
    /// Length of a measured window.
    pub seconds: f64,
    /// What kind of connections.
    pub load: Vec<String>,
    /// Each contestant in each round.
    pub samples: Vec<Sample>,
    /// Connections per second with nobody tracing, in the order of measuring.
    pub untraced: Vec<f64>,
    /// A row of medians for each contestant.
    pub rows: Vec<Row>,
    /// What was measured of tracer without that load.
    pub scenes: Vec<Figure>,
    /// What is asked of it.
    pub verdicts: Vec<crate::targets::Verdict>,
}

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
    pub ran: Ran,
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

/// A figure that is no contestant's.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Figure {
    /// What it is of.
    pub name: String,
    /// The figure.
    pub value: f64,
    /// In what.
    pub unit: String,
}

impl Report {
    /// The row of a contestant.
    pub(crate) fn row(&self, contestant: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.contestant == contestant)
    }

    /// A figure.
    pub(crate) fn figure(&self, name: &str) -> Option<f64> {
        self.scenes.iter().find(|figure| figure.name == name).map(|figure| figure.value)
    }
}
