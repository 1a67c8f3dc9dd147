//! What a run came to.
//!
//! # Layout
//!
//! `churn`, `service`, `pair`, `figure` and `verdict` are figures of one kind each, `host` is where they were measured,
//! `rows` makes medians of samples. Nothing here measures, judges or draws.

pub(crate) mod churn;
pub(crate) mod figure;
pub(crate) mod host;
pub(crate) mod pair;
pub(crate) mod rows;
pub(crate) mod service;
pub(crate) mod verdict;

use serde::{Deserialize, Serialize};

use self::{
    churn::{Row, Sample},
    figure::Figure,
    host::Host,
    pair::Pair,
    verdict::Verdict,
};

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
    /// What contestants do to a service.
    #[serde(default)]
    pub service: Vec<service::Sample>,
    /// Two builds of tracer.
    #[serde(default)]
    pub pairs: Vec<Pair>,
    /// What was measured of tracer without that load.
    pub scenes: Vec<Figure>,
    /// What is asked of it.
    pub verdicts: Vec<Verdict>,
}

impl Report {
    /// One in which nothing is measured yet.
    pub(crate) fn new(host: Host, rounds: u32, seconds: f64, load: Vec<String>) -> Self {
        Self {
            host,
            rounds,
            seconds,
            load,
            samples: Vec::new(),
            untraced: Vec::new(),
            rows: Vec::new(),
            service: Vec::new(),
            pairs: Vec::new(),
            scenes: Vec::new(),
            verdicts: Vec::new(),
        }
    }

    /// The row of a contestant.
    pub(crate) fn row(&self, contestant: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.contestant == contestant)
    }

    /// A figure.
    pub(crate) fn figure(&self, name: &str) -> Option<f64> {
        self.scenes.iter().find(|figure| figure.name == name).map(|figure| figure.value)
    }
}
