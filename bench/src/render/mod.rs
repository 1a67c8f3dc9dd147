//! Reports for people: tables and a chart.
//!
//! # Layout
//! - `churn`, `service`: tables of contestants on these loads
//! - `list`: the table of lists of sockets
//! - `pairs`: the table of two builds of tracer
//! - `cells`: parts of all tables
//! - [`chart`]: the chart

mod cells;
pub(crate) mod chart;
mod churn;
mod list;
mod pairs;
mod service;

use comfy_table::Table;

use crate::report::{Report, host::Host, verdict::Verdict};

/// All tables of a report, for the terminal.
pub(crate) fn tables(report: &Report) -> String {
    let mut parts = Vec::new();
    if !report.rows.is_empty() {
        parts.push(churn::contestants(&report.rows).to_string());
    }
    if !report.service.is_empty() {
        parts.push(service::service(&report.service).to_string());
    }
    if !report.list.is_empty() {
        parts.push(list::lists(&report.list).to_string());
    }
    if !report.pairs.is_empty() {
        parts.push(pairs::pairs(&report.pairs).to_string());
    }
    parts.push(format!(
        "Medians of {} rounds of {} s; `lost` and `unaccounted` are of the worst round.\n{}",
        report.rounds,
        report.seconds,
        host(&report.host)
    ));
    parts.push(targets(&report.verdicts).to_string());
    parts.join("\n\n") + "\n"
}

fn host(host: &Host) -> String {
    format!(
        "{} CPUs {}, Linux {}, {}, commit {}",
        host.cores,
        host.cpu,
        host.kernel,
        host.date,
        host.commit.as_deref().unwrap_or("unknown")
    )
}

fn targets(verdicts: &[Verdict]) -> Table {
    let mut targets = cells::table(["target", "asked", "measured", ""]);
    for verdict in verdicts {
        targets.add_row([
            verdict.what.clone(),
            verdict.asked.clone(),
            verdict.measured(),
            verdict.word().to_owned(),
        ]);
    }
    targets
}
