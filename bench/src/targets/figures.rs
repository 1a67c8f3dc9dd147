//! Finds the figures of targets in a report.

use crate::{
    contestant::is_tracer,
    load::service::Connections,
    report::{Report, churn::Row, service},
};

pub(super) fn ratio(report: &Report, contestant: &str) -> Option<f64> {
    report.row(contestant).map(|row| row.ratio)
}

pub(super) fn service(report: &Report, connections: Connections) -> Option<f64> {
    service::row(&report.service, connections, "log").map(|row| row.ratio)
}

/// This contestant counts real transitions and not calls of the hook: an orphan's FIN_WAIT2 -> CLOSE is none.
const COUNTS_TRUTH: &str = "summary-in-kernel";

fn ours(report: &Report) -> impl Iterator<Item = &Row> {
    report.rows.iter().filter(|row| is_tracer(&row.contestant))
}

/// Events that any view of tracer lost in its worst round, on any load.
#[expect(clippy::cast_precision_loss, reason = "counts of some seconds")]
pub(super) fn lost(report: &Report) -> Option<f64> {
    let beside_service = report.service.iter().filter(|sample| is_tracer(&sample.contestant));
    let beside_service = beside_service.map(|sample| sample.lost.unwrap_or(0));
    let all = ours(report).map(|row| row.lost_most.unwrap_or(0)).chain(beside_service);
    all.max().map(|most| most as f64)
}

/// Events of the load that a view of tracer neither saw nor lost, per million. Sometimes a connection is
/// still in FIN_WAIT1 when the load ends, and two of its events come later; `--raw` shows that. Too many
/// events are other programs' traffic, and do not count.
#[expect(clippy::cast_precision_loss, reason = "counts of some seconds")]
pub(super) fn unaccounted(report: &Report) -> Option<f64> {
    let rows = ours(report).filter(|row| row.contestant != COUNTS_TRUTH);
    let missing = |row: &Row| {
        let missing = row.surplus.unwrap_or(0).min(0).unsigned_abs() as f64;
        row.seen.map(|seen| missing / seen * 1e6)
    };
    rows.filter_map(missing).max_by(f64::total_cmp)
}
