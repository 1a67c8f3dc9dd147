//! The results of a run. Nothing here measures or draws.
//!
//! # Layout
//! - [`Report`]: all results; its JSON is the report file
//! - [`churn`], [`service`]: samples and medians of contestants on these loads
//! - [`list`]: lists of sockets
//! - [`pair`]: two builds of tracer
//! - [`figure`]: figures of tracer alone
//! - [`verdict`]: figures compared with their bounds
//! - [`rows`]: makes medians from samples
//! - [`host`]: the machine

pub(crate) mod churn;
pub(crate) mod figure;
pub(crate) mod host;
pub(crate) mod list;
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

/// All results of a run. The JSON file contains exactly this.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    /// The machine on which it was measured.
    pub host: Host,
    /// How many rounds there were.
    pub rounds: u32,
    /// Length of a measured window.
    pub seconds: f64,
    /// The arguments of the load: the kind of connections.
    pub load: Vec<String>,
    /// Each contestant in each round.
    pub samples: Vec<Sample>,
    /// Connections per second of the untraced load, in the order of measuring.
    pub untraced: Vec<f64>,
    /// A row of medians for each contestant.
    pub rows: Vec<Row>,
    /// Contestants beside a service.
    #[serde(default)]
    pub service: Vec<service::Sample>,
    /// Lists of sockets.
    #[serde(default)]
    pub list: Vec<list::Sample>,
    /// Two builds of tracer compared.
    #[serde(default)]
    pub pairs: Vec<Pair>,
    /// Figures of tracer alone.
    pub scenes: Vec<Figure>,
    /// The targets, and whether they were met.
    pub verdicts: Vec<Verdict>,
}

impl Report {
    /// A report without results.
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
            list: Vec::new(),
            pairs: Vec::new(),
            scenes: Vec::new(),
            verdicts: Vec::new(),
        }
    }

    /// The row of a contestant.
    pub(crate) fn row(&self, contestant: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.contestant == contestant)
    }

    /// The figure with this name.
    pub(crate) fn figure(&self, name: &str) -> Option<f64> {
        self.scenes.iter().find(|figure| figure.name == name).map(|figure| figure.value)
    }
}
