//! A comparison, ready to be written as text, or as JSON by serde. Field names are those in JSON.

use jiff::Timestamp;
use serde::Serialize;

use crate::aggregate::{
    diff::{measure::Measure, name::GroupName},
    report::{Quantiles, as_maybe_micros, as_micros, rfc3339},
};

/// What differs between two sides.
#[derive(Clone, Debug, Serialize)]
pub struct DiffReport {
    /// The first side: before.
    pub a: SideReport,
    /// The second side: after.
    pub b: SideReport,
    /// In what the sides differ that makes them hard to compare.
    pub warnings: Vec<DiffWarning>,
    /// How many tests were made.
    pub tests: usize,
    /// The probability with which chance alone makes any change appear, at most.
    pub significance: f64,
    /// The relative error of quantiles.
    pub quantile_error: f64,
    /// What has changed, what matters most first.
    pub changes: Vec<DiffRow>,
    /// All figures of the heaviest groups.
    pub rows: Vec<DiffRow>,
    /// Groups whose figures are not among them.
    pub more_groups: usize,
}

impl DiffReport {
    /// Whether nothing is missing on either side.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.a.complete && self.b.complete
    }

    /// The changes for the worse.
    pub fn regressions(&self) -> impl Iterator<Item = &DiffRow> {
        self.changes.iter().filter(|row| row.change == Some(ChangeKind::Regression))
    }

    /// The rows of all connections that are about such a measure.
    pub fn of_all(&self, is_it: impl Fn(Measure) -> bool) -> Vec<&DiffRow> {
        self.rows.iter().filter(|row| row.name == GroupName::All && is_it(row.measure)).collect()
    }

    /// The rows for each reason, that of the most ends first.
    #[must_use]
    pub fn ends(&self) -> Vec<&DiffRow> {
        let mut rows = self.of_all(|measure| matches!(measure, Measure::End(_)));
        rows.sort_by_key(|row| std::cmp::Reverse(row.a.count + row.b.count));
        rows
    }

    /// The rows of each group of a kind, by its place in [`GroupName::KINDS`].
    pub fn groups(&self, kind: usize) -> impl Iterator<Item = &[DiffRow]> {
        let groups = self.rows.chunk_by(|one, other| one.name == other.name);
        groups.filter(move |rows| rows.first().is_some_and(|row| row.name.kind() == Some(kind)))
    }
}

/// One side.
#[derive(Clone, Debug, Serialize)]
pub struct SideReport {
    /// Its recordings, escaped.
    pub files: Vec<String>,
    /// Its hosts, escaped.
    pub hosts: Vec<String>,
    /// The versions of tracer that made them.
    pub tracer: Vec<String>,
    /// The kernels.
    pub kernels: Vec<String>,
    /// When it began.
    #[serde(serialize_with = "rfc3339")]
    pub from: Timestamp,
    /// When it ended.
    #[serde(serialize_with = "rfc3339")]
    pub to: Timestamp,
    /// How long it is, in nanoseconds.
    #[serde(rename = "duration_us", serialize_with = "as_micros")]
    pub duration_ns: u64,
    /// Transitions of connections.
    pub transitions: u64,
    /// Connections that began.
    pub begun: u64,
    /// Connections that ended for their processes.
    pub ended: u64,
    /// Those of them that did not close in order.
    pub failed: u64,
    /// Transitions that were lost; `None` if that is not known.
    pub lost: Option<u64>,
    /// Whether nothing is missing.
    pub complete: bool,
    /// How many connections may be missing from a group, because there were too many groups.
    pub missing_at_most: u64,
}

/// In what the sides differ.
#[derive(Clone, Debug, Serialize)]
pub struct DiffWarning {
    /// In what.
    pub what: &'static str,
    /// What it is of the first side.
    pub a: String,
    /// What it is of the second side.
    pub b: String,
}

/// Something about a group, on both sides.
#[derive(Clone, Debug, Serialize)]
pub struct DiffRow {
    /// The group.
    #[serde(flatten)]
    pub name: GroupName,
    /// What about it.
    #[serde(flatten)]
    pub measure: Measure,
    /// Whether it has changed by more than chance, and enough to matter.
    pub change: Option<ChangeKind>,
    /// The first side's figures.
    pub a: Figures,
    /// The second side's.
    pub b: Figures,
    /// How many times the first side's share, median or rate the second one's is.
    pub ratio: Option<f64>,
    /// The probability that chance alone makes the sides so different; `None` if that was not tested.
    pub p: Option<f64>,
    /// The same, corrected for all tests.
    pub p_corrected: Option<f64>,
    /// Other groups that the same is true of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<GroupName>,
}

impl DiffRow {
    /// Whether the figures of both are the same.
    #[must_use]
    pub fn says_the_same(&self, other: &Self) -> bool {
        let counts = |row: &Self| [row.a.count, row.b.count].map(|count| (count, row.a.of, row.b.of));
        counts(self) == counts(other)
    }
}

/// What a change is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// Worse.
    Regression,
    /// Better.
    Improvement,
    /// Neither, or either.
    Other,
}

impl ChangeKind {
    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Regression => "regression",
            Self::Improvement => "improvement",
            Self::Other => "other",
        }
    }
}

/// The figures of one side. What a measure does not have is `None`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// How many.
    pub count: u64,
    /// Of how many.
    pub of: Option<u64>,
    /// The share of these.
    pub share: Option<f64>,
    /// How many a second of the span; `None` if some may be missing.
    pub per_second: Option<f64>,
    /// How many have not ended.
    pub going_on: Option<u64>,
    /// How long they were.
    #[serde(flatten)]
    pub quantiles: Quantiles,
    /// Those are counted that are longer than this, in nanoseconds.
    #[serde(rename = "limit_us", serialize_with = "as_maybe_micros")]
    pub limit_ns: Option<u64>,
}

impl Figures {
    /// The same without digits that nobody needs.
    #[must_use]
    pub fn rounded(self) -> Self {
        let round = |number: Option<f64>| number.map(|number| rounded(number, 6));
        Self { share: round(self.share), per_second: round(self.per_second), ..self }
    }
}

/// A number with so many significant digits.
#[must_use]
pub fn rounded(number: f64, digits: usize) -> f64 {
    format!("{number:.*e}", digits.saturating_sub(1)).parse().unwrap_or(number)
}
