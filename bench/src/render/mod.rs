//! A report as people read it: tables on the terminal, and a chart.

pub(crate) mod chart;
pub(crate) mod table;
