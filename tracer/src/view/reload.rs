//! What a view may be told to change while it runs.

use crate::{
    aggregate::{By, findings::Thresholds},
    tcp::limits::Limits,
};

/// New options of a view.
#[derive(Clone, Debug)]
pub struct ReloadedView {
    /// What connections are counted by, besides.
    pub labels: Vec<By>,
    /// How long a connection may stay in a state.
    pub limits: Limits,
    /// From which value on something is a finding.
    pub thresholds: Thresholds,
}
