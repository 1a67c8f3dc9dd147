//! The table of contestants beside a service.

use comfy_table::Table;

use super::cells::{count, range, table};
use crate::report::service::{Sample, rows};

/// A row for each contestant and kind of clients.
pub(super) fn service(samples: &[Sample]) -> Table {
    let mut table = table(["service", "", "requests/s", "untraced", "ratio", "from to", "lost"]);
    for row in rows(samples) {
        table.add_row([
            row.connections.name().to_owned(),
            row.contestant,
            format!("{:.0}", row.requests_per_s),
            format!("{:.0}", row.untraced_per_s),
            format!("{:.3}", row.ratio),
            range(Some(row.ratio_range)),
            count(row.lost_most),
        ]);
    }
    table
}
