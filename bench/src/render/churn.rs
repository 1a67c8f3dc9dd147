//! The table of contestants on the load of connections that are opened and closed.

use comfy_table::Table;

use super::cells::{absent, count, figure, range, table};
use crate::report::churn::Row;

/// A column: its header, and the text of a cell.
type Column = (&'static str, fn(&Row) -> String);

const COLUMNS: &[Column] = &[
    ("", |row| row.contestant.clone()),
    ("connections/s", |row| format!("{:.0}", row.connections_per_s)),
    ("ratio", |row| format!("{:.3}", row.ratio)),
    ("from to", |row| range(row.ratio_range)),
    ("events seen", |row| figure(row.seen, 0)),
    ("lost", |row| count(row.lost_most)),
    ("unaccounted", unaccounted),
    ("CPU s/million", |row| figure(row.cpu_s_per_million, 3)),
    ("kernel ns/event", |row| figure(row.kernel_ns, 0)),
    ("wakeups/s", |row| figure(row.wakeups_per_s, 0)),
    ("peak MiB", |row| figure(row.peak_mib, 1)),
    ("beside ring", |row| figure(row.peak_beside_ring_mib, 1)),
    ("ready ms", |row| figure(row.ready_ms, 0)),
];

/// By how much a contestant's counts differ from the events that the load made.
fn unaccounted(row: &Row) -> String {
    match row.surplus {
        None => absent(),
        Some(0) => "0".to_owned(),
        Some(surplus @ 1..) => format!("{surplus} too many"),
        Some(surplus) => format!("{} missing", surplus.unsigned_abs()),
    }
}

/// A row for each contestant.
pub(super) fn contestants(rows: &[Row]) -> Table {
    let mut table = table(COLUMNS.iter().map(|(header, _)| *header));
    for row in rows {
        table.add_row(COLUMNS.iter().map(|(_, cell)| cell(row)));
    }
    table
}
